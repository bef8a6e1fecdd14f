"""`midas proposals`: what agents proposed, and the operator's judgement of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from midas_engine.cli.context import Shared, Verb, pass_shared
from midas_engine.cli.open_base import open_base
from midas_engine.cli.output import clean, table
from midas_engine.cli.session_lines import Narrator

if TYPE_CHECKING:
    from midas_engine.mcp_door.queue import Queued


@click.command(cls=Verb, example=("midas proposals", "midas proposals --judge funding_carry_72h"))
@click.argument("names", nargs=-1)
@click.option("--judge", is_flag=True, help="Judge them as a session does: what holds on the sealed part is saved.")
@click.option("--drop", is_flag=True, help="Take them out of the queue.")
@pass_shared
def proposals(shared: Shared, names: tuple[str, ...], judge: bool, drop: bool) -> None:
    """Show what agents proposed over `midas mcp`; judge NAMES (all without) or drop them.

    A look at the sealed part is yours to spend: each that research lets through is charged one.
    """
    import asyncio

    from midas_engine.errors import SettingsError
    from midas_engine.mcp_door.queue import take_out, waiting

    base = open_base(shared.settings(), read_only=not (judge or drop))
    found = waiting(base)
    if unknown := set(names) - {q.name for q in found}:
        raise SettingsError(f"there is no proposal {min(unknown)!r}", hint="`midas proposals` shows what waits")
    chosen = [q for q in found if not names or q.name in names]
    if judge and chosen:
        asyncio.run(_judge(shared, chosen))
    if (judge or drop) and chosen:
        take_out(base, chosen)
        if drop and not judge:
            shared.show({"dropped": [q.name for q in chosen]}, lambda: f"dropped {len(chosen)}")
        return

    def told() -> str:
        rows = [[clean(q.name), clean(q.client), q.at[:16], clean(q.expression)[:100]] for q in chosen]
        return table(rows, ("name", "client", "at (UTC)", "expression")) if rows else "No proposal waits."

    shared.show({"waiting": chosen}, told)


async def _judge(shared: Shared, chosen: list[Queued]) -> None:
    from contextlib import aclosing, closing

    from midas_engine.loops import OfflineLoopConfig, PanelAssessor
    from midas_engine.market import load_panel
    from midas_engine.mcp_door.queue import QueuedResearcher
    from midas_engine.workspace import Workspace

    settings = shared.settings()
    narrator = Narrator(quiet=shared.as_json)
    with closing(Workspace(settings)) as workspace:
        config = OfflineLoopConfig(max_iterations=1, candidates_per_iter=min(len(chosen), 100), refinements=0)
        loop = workspace.loop(config, researcher=lambda: QueuedResearcher(chosen))
        assessor = PanelAssessor(load_panel(settings.data, store=settings.store), settings)
        async with aclosing(loop.stream("proposals of agents", assessor)) as events:
            async for event in events:
                narrator.tell(event)
