"""`midas explain NAME`: what a feature is, why it was accepted or refused, and how far it was."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import click

from midas_engine.cli.context import ExpressionVerb, Shared, pass_shared
from midas_engine.cli.judging import Judged, at_horizon, judge_expression
from midas_engine.cli.open_base import find_record, find_trial
from midas_engine.cli.options import event_options
from midas_engine.cli.output import clean, moment, table
from midas_engine.cli.scorecard import scorecard
from midas_engine.text import number

if TYPE_CHECKING:
    from midas_engine.evaluator.trials.ledger import Trial
    from midas_engine.models import FeatureRecord, MultiAgentResult

# Standard errors beyond the line at which a test of this effect succeeds in 80 of 100 samples.
_POWER = 0.8416


@click.command(
    cls=ExpressionVerb,
    example=("midas explain vwap_zscore_mean_rev --kb ./midas-kb", 'midas explain "cs_rank(-returns)" --data sample'),
)
@click.argument("name")
@event_options
@click.option("--trials", type=click.IntRange(1), help="Candidates tried so far; draws the line of acceptance.")
@pass_shared
def explain(shared: Shared, name: str, gate: str, hold: int, trials: int | None) -> None:
    """Say why a feature, an expression, or anything a session ever tried (by its name) is accepted or refused.

    It is scored again on the research part; the figures saved with a feature are shown beside that.
    """
    settings = shared.settings()
    record = find_record(settings, name)
    tried = None if record is not None else find_trial(settings, name)
    expression, called = name, ""
    if record is not None:
        expression, called, gate, hold = record.expression, record.name, gate or record.gate, hold or record.hold_bars
        settings = at_horizon(settings, record.horizon_bars)
    elif tried is not None:
        expression, called, gate, hold = tried.canonical, name, gate or tried.gate, hold or tried.hold
        trials = trials or tried.summary.get("trials")
        settings = at_horizon(settings, 0 if gate else tried.horizon)
    judged = judge_expression(settings, expression, trials=trials, name=called, gate=gate, hold=hold)
    distance = how_far(judged.verdict)
    document = {
        "feature": record,
        "saved": record.metrics if record else {},
        "trial": tried,
        "distance": distance,
        **judged.document,
    }
    shared.show(document, lambda: _text(record, tried, judged, distance))


def how_far(verdict: MultiAgentResult) -> dict[str, Any]:
    """Distance to every gate that refused, and the bars a significant score would take at this effect.

    The t of a steady effect grows with the square root of the bars, so bars x ((line + 0.84) / t)^2 give the
    line in 80 of 100 samples.
    """
    e = verdict.evaluation
    missing = [
        {"gate": g.name, "value": g.value, "comparison": g.comparison, "threshold": g.threshold}
        for v in verdict.verdicts
        for g in v.gates
        if not g.passed
    ]
    needed = math.nan
    if e.score_t > 0 and math.isfinite(verdict.line_t):
        needed = e.bars_scored * ((verdict.line_t + _POWER) / e.score_t) ** 2
    return {
        "missing": missing,
        "bars_scored": e.bars_scored,
        "bars_needed": needed,
        "years_needed": needed / e.bars_per_year if e.bars_per_year else math.nan,
        "smallest_detectable_ic": e.smallest_detectable_ic,
    }


def _text(record: FeatureRecord | None, tried: Trial | None, judged: Judged, distance: dict[str, Any]) -> str:
    blocks = [_about(record)] if record is not None else [_about_trial(tried)] if tried is not None else []
    span = f"{clean(judged.source)}, {judged.part}: {judged.bars[0]} to {judged.bars[1]} UTC"
    blocks.append(f"{clean(judged.expression)}\n{span}\n\n{scorecard(judged.verdict)}")
    blocks.append(_distance(judged.verdict, distance))
    blocks.append(_worst(judged))
    return "\n\n".join(b for b in blocks if b)


def _about(record: FeatureRecord) -> str:
    rows = [
        ["feature", f"{record.name}, version {record.version}"],
        ["state", record.state.value + (" (killed)" if record.killed else "") + (" (paused)" if record.paused else "")],
        ["created", moment(record.created_at)],
        ["reason", record.reason],
        ["hypothesis", record.hypothesis],
        ["expected score", number(record.expected_score, 4) if record.expected_score is not None else "uncalibrated"],
        ["lineage", " -> ".join([*record.lineage, record.name]) if record.lineage else ""],
    ]
    saved = [[key, value] for key, value in record.metrics.items() if isinstance(value, int | float | str)]
    block = table([row for row in rows if row[1]])
    return f"{block}\n\nSaved with it\n{table(saved)}" if saved else block


def _about_trial(trial: Trial) -> str:
    rows = [
        ["tried as", trial.summary.get("name", "")],
        ["in session", f"{trial.session}, {trial.at[:16].replace('T', ' ')} UTC"],
        ["verdict then", "passed research" if trial.accepted else "refused by " + ", ".join(trial.summary["failed"])],
        *(
            ["missed then", f"{gate} {number(value)}, needed {comparison} {number(threshold)}"]
            for gate, value, comparison, threshold in trial.summary.get("missed", ())
        ),
        *([["nearest then", trial.summary["nearest"]]] if trial.summary.get("nearest") else []),
        ["line then", f"t {number(trial.summary.get('line_t'), 2)} for {trial.summary.get('trials')} trials"],
    ]
    return f"From the trial ledger\n{table(rows)}"


def _distance(verdict: MultiAgentResult, distance: dict[str, Any]) -> str:
    if verdict.overall_pass:
        return "Every gate held."
    rows = [
        [m["gate"], number(m["value"]), f"needs {m['comparison']}", number(m["threshold"])] for m in distance["missing"]
    ]
    lines = ["How far it was", table(rows, right="lrlr")]
    t = verdict.evaluation.score_t
    if t > 0 and t < verdict.line_t:
        needed = f"{distance['bars_needed']:,.0f} bars ({distance['years_needed']:.1f} years)"
        lines.append(
            f"  A score this strong needs about {needed} to pass the line in 80 of 100 samples; "
            f"{distance['bars_scored']:,} were scored."
        )
    elif t <= 0:
        lines.append("  More data would not help: the score is not positive.")
    lines.append(f"  The smallest IC this sample can tell from zero is {number(distance['smallest_detectable_ic'])}.")
    return "\n".join(lines)


def _worst(judged: Judged) -> str:
    bars = judged.verdict.evaluation.extra.get("worst_bars")
    if not bars:
        return ""
    rows = [[b["at"], number(b["score"], 2, sign=True)] for b in bars]
    return f"Worst bars\n{table(rows, ('bar (UTC)', 'score'), right='lr')}"
