"""A verdict as plain text for people and as a dictionary for machines."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from midas_engine.evaluator.reports.said_first import said_first
from midas_engine.jsonable import plain
from midas_engine.models import Estimate, EvaluationResult, GateCheck, MultiAgentResult
from midas_engine.text import number, p_text


def _interval(e: Estimate, digits: int = 4) -> str:
    if not (math.isfinite(e.low) and math.isfinite(e.high)):
        return ""
    return f"[{number(e.low, digits)}, {number(e.high, digits)}]"


def _rows(r: EvaluationResult) -> list[tuple[str, str, str]]:
    def with_error(name: str, e: Estimate, digits: int = 4) -> tuple[str, str, str]:
        error = f"+- {number(e.se, digits)}  " if e.se == e.se else ""
        return name, number(e.value, digits), f"{error}{_interval(e, digits)}".strip()

    rows = [
        with_error("rank IC", r.rank_ic),
        with_error("Pearson IC", r.ic),
        with_error("score (mean u)", r.score),
        ("score t / one-sided p", number(r.score_t, 2), f"p {p_text(r.score_p)}" if r.score_p == r.score_p else ""),
        with_error("information ratio", r.ir, 2),
        with_error("half-life, hours", r.half_life_hours, 1)
        if r.half_life_known
        else ("half-life, hours", "unknown", _interval(r.half_life_hours, 1)),
        ("turnover per bar", number(r.turnover), ""),
        ("gross, bps per bar", number(r.gross_bps, 3), ""),
        ("funding paid, bps per bar", number(float(r.extra.get("funding_bps", math.nan)), 3), ""),
        ("net, bps per bar", number(r.net_bps, 3), f"at {number(r.cost_bps, 2)} bps one way"),
        ("net, bps per trade", number(r.net_bps_per_trade, 2), ""),
        ("effective IC", number(r.effective_ic), ""),
        ("break-even IC", number(r.break_even_ic), ""),
        ("largest correlation", number(r.max_correlation, 3), r.most_correlated),
        with_error("marginal IC", r.marginal_ic),
        ("marginal t", number(r.marginal_t, 2), ""),
        with_error("in-sample score", r.is_ic),
        with_error("out-of-sample score", r.oos_ic),
        ("IS / OOS", number(r.overfit_ratio, 2), f"z {number(r.overfit_z, 2)}"),
        ("regime homogeneity p", p_text(r.regime_q_p), ""),
        ("effective breadth", number(r.effective_breadth, 2), ""),
        ("composite score", number(r.composite_score, 3), "ranks candidates; never accepts one"),
        ("smallest detectable IC", number(r.smallest_detectable_ic), "80 % power at the session line"),
    ]
    rows += [with_error(f"rank IC {name}", e) for name, e in r.ic_by_horizon.items()]
    rows += [with_error(f"score in {name}", e) for name, e in r.ic_by_regime.items()]
    rows += [
        (
            f"fold {f.start[:10]} to {f.end[:10]}",
            number(f.mean),
            f"+- {number(f.se)}  t {number(f.t, 2)}  {f.bars} bars",
        )
        for f in r.folds
    ]
    for title, part in _parts(r):
        note = f"+- {number(part['score']['se'])}  t {number(part['t'], 2)}  net {number(part['net_bps'], 3)} bps a bar"
        rows.append((f"score that {title}", number(part["score"]["value"]), note))
    event = r.extra.get("event")
    if event:
        rows += [(f"event {key}", number(float(value), 3), "") for key, value in event.items()]
    return rows


def _parts(r: EvaluationResult) -> list[tuple[str, dict[str, Any]]]:
    found = r.extra.get("standing")
    return [("stands", found["standing"]), ("moves", found["moving"])] if found else []


def _gate(gate: GateCheck) -> str:
    mark = "pass" if gate.passed else "FAIL"
    detail = f"  ({gate.detail})" if gate.detail else ""
    return f"    {mark}  {gate.name} {number(gate.value)} {gate.comparison} {number(gate.threshold)}{detail}"


def render(result: MultiAgentResult) -> str:
    """Every metric with its error, the gates and the six verdicts, as plain text of at most about 100 columns."""
    r = result.evaluation
    lines = [
        f"{r.feature_name or 'feature'}",
        (
            f"  horizon {r.horizon_bars} bars, {r.bars_scored} bars scored, "
            f"{r.symbols} symbol{'s' if r.symbols != 1 else ''}, "
            f"coverage {r.coverage:.1%}, {r.extra.get('part', 'research')} part"
        ),
        "",
        *said_first(result),
    ]
    lines += [f"  {name:<28} {value:>10}  {note}".rstrip() for name, value, note in _rows(r)]
    lines += [
        "",
        f"Verdicts (session line t {result.line_t:.2f} for {result.trials} trial{'s' if result.trials != 1 else ''})",
    ]
    for v in result.verdicts:
        kind = " (economic)" if v.economic else ""
        lines.append(f"  {'PASS' if v.passed else 'FAIL'}  {v.agent}{kind}  score {v.score:.2f}  {v.summary}")
        lines += [_gate(g) for g in v.gates]
    if result.suggestions:
        lines += ["", "Suggestions", *(f"  - {tip}" for tip in result.suggestions)]
    if r.warnings:
        lines += ["", "Notes", *(f"  - {note}" for note in r.warnings)]
    outcome = "ACCEPTED: every gate held" if result.overall_pass else "REFUSED by " + ", ".join(result.failed_agents)
    if result.statistical_pass and not result.overall_pass:
        outcome += " (the statistical gates held)"
    return "\n".join([*lines, "", outcome])


def to_dict(result: MultiAgentResult | EvaluationResult) -> dict[str, Any]:
    """The same figures for machines: numbers, strings, lists; what is not a number becomes null."""
    found = plain(dataclasses.asdict(result))
    assert isinstance(found, dict)
    if isinstance(result, MultiAgentResult):
        found["failed_agents"] = list(result.failed_agents)
    return found
