"""A session's account at the trial ledger: every try is charged before anyone hears its verdict."""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import math
import re
from typing import TYPE_CHECKING, Any

from midas_engine.loops.likeness import LIKENESS
from midas_engine.loops.records import net_error

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from midas_engine.clock import Clock
    from midas_engine.evaluator.trials.holdout import HoldoutLook
    from midas_engine.evaluator.trials.ledger import Trial, TrialKey, TrialLedger
    from midas_engine.hypothesis import Hypothesis
    from midas_engine.loops.likeness import Beside
    from midas_engine.models import MultiAgentResult
    from midas_engine.proposer.protocol import Proposal
    from midas_engine.search.measure import Finalist

_WORD = re.compile(r"[a-z_][a-z0-9_]*")


class TrialAccount:
    """Charges trials and looks at the sealed part. Every method waits for the disk in a thread.

    Args:
        ledger: Where they are kept.
        session: Who pays.
        snapshot: Content hash of the data.
        horizon: Target in bars.
        owned: Close the ledger at the end.

    Attributes:
        about: Kept with every scored trial: who proposes, and the mark of the rules it was judged by.
    """

    def __init__(self, ledger: TrialLedger, session: str, snapshot: str, horizon: int, *, owned: bool) -> None:
        self._ledger, self._session = ledger, session
        self._snapshot, self._horizon = snapshot, horizon
        self._owned = owned
        self.about: dict[str, Any] = {}
        self._replaced: dict[str, int] = {}

    @classmethod
    async def open(
        cls, ledger: TrialLedger | Path, session: str, snapshot: str, horizon: int, planned: int, clock: Clock
    ) -> TrialAccount:
        """An account whose line is drawn for `planned` trials from the first on; a path is opened, and closed later."""
        from midas_engine.evaluator.trials.ledger import TrialLedger

        owned = not isinstance(ledger, TrialLedger)
        book = ledger if isinstance(ledger, TrialLedger) else await asyncio.to_thread(TrialLedger, ledger, clock=clock)
        await asyncio.to_thread(book.plan, session, planned)
        return cls(book, session, snapshot, horizon, owned=owned)

    @property
    def horizon(self) -> int:
        """Target in bars."""
        return self._horizon

    def key(self, canonical: str, gate: str = "", hold: int = 0, horizon: int = 0) -> TrialKey:
        """What makes two tries the same one; without a horizon of its own a try is about the settings' target."""
        from midas_engine.evaluator.trials.ledger import TrialKey

        return TrialKey(canonical, self._snapshot, horizon or self._horizon, gate, hold)

    async def charge(
        self,
        key: TrialKey,
        verdict: MultiAgentResult,
        claim: Hypothesis | None = None,
        beside: Beside | None = None,
    ) -> bool:
        """Charge a scored trial, with what it claimed; False when the same one was paid for before.

        Args:
            key: What was tried.
            verdict: What came of it.
            claim: What its proposer said of it.
            beside: What it was judged beside: kept where nothing but its likeness speaks against it.
        """
        e = verdict.evaluation
        summary = {
            "name": e.feature_name, "rank_ic": e.rank_ic.value, "line_t": verdict.line_t, "trials": verdict.trials,
            "composite": verdict.composite_score, "failed": list(verdict.failed_agents),
            "statistical": verdict.statistical_pass, "missed": _missed(verdict),
            "nearest": e.most_correlated, "rank_ic_se": e.rank_ic.se, "turnover": e.turnover, "net_bps": e.net_bps,
            "net_se": net_error(verdict),
            "agents": [[v.agent, v.passed, round(v.score, 4), v.summary[:200]] for v in verdict.verdicts],
            "suggestions": [text[:200] for text in verdict.suggestions[:8]], **self.about,
        }  # fmt: skip
        if e.half_life_known and math.isfinite(e.half_life_hours.value):
            summary["half_life_bars"] = e.half_life_hours.value / float(e.extra.get("hours_per_bar") or 1.0)
        if beside is not None and verdict.failed_agents == LIKENESS:
            summary["beside"] = beside.kept(e.most_correlated)
        if claim is not None:
            summary["hypothesis"] = dataclasses.asdict(claim)
        if added := _plugins_in(key, verdict):
            summary["plugins"] = added
        return await self._record(
            key, score_t=e.score_t, p=e.score_p, accepted=verdict.overall_pass, summary=summary, outcome="scored",
            instead_of=self._replaced.pop(key.digest, 0),
        )  # fmt: skip

    async def charge_family(
        self,
        finalists: Sequence[Finalist],
        evaluated: int,
        level: float,
        about: Mapping[str, Any] | None = None,
        asked: str = "",
    ) -> bool:
        """Charge a screened family: one trial, whatever it held; False when the very same one was paid for before.

        Args:
            finalists: What met the check slice.
            evaluated: Trees that met a return.
            level: Of the test.
            about: Added to the trial's summary.
            asked: Mark of all its trees: without finalists nothing else tells two families of one size apart.
        """
        text = "\n".join([*(f.text for f in finalists), asked])
        key = self.key(f"screened family {hashlib.sha256(text.encode()).hexdigest()[:16]} of {evaluated}")
        summary = {
            "name": "screened family", "evaluated": evaluated, "level": level,
            "finalists": [[f.text[:400], f.t, f.p] for f in finalists], **self.about, **(about or {}),
        }  # fmt: skip
        best = min((f.p for f in finalists if math.isfinite(f.p)), default=None)
        return await self._record(key, outcome="screened", p=best, summary=summary)

    async def earlier(self, key: TrialKey, *, own: bool = False) -> Trial | None:
        """The trial of this identity that another session paid for (or this one, with `own`); None without one."""
        found = await asyncio.to_thread(self._ledger.find, key)
        return found if found is not None and (own or found.session != self._session) else None

    def judge_again(self, trial: Trial) -> None:
        """The verdict of this trial on record says nothing any more: the one that comes next takes its place."""
        self._replaced[trial.key] = trial.seq

    async def used(self) -> int:
        """Trials that this session paid for."""
        return await asyncio.to_thread(self._ledger.counted, self._session)

    async def charge_unscored(self, proposal: Proposal, reason: str, outcome: str) -> bool:
        """Charge a try that was refused before scoring ("invalid") or could not be scored ("failed")."""
        key = self.key(proposal.expression[:4000], proposal.gate[:4000], proposal.hold, proposal.horizon)
        return await self._record(key, outcome=outcome, summary={"name": proposal.name[:80], "reason": reason[:500]})

    async def _record(self, key: TrialKey, **row: Any) -> bool:
        return not (await asyncio.to_thread(self._ledger.record, key, self._session, **row)).repeated

    async def look(self, key: TrialKey, verdict: MultiAgentResult) -> HoldoutLook:
        """Charge the one look at the sealed part that `verdict` is."""
        from midas_engine.evaluator.trials.holdout import SealedHoldout, sealed_vetoes

        holdout, result = SealedHoldout(self._ledger), verdict.evaluation
        against = sealed_vetoes(verdict)
        return await asyncio.to_thread(
            holdout.charge, key, result, session=self._session, name=result.feature_name, vetoes=against
        )

    async def next_level(self) -> float:
        """What the next look will be charged."""
        from midas_engine.evaluator.trials.holdout import SealedHoldout

        state = await asyncio.to_thread(SealedHoldout(self._ledger).state)
        return state.level()

    async def close(self) -> None:
        """Close a ledger that was opened here."""
        if self._owned:
            await asyncio.to_thread(self._ledger.close)


def _plugins_in(key: TrialKey, verdict: MultiAgentResult) -> dict[str, str]:
    """What plug-ins had a part in this trial, operators and agents, and which package brought each."""
    from midas_engine.dsl.registry import OPERATORS
    from midas_engine.evaluator.gates.agents import AGENTS

    words = set(_WORD.findall(f"{key.canonical} {key.gate}"))
    found = {name: OPERATORS.origin(name) for name in words & set(OPERATORS)}
    found |= {agent.agent: AGENTS.origin(agent.agent) for agent in verdict.verdicts}
    return {name: origin for name, origin in sorted(found.items()) if origin}


def _missed(verdict: MultiAgentResult) -> list[list[Any]]:
    """Every gate that refused: its name, the figure, and what was asked of it."""
    return [[g.name, g.value, g.comparison, g.threshold] for v in verdict.verdicts for g in v.gates if not g.passed]
