"""`midas compound`: whether memory makes the next session cheaper, measured on markets whose truth is known."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from midas_engine.cli.context import Shared, Verb
from midas_engine.cli.options import pass_options
from midas_engine.cli.verbs.calibrate import progress_bar


@dataclass(frozen=True, slots=True)
class CompoundOptions:
    """What `midas compound` is told, as it was typed."""

    pairs: int
    sessions: int
    screened: int
    provider: str
    seed: int | None
    workers: int | None
    out: Path | None


@click.command(
    cls=Verb, example=("midas compound --out compound", "midas compound --pairs 24 --seed 1000 --out compound")
)
@click.option("--pairs", type=click.IntRange(2, 10_000), default=6, show_default=True, help="Families of markets.")
@click.option("--sessions", type=click.IntRange(2, 1000), default=10, show_default=True, help="Sessions of a campaign.")
@click.option(
    "--screened",
    type=click.IntRange(0, 100_000),
    default=600,
    show_default=True,
    help="Raw expressions that a session may screen.",
)
@click.option(
    "--provider",
    metavar="NAME",
    default="local",
    show_default=True,
    help="Whose sessions are run. A model is paid for every session of all four arms.",
)
@click.option("--seed", type=int, help="Same seed, same figures.")
@click.option("--workers", type=click.IntRange(1, 256), help="Worker processes [default: one a processor].")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Write report.md with its curve.",
)
@pass_options(CompoundOptions)
def compound(shared: Shared, typed: CompoundOptions) -> None:
    """Print what a true feature costs with memory and without, session by session.

    Four arms go through the same markets with planted signals: no memory, the last lessons, lessons that speak to the
    goal, lessons of other markets. When memory does not pay, it says so.
    """
    from midas_engine.compound import CompoundPlan
    from midas_engine.compound import compound as run
    from midas_engine.compound.report import text, to_dict, write_report
    from midas_engine.executor import worker_count

    settings = shared.settings(seed=typed.seed, model__provider=typed.provider)
    plan = CompoundPlan(
        pairs=typed.pairs,
        sessions=typed.sessions,
        screened=typed.screened,
        seed=settings.seed,
        workers=typed.workers or worker_count(),
    )
    if typed.provider not in ("local", "mock"):
        limit = 4 * plan.pairs * plan.sessions * settings.model.session_usd
        shared.note(f"{4 * plan.pairs * plan.sessions} sessions will ask {typed.provider}: at most ${limit:,.0f}")
    found = run(settings, plan, progress=None if shared.as_json else progress_bar("measuring", "campaigns"))
    document: dict[str, Any] = to_dict(found)
    if typed.out is not None:
        document["report"] = str(write_report(found, typed.out))
    shared.show(document, lambda: text(found) + (f"\n\nReport: {document['report']}" if typed.out is not None else ""))
