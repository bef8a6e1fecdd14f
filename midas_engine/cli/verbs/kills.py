"""`midas kills`: which kills hold, and how far each far side is with what it was told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from midas_engine.cli.context import Shared, Verb, pass_shared
from midas_engine.cli.open_base import open_base, refuse_other
from midas_engine.cli.output import clean, table

if TYPE_CHECKING:
    from midas_engine.settings import Settings


@click.command(cls=Verb, example=("midas kills", "midas kills --json"))
@pass_shared
def kills(shared: Shared) -> None:
    """Show the kills that hold, and what the far sides of outbound.kills have made of them.

    pending: on disk, not taken yet. delivered: taken, without a word that it was obeyed. acknowledged: obeyed. An order
    is sent until it is acknowledged, by whatever watches the base: midas monitor, or the terminal on a live feed.
    """
    settings = shared.base_settings()
    refuse_other(settings)
    base = open_base(settings, read_only=True)
    state = base.kill_file.read()
    sides = far_sides(settings)
    document = {
        "kills": list(state.kills.values()),
        "damage": state.damage,
        "far_sides": {name: {**side, "orders": [_row(p) for p in side["orders"]]} for name, side in sides.items()},
    }

    def text() -> str:
        blocks = [f"{len(state.kills)} kill(s) hold"]
        if state.damage:
            blocks.append(f"The kill file is damaged: {clean(state.damage)}")
        if state.kills:
            rows = [[k.feature, k.at[:19], k.actor, clean(k.reason)[:60]] for k in state.kills.values()]
            blocks.append(table(rows, ("feature", "at (UTC)", "by", "why")))
        if not sides:
            blocks.append("\nNo far side is set here: a kill leaves this machine only once outbound.kills names one")
        for name, side in sides.items():
            blocks.append(f"\n{name} ({side['kind']}): {in_words(side)}")
            rows = [
                [p.order.action, p.order.feature, p.state, p.since[:19], p.settled[:19], clean(p.why)[:60]]
                for p in side["orders"][-20:]
            ]
            if rows:
                blocks.append(table(rows, ("order", "feature", "state", "since (UTC)", "settled (UTC)", "")))
        return "\n".join(blocks)

    shared.show(document, text)


def far_sides(settings: Settings) -> dict[str, dict[str, Any]]:
    """Every far side that is set, and every one that has an outbox, with its orders."""
    from midas_engine.outbound.destination import addresses_of
    from midas_engine.outbound.kill_output import standing
    from midas_engine.outbound.outbox import FOLDER, Outbox

    outbound = settings.outbound
    kinds = {a.name: a.kind for a in addresses_of("kills", outbound.kills, outbound.options)}
    folder = settings.kb_path / FOLDER
    found = {path.stem for path in folder.glob("*.log")} if folder.is_dir() else set()
    sides: dict[str, dict[str, Any]] = {}
    for name in sorted({*kinds, *found}):
        box = Outbox(folder / f"{name}.log")
        box.load()
        sides[name] = {**standing(box, kinds.get(name, "not set here")), "orders": list(box.posted.values())}
    return sides


def in_words(side: dict[str, Any]) -> str:
    """How a far side stands, on one line."""
    words = [f"{side[state]} {state}" for state in ("pending", "delivered", "acknowledged")]
    if side["failing_since"]:
        words.append(f"failing since {side['failing_since'][:19]}: {clean(side['why'])[:100]}")
    if side["damage"]:
        words.append(f"its outbox is damaged: {clean(side['damage'])[:100]}")
    return ", ".join(words)


def _row(posted: Any) -> dict[str, Any]:
    from midas_engine.jsonable import plain

    row = plain(posted)
    return {**row.pop("order"), **row}
