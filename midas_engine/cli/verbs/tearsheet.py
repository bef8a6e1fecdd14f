"""`midas tearsheet EXPR|NAME --out FILE.html`: one self-contained page about a feature."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from midas_engine.cli.context import ExpressionVerb, Shared, pass_shared
from midas_engine.cli.judging import at_horizon, judge_expression
from midas_engine.cli.open_base import find_record
from midas_engine.cli.options import event_options
from midas_engine.cli.output import clean

if TYPE_CHECKING:
    from midas_engine.cli.judging import Judged


@click.command(
    cls=ExpressionVerb,
    example=(
        'midas tearsheet "cs_rank(ts_mean(funding_rate, 24))" --out funding.html',
        "midas tearsheet vwap_zscore_mean_rev --kb ./midas-kb --out vwap.html --json",
    ),
)
@click.argument("name")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE.html",
    help="Where the page goes; the same figures go beside it as .json [default: tearsheet.html].",
)
@event_options
@click.option(
    "--part",
    type=click.Choice(["research", "all"]),
    default="research",
    show_default=True,
    help="Which part of the history is drawn.",
)
@click.option(
    "--participation",
    type=click.FloatRange(0.0001, 1.0),
    default=0.01,
    show_default=True,
    help="Largest share of a bar's volume to take, for capacity.",
)
@click.option("--trials", type=click.IntRange(1), help="Candidates tried so far; draws the line of acceptance.")
@pass_shared
def tearsheet(
    shared: Shared,
    name: str,
    out: Path | None,
    gate: str,
    hold: int,
    part: str,
    participation: float,
    trials: int | None,
) -> None:
    """Draw the tear sheet of an expression, or of a feature of the knowledge base.

    One HTML file without links or scripts: cumulative score with its band, net equity after costs and funding, score by
    fold and regime, decay, returns by quantile, turnover, correlation with the live book, coverage, capacity.
    """
    from midas_engine.evaluator import tearsheet_figures, write_tearsheet

    settings = shared.settings()
    record = find_record(settings, name)
    if record is not None:
        gate = gate or record.gate
        hold = hold or record.hold_bars
        settings = at_horizon(settings, record.horizon_bars)
    judged = judge_expression(
        settings,
        name if record is None else record.expression,
        part=part,
        trials=trials,
        name="" if record is None else record.name,
        gate=gate,
        hold=hold,
    )
    values, context, triggers = judged.arrays()
    figures = tearsheet_figures(
        values,
        context,
        judged.verdict,
        gate=triggers,
        expression=judged.expression + _held(gate, hold, context.target),
        participation=participation,
    )
    page, data = write_tearsheet(figures, out or Path("tearsheet.html"))
    document = {"page": str(page), "figures_file": str(data), **figures}
    shared.show(document, lambda: _text(judged, page, data))


def _text(judged: Judged, page: Path, data: Path) -> str:
    outcome = "accepted" if judged.verdict.overall_pass else "refused by " + ", ".join(judged.verdict.failed_agents)
    return f"{clean(judged.expression)}: {outcome}\nTear sheet: {clean(page)}\nThe same figures: {clean(data)}"


def _held(gate: str, hold: int, target: int) -> str:
    """What is said beside an expression that acts on some bars only, or is held for another time than its horizon."""
    if gate:
        return f"  when {gate}, held {hold or target} bars"
    return f"  held {hold} bars" if hold else ""
