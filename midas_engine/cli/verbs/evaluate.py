"""`midas evaluate EXPR`: every figure of one expression and the six verdicts."""

from __future__ import annotations

from dataclasses import dataclass

import click

from midas_engine.cli.context import ExpressionVerb, Shared
from midas_engine.cli.judging import Judged, judge_expression
from midas_engine.cli.options import event_options, pass_options
from midas_engine.cli.output import clean
from midas_engine.cli.scorecard import scorecard


@dataclass(frozen=True, slots=True)
class EvaluateOptions:
    """What `midas evaluate` is told, as it was typed."""

    expression: str
    horizon: int | None
    existing: tuple[str, ...]
    gate: str
    hold: int
    part: str
    target: str | None
    trials: int | None


@click.command(
    cls=ExpressionVerb,
    example=(
        'midas evaluate "cs_rank(ts_mean(funding_rate, 24))" --data sample',
        'midas evaluate "-ts_zscore(close, 24)" --horizon 4 --existing "cs_rank(returns)" --json',
        'midas evaluate "-returns" --gate "ts_zscore(volume, 168) > 3" --hold 4',
    ),
)
@click.argument("expression")
@click.option("--horizon", type=click.IntRange(1), metavar="BARS", help="Target horizon [default: from the settings].")
@click.option("--existing", multiple=True, metavar="EXPR", help="Compare with this expression too; may be repeated.")
@event_options
@click.option(
    "--part",
    type=click.Choice(["research", "all"]),
    default="research",
    show_default=True,
    help="Which part of the history is scored.",
)
@click.option(
    "--for", "target", metavar="SOURCE", help="Only columns that live:EXCHANGE[@BAR] has [default: the setting target]."
)
@click.option("--trials", type=click.IntRange(1), help="Candidates tried so far; draws the line of acceptance.")
@pass_options(EvaluateOptions)
def evaluate(shared: Shared, typed: EvaluateOptions) -> None:
    """Score one expression: every metric with its error, then the six verdicts.

    The research part of the history is scored, so that the sealed part stays unseen.
    """
    settings = shared.settings(evaluation__target=typed.horizon, target=typed.target)
    judged = judge_expression(
        settings,
        typed.expression,
        existing=typed.existing,
        part=typed.part,
        trials=typed.trials,
        gate=typed.gate,
        hold=typed.hold,
    )
    shared.show(judged.document, lambda: _text(judged))


def _text(judged: Judged) -> str:
    span = f"{clean(judged.source)}, {judged.part}: {judged.bars[0]} to {judged.bars[1]} UTC"
    compared = f", compared with {', '.join(map(clean, judged.compared))}" if judged.compared else ""
    mode = judged.verdict.evaluation.extra.get("mode")
    scored = f", scored {'in time' if mode == 'time' else 'as a cross-section'}" if mode else ""
    head = [clean(judged.expression), f"{span}, bars of {judged.bar_hours:g} h{scored}{compared}"]
    if judged.capacity_usd == judged.capacity_usd:
        head.append(f"capacity ${judged.capacity_usd:,.0f} of gross exposure at 1 % of the traded volume")
    if judged.canonical != judged.expression:
        head.insert(1, f"= {clean(judged.canonical)}")
    return "\n".join(head) + "\n\n" + scorecard(judged.verdict)
