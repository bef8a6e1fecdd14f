"""The sealed holdout: one look per accepted candidate, counted, charged and shown.

A candidate that passed research and confirmation meets the last part of the data once. Its one-sided p there is
the next test of a lifetime stream (LORD++ at 10 %), so that over any number of sessions on pure noise the chance
of promoting anything at all is at most 10 %. Looking again gives the stored answer; it is not a new look.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from midas_engine.errors import EvaluationError
from midas_engine.evaluator.gates.agents import check
from midas_engine.evaluator.metrics.evaluate import evaluate_values
from midas_engine.stats.online_fdr import LIFETIME_ALPHA, LordPlusPlus

if TYPE_CHECKING:
    from midas_engine.evaluator.context.evaluation_context import EvaluationContext
    from midas_engine.evaluator.trials.ledger import TrialKey, TrialLedger
    from midas_engine.models import EvaluationResult, GateCheck


CONFIRMATION_P = 0.05
"""One-sided p a candidate must reach on the confirmation part."""


def confirmation_gates(result: EvaluationResult) -> tuple[GateCheck, ...]:
    """The gates of the confirmation part: the same sign, at 5 % one-sided, and nothing implausible.

    The part is a fifth of the history, too short for the whole set of research gates: on it they would refuse
    most true features. Pass or fail may be told; the figures stay out of every prompt.
    """
    return (
        check("confirmation_p", result.score_p, "<=", CONFIRMATION_P, "one-sided"),
        check("confirmation_ic", result.rank_ic.value, ">", 0.0),
        check("confirmation_plausible", abs(result.rank_ic.value), "<=", 0.30),
    )


@dataclass(frozen=True, slots=True)
class HoldoutLook:
    """What one look said. Its figures never enter a prompt.

    Attributes:
        number: Which look of the lifetime this was, from 1.
        level: The p it had to reach.
        next_level: The p the next look will have to reach.
        repeated: The stored answer of an earlier look.
    """

    passed: bool
    number: int
    p: float
    level: float
    next_level: float
    score_t: float
    rank_ic: float
    bars: int
    repeated: bool = False


class SealedHoldout:
    """Charges looks to a ledger.

    Args:
        ledger: Where looks are kept.
        alpha: Lifetime false discovery rate.
    """

    def __init__(self, ledger: TrialLedger, alpha: float = LIFETIME_ALPHA) -> None:
        self._ledger = ledger
        self._alpha = alpha

    def state(self) -> LordPlusPlus:
        """The stream after every look so far."""
        stream = LordPlusPlus(self._alpha)
        for look in self._ledger.looks():
            stream.tests += 1
            if look["passed"]:
                stream.discoveries.append(stream.tests)
        return stream

    def look(
        self,
        key: TrialKey,
        values: Any,
        context: EvaluationContext,
        *,
        session: str = "",
        name: str = "",
        gate: Any = None,
    ) -> HoldoutLook:
        """Score a candidate on the holdout, once.

        Args:
            key: The candidate.
            values: Its values.
            context: Of the holdout part (`part="holdout"`).
            session: Who is charged.
            name: For the record.
            gate: Of an event feature; the hold is the key's.

        Raises:
            EvaluationError: The context is of another part.
        """
        if context.part != "holdout":
            raise EvaluationError(f"a look at the holdout needs its context, not that of the {context.part} part")
        earlier = self.earlier(key)
        if earlier is not None:
            return earlier
        result = evaluate_values(values, context, name, gate=gate, hold=key.hold)
        return self.charge(key, result, session=session, name=name)

    def earlier(self, key: TrialKey) -> HoldoutLook | None:
        """The stored answer of an earlier look for this key."""
        found = next((look for look in self._ledger.looks() if look["key"] == key.digest), None)
        return None if found is None else self._told(found, repeated=True)

    def charge(self, key: TrialKey, result: EvaluationResult, *, session: str = "", name: str = "") -> HoldoutLook:
        """Charge the look that `result` was, as the next test of the lifetime; a repeated key gets the stored answer.

        Args:
            key: The candidate.
            result: Its figures on the holdout part, wherever they were computed.
            session: Who is charged.
            name: For the record.

        Raises:
            EvaluationError: The figures are of another part.
        """
        if result.extra.get("part") != "holdout":
            raise EvaluationError(f"these figures are of the {result.extra.get('part', 'research')} part")
        earlier = self.earlier(key)
        if earlier is not None:
            return earlier
        level = self.state().level()
        p = result.score_p if math.isfinite(result.score_p) else 1.0
        body = {
            "name": name, "canonical": key.canonical, "snapshot": key.snapshot, "passed": p <= level, "p": p,
            "level": level, "score_t": result.score_t, "rank_ic": result.rank_ic.value, "bars": result.bars_scored,
        }  # fmt: skip
        return self._told(self._ledger.add_look(key.digest, session, body), repeated=False)

    def _told(self, look: dict[str, Any], *, repeated: bool) -> HoldoutLook:
        number = [item["key"] for item in self._ledger.looks()].index(look["key"]) + 1
        return HoldoutLook(
            passed=bool(look["passed"]),
            number=number,
            p=float(look["p"]),
            level=float(look["level"]),
            next_level=self.state().level(),
            score_t=math.nan if look["score_t"] is None else float(look["score_t"]),
            rank_ic=math.nan if look["rank_ic"] is None else float(look["rank_ic"]),
            bars=int(look["bars"]),
            repeated=repeated,
        )
