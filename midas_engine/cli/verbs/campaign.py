"""`midas campaign FILE`: many sessions on one budget, resumed after any death."""

from __future__ import annotations

import dataclasses
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from midas_engine.cli.context import Shared, Verb
from midas_engine.cli.options import pass_options
from midas_engine.cli.output import clean
from midas_engine.cli.signals import cancelling
from midas_engine.cli.verbs.mlflow import mirror_if_set

if TYPE_CHECKING:
    from collections.abc import Callable

    from midas_engine.campaign import CampaignPlan, CampaignState, Progress
    from midas_engine.events import Event
    from midas_engine.settings import Settings


@dataclass(frozen=True, slots=True)
class CampaignOptions:
    """What `midas campaign` is told, as it was typed."""

    file: Path
    workers: int | None


@click.command(cls=Verb, example=("midas campaign spring.toml", "midas campaign spring.toml --workers 4 --data sample"))
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--workers", type=click.IntRange(0, 256), help="Workers; 0: a thread [default: one a core].")
@pass_options(CampaignOptions)
def campaign(shared: Shared, typed: CampaignOptions) -> None:
    """Search for many goals on one budget of up to 100,000 candidates, as FILE says.

    FILE is TOML: name, goals, candidates; and if wanted proposers, horizons, data, seed, screened, iterations, each.
    Started again after it was stopped or killed it goes on where it was; finished, it shows its report. Several
    campaigns on one base take turns, a session each. What was found is the same for any number of workers.
    """
    import asyncio

    from midas_engine.campaign import read_campaign
    from midas_engine.campaign.report import text, to_dict
    from midas_engine.executor import worker_count
    from midas_engine.executor.spare import prepare
    from midas_engine.loops.worker import load

    plan = read_campaign(typed.file)
    settings = shared.settings(
        data=shared.data or plan.data or None,
        evaluation__workers=worker_count() if typed.workers is None else typed.workers,
    )
    if shared.data:
        plan = dataclasses.replace(plan, data=shared.data)
    if not settings.read_only:
        prepare(settings, load)  # its loading and ours take as long as each other
    state, code = asyncio.run(_run(shared, settings, plan))
    if not code:
        shared.show(to_dict(state), lambda: text(state))
    mirror_if_set(shared, settings)  # last: a mirror that hangs keeps nobody from the report
    if code:
        shared.note(f"stopped after {len(state.done)} of {len(plan.legs)} sessions; the same command goes on from here")
        raise click.exceptions.Exit(code)


async def _run(shared: Shared, settings: Settings, plan: CampaignPlan) -> tuple[CampaignState, int]:
    import asyncio

    from midas_engine.campaign import Campaign
    from midas_engine.errors import ReadOnlyError
    from midas_engine.workspace import Workspace

    if settings.read_only:
        raise ReadOnlyError("a campaign writes candidates and learnings", hint="leave read_only out")
    workspace = await asyncio.to_thread(Workspace, settings, via="command line")
    try:
        told = teller(quiet=shared.as_json)
        running = Campaign(workspace, plan, tell=_events(shared), progress=told, notes=shared.note)
        with cancelling(running.cancel) as stopped:
            state = await running.run()
        if not shared.as_json and running.first_verdict is not None:
            click.echo(f"the first verdict came after {running.first_verdict:.1f} s", err=True)
        return state, stopped[0] if stopped and not state.finished else 0
    finally:
        await asyncio.to_thread(workspace.close)


def _events(shared: Shared) -> Callable[[Event], None]:
    """What of the sessions is shown: what was accepted, and how each ended."""
    from midas_engine.campaign.report import RESULT_WORDS
    from midas_engine.events import CandidateAccepted, SessionEnded, SessionStarted

    def tell(event: Event) -> None:
        if shared.as_json:
            if isinstance(event, SessionStarted) and event.destination:
                click.echo(f"asks {event.destination}", err=True)  # where a key goes is always said
        elif isinstance(event, SessionStarted):
            asks = f", asks {clean(event.destination)}" if event.destination else ""
            click.echo(f"\r{event.session_id}: {clean(event.goal)} ({clean(event.researcher)}{asks})", err=True)
        elif isinstance(event, CandidateAccepted):
            click.echo(f"\raccepted {clean(event.name)} = {clean(event.expression)}", err=True)
        elif isinstance(event, SessionEnded):
            result = RESULT_WORDS.get(event.result, event.result)
            click.echo(f"\r{event.session_id} ended: {result}, {event.tried} tried          ", err=True)

    return tell


def teller(*, quiet: bool) -> Callable[[Progress], None]:
    """A line that rewrites itself on a terminal; a line every twentieth of the way where there is none."""
    live = sys.stderr.isatty()
    shown = [-1]

    def tell(progress: Progress) -> None:
        step = progress.done * 20 // max(1, progress.of)
        if quiet or (not live and step <= shown[0]):
            return
        shown[0] = step
        click.echo(f"\r{progress.line}      " if live else progress.line, nl=not live, err=True)

    return tell
