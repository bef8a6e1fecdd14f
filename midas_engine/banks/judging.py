"""`judge_bank`: every expression of a bank scored, charged as one family and judged at the family's own line."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from midas_engine.banks.groups import as_one_group
from midas_engine.banks.reading import BadLine, Bank, BankEntry
from midas_engine.banks.result import BankResult, BankRow
from midas_engine.dsl import FeatureEngine
from midas_engine.dsl.nominal import nominal_size
from midas_engine.errors import EvaluationError, ExpressionError
from midas_engine.evaluator import EvaluationContext, ScoringOptions, TrialKey, evaluate_values, judge, split_panel
from midas_engine.evaluator.context.byte_cache import mask_key
from midas_engine.evaluator.gates.thresholds import default_thresholds, validate_thresholds
from midas_engine.market.regimes import regime_labels
from midas_engine.stats.bootstrap import block_length
from midas_engine.stats.ranks import blank_flat_rows, sort_rows
from midas_engine.stats.step_down import step_down

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from midas_engine.dsl.expression import Expression
    from midas_engine.evaluator import TrialLedger
    from midas_engine.market import Panel
    from midas_engine.models import EvaluationResult
    from midas_engine.settings import Settings
    from midas_engine.stats._jit import Floats


class _Member:
    """One expression on its way through the family."""

    def __init__(self, entry: BankEntry, parsed: Expression, missing: tuple[str, ...]) -> None:
        self.entry, self.parsed, self.missing = entry, parsed, missing
        self.result: EvaluationResult
        self.scores: Floats


@dataclass(frozen=True, slots=True)
class Charge:
    """Who pays for the trials of a bank.

    Attributes:
        ledger: Where they are charged.
        session: To whom.
    """

    ledger: TrialLedger
    session: str


def judge_bank(
    bank: Bank,
    panel: Panel,
    settings: Settings,
    *,
    existing: Mapping[str, str] | None = None,
    thresholds: Mapping[str, Any] | None = None,
    part: str = "research",
    charge: Charge | None = None,
    told: Callable[[int, int], None] | None = None,
) -> BankResult:
    """Judge a bank as one family.

    Every expression that can be computed is a member, those without a score too, and each is charged
    before anything of it is told. The line is drawn by `midas_engine.stats.step_down` from what the members share.

    Args:
        bank: From `read_bank`.
        panel: The data.
        settings: Costs, parts, limits.
        existing: Deployed features by name; the marginal figures are what is left after them.
        thresholds: Any part of `DEFAULT_THRESHOLDS`; `predictive_power.session_error` is the family's error.
        part: "research", or "all" for the whole history. The sealed part has looks of its own, each charged.
        charge: The ledger and the session that pays; None charges none.
        told: Called with (done, all) while expressions are scored.

    Raises:
        EvaluationError: No expression of the bank can be computed on this data, or another part is asked for.
    """
    if part not in ("research", "all"):
        raise EvaluationError(
            f"a bank is not judged on part {part!r}", hint="research or all; sealed looks are charged"
        )
    limits = default_thresholds() if thresholds is None else validate_thresholds(thresholds)
    level = float(limits["predictive_power"]["session_error"])
    engine = FeatureEngine(panel, limits=settings.dsl, features=dict(existing or {}))
    members, left_out = _members(bank, engine)
    if not members:
        first = left_out[0]
        raise EvaluationError(
            f"no expression of {bank.name} can be computed on this data",
            hint=f"line {first.number}, {first.name}: {first.reason}",
        )
    context = _context(panel, engine, settings, existing or {}, part)
    for done, member in enumerate(members):
        if told is not None:
            told(done, len(members))
        _score(member, engine, context)
    family = step_down(
        np.column_stack([m.scores for m in members]),
        np.array([m.result.score_p for m in members]),
        block_length(context.target),
        level=level,
        seed=settings.seed,
    )
    if charge is not None:
        charge.ledger.plan(charge.session, len(members))
    rows, charged = [], 0
    for member, p, line in zip(members, family.p.tolist(), family.line_p.tolist(), strict=True):
        verdict = judge(member.result, limits, len(members), line_p=line if line == line else level / len(members))
        survives = p <= level
        repeated = False
        if charge is not None:
            key = TrialKey(member.parsed.canonical, panel.identity, context.target)
            summary = {
                "name": member.entry.name, "bank": bank.name, "rank_ic": member.result.rank_ic.value,
                "line_t": verdict.line_t, "trials": len(members), "adjusted_p": p,
                "failed": list(verdict.failed_agents), "statistical": verdict.statistical_pass,
            }  # fmt: skip
            repeated = charge.ledger.record(
                key, charge.session, outcome="scored" if p == p else "failed", score_t=member.result.score_t,
                p=member.result.score_p, accepted=survives and verdict.overall_pass, summary=summary,
            ).repeated  # fmt: skip
            charged += not repeated
        rows.append(
            BankRow(
                member.entry.number, member.entry.name, member.parsed.text, member.parsed.canonical, verdict, p,
                survives, member.missing, repeated, level / line if line > 0.0 else float(len(members)),
            )
        )  # fmt: skip
    return BankResult(
        bank=bank,
        rows=tuple(sorted(rows, key=_rank)),
        left_out=tuple(sorted((*bank.bad, *left_out), key=lambda line: line.number)),
        trials=len(members),
        effective=family.effective,
        level=level,
        session="" if charge is None else charge.session,
        charged=charged,
        part=part,
        bars=(str(context.timestamps[0])[:16], str(context.timestamps[-1])[:16]),
        snapshot=panel.identity,
    )


def _rank(row: BankRow) -> tuple[float, float, int]:
    p, t = row.adjusted_p, row.verdict.evaluation.score_t
    return (p if p == p else math.inf, -t if t == t else math.inf, row.number)


def _members(bank: Bank, engine: FeatureEngine) -> tuple[list[_Member], list[BadLine]]:
    """What this data can speak of, and what it cannot, with the reason."""
    members, left_out = [], []
    seen: dict[str, BankEntry] = {}
    for entry in bank.entries:
        try:
            text, missing = as_one_group(entry.expression, engine.panel.columns, limits=engine.limits)
            parsed = engine.parse(text)
            engine.values(parsed)  # held by the engine's cache where it is worth it
        except ExpressionError as error:
            left_out.append(BadLine(entry.number, entry.name, error.message))
            continue
        twin = seen.setdefault(parsed.canonical, entry)
        if twin is not entry:
            left_out.append(BadLine(entry.number, entry.name, f"the same feature as {twin.name} on this data"))
            continue
        members.append(_Member(entry, parsed, missing))
    return members, left_out


def _context(
    panel: Panel, engine: FeatureEngine, settings: Settings, existing: Mapping[str, str], part: str
) -> EvaluationContext:
    chosen = settings.evaluation
    rows = None if part == "all" else split_panel(panel, settings, chosen.target).named(part)
    return EvaluationContext.from_panel(
        panel,
        horizons=chosen.horizons,
        existing={name: engine.values(text) for name, text in existing.items()},
        regimes=regime_labels(panel),
        rows=rows,
        options=ScoringOptions.from_settings(settings, "research" if part == "all" else part),
    )


def _score(member: _Member, engine: FeatureEngine, context: EvaluationContext) -> None:
    """Every figure of a member, and its score of every bar, which the family's bootstrap resamples."""
    values = engine.values(member.parsed)
    member.result = evaluate_values(values, context, member.entry.name, nominal=nominal_size(member.parsed))
    rows = context.lay(context.take(values, member.entry.name))
    rows[np.isinf(rows)] = np.nan
    blank_flat_rows(rows)
    member.scores = context.score(rows, sort_rows(rows), mask_key(rows), context.target).u
