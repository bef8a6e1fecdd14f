"""`midas calibrate`: how often the gates are fooled on this data, how much they find, how soon a death is called."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from midas_engine.cli.context import Shared, Verb
from midas_engine.cli.judging import base_inputs
from midas_engine.cli.options import pass_options

if TYPE_CHECKING:
    from collections.abc import Callable

_WIDTH = 30


@dataclass(frozen=True, slots=True)
class CalibrateOptions:
    """What `midas calibrate` is told, as it was typed."""

    sessions: int
    planted: int
    features: int
    iterations: int
    candidates: int
    screened: int
    goal: str
    provider: str
    seed: int | None
    workers: int | None
    out: Path | None


@click.command(
    cls=Verb,
    example=(
        "midas calibrate --data sample --out calibration",
        'midas calibrate --data panel.parquet --goal "funding carry" --sessions 200 --features 100',
    ),
)
@click.option("--sessions", type=click.IntRange(1, 100_000), default=60, show_default=True, help="Sessions on noise.")
@click.option(
    "--planted",
    type=click.IntRange(0, 100_000),
    default=24,
    show_default=True,
    help="Sessions with one real signal planted.",
)
@click.option(
    "--features",
    type=click.IntRange(0, 100_000),
    default=24,
    show_default=True,
    help="Features planted at each IC, for recall and for the detectors.",
)
@click.option("--iterations", type=click.IntRange(1, 1000), default=5, show_default=True, help="Plans of a session.")
@click.option("--candidates", type=click.IntRange(1, 100), default=3, show_default=True, help="Expressions a plan.")
@click.option(
    "--screened",
    type=click.IntRange(0, 10_000_000),
    default=240,
    show_default=True,
    help="Raw expressions each session screens first, at most.",
)
@click.option("--goal", default="anything that predicts the next bar", show_default=True, help="What sessions seek.")
@click.option(
    "--provider",
    metavar="NAME",
    default="local",
    show_default=True,
    help="Whose proposals are replayed. A model is paid for every replayed session.",
)
@click.option("--seed", type=int, help="Same seed, same report.")
@click.option("--workers", type=click.IntRange(1, 256), help="Worker processes [default: one a core].")
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), metavar="DIR", help="Write report.md with plots there."
)
@pass_options(CalibrateOptions)
def calibrate(shared: Shared, typed: CalibrateOptions) -> None:
    """Print how often Midas is fooled on your data: noise accepted, signals found, days to detect a death.

    Your gates and your proposer are replayed on your data with targets that nothing can foresee (sign-flipped and
    block-shuffled returns) and with planted signals of known strength.
    """
    from midas_engine.calibrate import CalibrationPlan
    from midas_engine.calibrate import calibrate as run
    from midas_engine.calibrate.report import text, to_dict, write_report
    from midas_engine.market import load_panel

    settings = shared.settings(seed=typed.seed, model__provider=typed.provider)
    if typed.provider not in ("local", "mock"):
        replayed = typed.sessions + typed.planted
        limit = replayed * settings.model.session_usd
        shared.note(f"{replayed} sessions will ask {typed.provider}: at most ${limit:,.0f} by model.session_usd")
    plan = CalibrationPlan(
        noise_sessions=typed.sessions,
        planted_sessions=typed.planted,
        planted_features=typed.features,
        iterations=typed.iterations,
        candidates=typed.candidates,
        screened=typed.screened,
        goal=typed.goal,
        seed=settings.seed,
        workers=typed.workers or os.cpu_count() or 1,
    )
    thresholds, existing = base_inputs(settings)
    panel = load_panel(settings.data, store=settings.store)
    bar = None if shared.as_json else progress_bar()
    found = run(panel, settings, plan, thresholds=thresholds, existing=existing, progress=bar)
    document: dict[str, Any] = to_dict(found)
    if typed.out is not None:
        document["report"] = str(write_report(found, typed.out))
    shared.show(document, lambda: text(found) + (f"\n\nReport: {document['report']}" if typed.out is not None else ""))


def progress_bar(what: str = "calibrating", of_what: str = "replays") -> Callable[[int, int, float], None]:
    """A bar that rewrites its line on a terminal; a line every tenth of the way where there is none."""
    live = sys.stderr.isatty()
    told = [-1]

    def tell(done: int, of: int, seconds: float) -> None:
        share = done / of
        left = f", about {seconds / share - seconds:.0f} s left" if 0 < done < of else ""
        if live:
            full = round(_WIDTH * share)
            click.echo(f"\r[{'#' * full}{'.' * (_WIDTH - full)}] {done}/{of}{left}      ", nl=False, err=True)
            if done == of:
                click.echo(err=True)
        elif int(share * 10) > told[0]:
            told[0] = int(share * 10)
            click.echo(f"{what}: {done} of {of} {of_what}, {seconds:.0f} s{left}", err=True)

    return tell
