"""What was tried before by another session: answered from the record, never scored, charged or saved again."""

from __future__ import annotations

import asyncio
import dataclasses
import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from midas_engine.dsl.expression import parse
from midas_engine.errors import ExpressionError
from midas_engine.events import AgentRow
from midas_engine.journal.transcript import text_hash
from midas_engine.loops.likeness import LIKENESS
from midas_engine.proposer.protocol import TrialResult

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from midas_engine.evaluator.trials.ledger import Trial, TrialKey
    from midas_engine.kb import KnowledgeBase
    from midas_engine.loops.likeness import Beside
    from midas_engine.loops.trial_account import TrialAccount
    from midas_engine.models import FeatureRecord
    from midas_engine.proposer.protocol import Proposal
    from midas_engine.settings import DslLimits, Settings


@dataclass(frozen=True, slots=True)
class KnownTrial:
    """A trial that another session paid for, as this one hears of it.

    Attributes:
        key: The digest of its identity.
        result: What the researcher is told.
        trials: What its line was drawn for.
        agents: The scorecard.
        feature: The feature of the base that it is, with its state; empty when it is none.
    """

    key: str
    result: TrialResult
    trials: int = 1
    agents: tuple[AgentRow, ...] = ()
    feature: str = ""


@dataclass(frozen=True, slots=True)
class Lookup:
    """Where a proposal is looked up before it is judged.

    Attributes:
        kb: The base.
        account: Of whoever asks.
        rules: What verdicts are judged by now.
        beside: What it would be judged beside.
        limits: Of expressions.
        alone: Whoever asks saves nothing, and hears of its own trials too.
    """

    kb: KnowledgeBase
    account: TrialAccount
    rules: str
    beside: Beside
    limits: DslLimits
    alone: bool = False

    async def known(self, proposal: Proposal, key: TrialKey, iteration: int) -> KnownTrial | None:
        """The answer of the record; None when it has none: a verdict that says nothing any more will be replaced."""
        trial = await self.account.earlier(key, own=self.alone)
        if trial is None:
            return None
        feature = same_feature(await asyncio.to_thread(self.kb.features), key, self.limits)
        found = known_trial(trial, proposal, iteration, self.rules, self.beside, feature, unsaved=self.alone)
        if found is None:
            self.account.judge_again(trial)
        return found


def rules_mark(settings: Settings, thresholds: Mapping[str, Any]) -> str:
    """A hash of what verdicts are judged by: a trial that was judged otherwise says nothing of this session's gates."""
    evaluation = settings.evaluation
    how = (evaluation.horizons, evaluation.target, evaluation.sealed_share, evaluation.mode)
    return text_hash(str(sorted(dataclasses.asdict(settings.costs).items())), str(how), repr(thresholds))[:16]


def same_feature(
    records: Iterable[FeatureRecord], key: TrialKey, limits: DslLimits | None = None
) -> FeatureRecord | None:
    """The feature of this identity, in whatever state: canonical form, gate and holding, data set, horizon.

    A feature that does not say what it was measured on is the same one on any data.
    """
    for record in records:
        if record.hold_bars != key.hold or _canonical(record.expression, limits) != key.canonical:
            continue
        if (_canonical(record.gate, limits) if record.gate else "") != key.gate:
            continue
        if record.metrics.get("measured_on", key.snapshot) == key.snapshot:
            horizon = record.horizon_bars or record.metrics.get("horizon", key.horizon)
            if horizon == key.horizon:
                return record
    return None


@lru_cache(maxsize=8192)
def _canonical(text: str, limits: DslLimits | None) -> str:
    try:
        return parse(text, limits=limits).canonical
    except ExpressionError:
        return ""  # of another version, or by hand: it is no expression of this program


def known_trial(
    trial: Trial,
    proposal: Proposal,
    iteration: int,
    rules: str,
    beside: Beside,
    feature: FeatureRecord | None,
    *,
    unsaved: bool = False,
) -> KnownTrial | None:
    """`trial` as an answer to `proposal`; None when it does not answer it.

    It does not when it was never scored, when it was judged by other rules, when it was refused for its likeness alone
    and what it was like is gone or not traded any more, or when it passed and nothing in the base is of it: its session
    ended before it was saved. With `unsaved` that answers too, for who saves nothing.
    """
    kept = trial.summary
    if trial.outcome != "scored" or kept.get("rules") != rules:
        return None
    failed = tuple(str(name) for name in kept.get("failed", ()))
    if trial.accepted and feature is None and not unsaved:
        return None
    if feature is None and failed == LIKENESS and not beside.refuses(kept):
        return None
    state = "" if feature is None else f"{feature.name} ({feature.state.value})"
    result = TrialResult(
        iteration,
        proposal.name,
        proposal.expression,
        passed=trial.accepted,
        score_t=_number(trial.score_t),
        rank_ic=_number(kept.get("rank_ic")),
        line_t=_number(kept.get("line_t")),
        composite=float(kept.get("composite") or 0.0),
        turnover=_number(kept.get("turnover")),
        net_bps=_number(kept.get("net_bps")),
        rank_ic_se=_number(kept.get("rank_ic_se")),
        net_se=_number(kept.get("net_se")),
        failed_agents=failed,
        verdicts=tuple(_verdict_line(row) for row in kept.get("agents", ())),
        suggestions=tuple(str(text) for text in kept.get("suggestions", ())),
        rationale=proposal.rationale,
        known=f"as {state}" if state else f"in session {trial.session}",
    )
    rows = tuple(
        AgentRow(agent=str(agent), passed=bool(passed), score=float(score), summary=str(words))
        for agent, passed, score, words in kept.get("agents", ())
    )
    return KnownTrial(trial.key, result, int(kept.get("trials") or 1), rows, state)


def _verdict_line(row: Any) -> str:
    agent, passed, score, words = row
    return f"{agent}: {'pass' if passed else 'FAIL'} {float(score):.2f}, {words}"


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else math.nan
