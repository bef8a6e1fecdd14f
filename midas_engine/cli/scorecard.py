"""A verdict as text: every figure with its error, then the six agents and what they advise."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from midas_engine.cli.output import clean, paint, table, verdict
from midas_engine.evaluator.reports.said_first import said_first
from midas_engine.text import number, p_text

if TYPE_CHECKING:
    from midas_engine.models import AgentVerdict, Estimate, EvaluationResult, MultiAgentResult


def estimate(value: Estimate, digits: int = 4) -> list[str]:
    """Point, standard error and 90 % interval as three cells."""
    error = f"± {number(value.se, digits)}" if math.isfinite(value.se) else ""
    known = math.isfinite(value.low) and math.isfinite(value.high)
    span = f"[{number(value.low, digits, sign=True)}, {number(value.high, digits, sign=True)}]" if known else ""
    return [number(value.value, digits, sign=True), error, span]


def scorecard(result: MultiAgentResult) -> str:
    """The whole verdict, about sixty lines."""
    e = result.evaluation
    first = [clean(line) for line in said_first(result)]
    blocks = [
        "\n".join(paint(line, "yellow") for line in first),
        table(_headline(e), ("", "value", "± se", "90 % interval"), right="lrll"),
        _costs(e),
        _standing(e),
        _event(e),
        _by_horizon(e),
        _folds(e),
        _regimes(e),
        *(["Warnings\n" + "\n".join(f"  {clean(w)}" for w in e.warnings)] if e.warnings else []),
        _conclusion(result),
        "\n".join(_agent(v) for v in result.verdicts),
    ]
    return "\n\n".join(block for block in blocks if block)


def _headline(e: EvaluationResult) -> list[list[str]]:
    half_life = estimate(e.half_life_hours, 1)
    if not e.half_life_known:
        half_life[0] = "unknown"
    return [
        ["rank IC", *estimate(e.rank_ic)],
        ["IC (Pearson)", *estimate(e.ic)],
        ["score per bar", *estimate(e.score)],
        ["score t", number(e.score_t, 2, sign=True), "", f"p = {p_text(e.score_p)}"],
        ["IR, annual", *estimate(e.ir, 2)],
        ["half-life, hours", *half_life],
        ["marginal IC", *estimate(e.marginal_ic)[:2], f"t = {number(e.marginal_t, 2)}"],
        ["in-sample score", *estimate(e.is_ic)],
        ["out-of-sample score", *estimate(e.oos_ic)],
        ["overfit IS/OOS", number(e.overfit_ratio, 2), "", f"z = {number(e.overfit_z, 2)}"],
        ["smallest detectable IC", number(e.smallest_detectable_ic), "", "80 % power at the line"],
        ["effective breadth", number(e.effective_breadth, 1), "", f"{e.symbols} symbols"],
        ["bars scored", str(e.bars_scored), "", f"coverage {e.coverage:.1%}" if math.isfinite(e.coverage) else ""],
        ["composite", number(e.composite_score, 3), "", "0 to 1; ranks, never accepts"],
    ]


def _costs(e: EvaluationResult) -> str:
    rows = [
        ["turnover per bar", number(e.turnover, 3), "", "share of gross"],
        ["gross", *_money(e, "gross", e.gross_bps), "bps per bar and unit gross"],
        ["funding paid", number(_extra(e, "funding_bps"), 3, sign=True), "", _funding(e)],
        ["net of costs and funding", *_money(e, "net", e.net_bps), "bps per bar and unit gross"],
        ["net per trade", number(e.net_bps_per_trade, 2, sign=True), "", "bps"],
        ["one-way cost", number(e.cost_bps, 2), "", "bps of traded notional"],
        ["effective IC", *_effective(e), "rank IC x net / gross"],
        ["break-even IC", *_money(e, "break_even", e.break_even_ic, 4), "IC that pays the trading costs"],
        [
            "largest correlation",
            number(e.max_correlation, 2),
            "",
            f"with {e.most_correlated}" if e.most_correlated else "no deployed feature",
        ],
    ]
    return f"Trading\n{table(rows, right='lrll')}"


def _funding(e: EvaluationResult) -> str:
    """The unit of funding, and how much of it is not known and counts as nothing in what is left."""
    share, lacks = _extra(e, "funding_known"), e.extra.get("funding_lacks")
    said = "bps per bar and unit gross"
    if not math.isfinite(share):
        return said
    names = [clean(str(s)) for s in lacks] if isinstance(lacks, list) else []
    none = f", none of {', '.join(names[:3])}{f' and {len(names) - 3} more' if len(names) > 3 else ''}" if names else ""
    return f"{said}; known on {share:.0%} of the bars{none}: the rest counts as nothing"


def _money(e: EvaluationResult, key: str, value: float, digits: int = 3) -> list[str]:
    """A figure and its 90 % interval, where its error is known."""
    found = e.extra.get(key)
    point = number(value, digits, sign=key != "break_even")
    if not isinstance(found, dict) or not math.isfinite(found["se"]):
        return [point, ""]
    return [point, f"[{number(found['low'], digits, sign=True)}, {number(found['high'], digits, sign=True)}]"]


def _effective(e: EvaluationResult) -> list[str]:
    """The effective IC and its 90 % interval: that of net, in units of the IC."""
    found, point = e.extra.get("net"), number(e.effective_ic, 4, sign=True)
    if not isinstance(found, dict) or not math.isfinite(found["se"]) or not e.gross_bps * e.rank_ic.value > 0.0:
        return [point, ""]
    size = abs(e.rank_ic.value / e.gross_bps)
    return [point, f"[{number(found['low'] * size, 4, sign=True)}, {number(found['high'] * size, 4, sign=True)}]"]


def _standing(e: EvaluationResult) -> str:
    """The two parts of a cross-sectional feature: who the symbols are, and what moves."""
    found = e.extra.get("standing")
    if not isinstance(found, dict):
        return ""
    rows = []
    for title, key in (("differs for good", "standing"), ("moves", "moving")):
        part = found[key]
        score = part["score"]
        rows.append(
            [title, number(score["value"], 4, sign=True), f"± {number(score['se'])}", number(part["t"], 2, sign=True),
             number(part["net_bps"], 3, sign=True)]
        )  # fmt: skip
    share = found["standing_variance"]
    head = ("", "score", "± se", "t", "net bps a bar")
    title = f"What differs between symbols for good ({share:.0%} of the variance of its ranks), and what moves"
    return f"{title}\n{table(rows, head, right='lrlrr')}"


def _extra(e: EvaluationResult, key: str) -> float:
    value = e.extra.get(key)
    return float(value) if isinstance(value, int | float) else math.nan


def _event(e: EvaluationResult) -> str:
    """Figures per trigger, when the feature is scored on the bars of a gate only."""
    found = e.extra.get("event")
    if not isinstance(found, dict):
        return ""
    rows = [[name.replace("_", " "), number(float(v), 3)] for name, v in found.items() if isinstance(v, int | float)]
    return f"On triggers\n{table(rows, right='lr')}"


def _by_horizon(e: EvaluationResult) -> str:
    rows = [[name, *estimate(value)] for name, value in e.ic_by_horizon.items()]
    return f"Rank IC by horizon\n{table(rows, right='lr')}" if rows else ""


def _folds(e: EvaluationResult) -> str:
    rows = [
        [f.start[:10], f.end[:10], number(f.mean, 4, sign=True), f"± {number(f.se)}", number(f.t, 2), str(f.bars)]
        for f in e.folds
    ]
    head = ("from", "to", "score", "± se", "t", "bars")
    return f"Purged folds\n{table(rows, head, right='llrlrr')}" if rows else ""


def _regimes(e: EvaluationResult) -> str:
    rows = [[name, *estimate(value), str(e.regime_bars.get(name, 0))] for name, value in e.ic_by_regime.items()]
    if not rows:
        return ""
    head = ("", "score", "± se", "90 % interval", "bars")
    return f"By regime (equal across regimes: p = {p_text(e.regime_q_p)})\n{table(rows, head, right='lrllr')}"


def _conclusion(result: MultiAgentResult) -> str:
    if result.overall_pass:
        undecided = any(v.summary.startswith("undecided") for v in result.verdicts if v.agent == "trading_cost")
        word = paint("ACCEPTED, costs undecided" if undecided else "ACCEPTED", "green")
    elif result.statistical_pass:
        word = paint("REFUSED on economic grounds", "yellow")
    else:
        word = paint("REFUSED", "red")
    trials = f"{result.trials} candidate{'s' if result.trials != 1 else ''} tried"
    return f"{word}   score t {number(result.evaluation.score_t, 2)} against {number(result.line_t, 2)} ({trials})"


def _agent(v: AgentVerdict) -> str:
    lines = [f"{verdict(v.passed)} {v.agent:<18} {number(v.score, 2)}  {clean(v.summary)}"]
    for gate in v.gates:
        mark = " " if gate.passed else "x"
        detail = f"  {clean(gate.detail)}" if gate.detail else ""
        lines.append(f"   {mark} {gate.name} {_short(gate.value)} {gate.comparison} {_short(gate.threshold)}{detail}")
    lines.extend(f"     -> {clean(s)}" for s in v.suggestions)
    return "\n".join(lines)


def _short(value: float) -> str:
    return f"{value:.4g}" if math.isfinite(value) else "unknown"
