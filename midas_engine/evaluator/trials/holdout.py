"""The sealed part: one look per candidate, counted, charged and shown.

A candidate that research lets through meets the last part of the data once. Its one-sided p there is the next test of
a lifetime stream (LORD++ at 10 %), so that over any number of sessions on pure noise the chance of promoting anything
at all is at most 10 %. Looking again gives the stored answer; it is not a new look. A quarter of every level is kept
for what the feature shows afterwards in shadow (`midas_engine.stats.graduation`).

What stands against the candidate besides its p (`sealed_vetoes`) makes it no discovery, whatever its p: a p that is
set to one is a p-value still, so the rate of false discoveries is that of what is promoted.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from midas_engine.errors import EvaluationError
from midas_engine.evaluator.metrics.evaluate import evaluate_values
from midas_engine.stats.graduation import SealedEvidence, look_line
from midas_engine.stats.online_fdr import LIFETIME_ALPHA, LordPlusPlus

if TYPE_CHECKING:
    from collections.abc import Sequence

    from midas_engine.evaluator.context.evaluation_context import EvaluationContext
    from midas_engine.evaluator.trials.ledger import TrialKey, TrialLedger
    from midas_engine.models import Estimate, EvaluationResult, MultiAgentResult


VETOING = ("trading_cost", "diversification")
"""Agents that can refuse a candidate on the sealed part besides its p: it surely loses money there, or adds nothing to
what is deployed. The others judge the shape of a long history; size and significance are the p's to judge."""
_PLAUSIBLE_IC = 0.30


def sealed_vetoes(verdict: MultiAgentResult) -> tuple[str, ...]:
    """What stands against a candidate on the sealed part, whatever its p: names of agents, "sign", "implausible".

    Without deployed features the diversification gates ask again what the p is asked, so they are not.
    """
    e = verdict.evaluation
    found = [v.agent for v in verdict.verdicts if v.agent in VETOING and not v.passed]
    if not e.extra.get("deployed") and "diversification" in found:
        found.remove("diversification")
    if not e.rank_ic.value > 0.0:
        found.append("sign")
    if abs(e.rank_ic.value) > _PLAUSIBLE_IC:
        found.append("implausible")
    return tuple(found)


@dataclass(frozen=True, slots=True)
class HoldoutLook:
    """What one look said. Its figures never enter a prompt.

    Attributes:
        number: Which look of the lifetime this was, from 1.
        level: What it was charged.
        line: The p it had to reach: the level less the share that is kept for forward evidence.
        next_level: What the next look will be charged.
        until: Open time of the last bar that existed at the look, ISO 8601; empty when it was not kept.
        vetoes: What stood against it besides its p.
        repeated: The stored answer of an earlier look.
        worth: Of a look for the book: marginal net, its error and the ends of its 90 % interval, bps of capital a year.
    """

    passed: bool
    number: int
    p: float
    level: float
    next_level: float
    score_t: float
    rank_ic: float
    bars: int
    line: float = math.nan
    until: str = ""
    vetoes: tuple[str, ...] = ()
    repeated: bool = False
    worth: tuple[float, float, float, float] = (math.nan, math.nan, math.nan, math.nan)

    @property
    def next_line(self) -> float:
        """The p the next look will have to reach."""
        return look_line(self.next_level)

    @property
    def sound(self) -> bool:
        """It fell short of the line by its p alone, and may gather forward evidence."""
        return not self.passed and not self.vetoes and SealedEvidence(self.p, self.level, self.bars).sound


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
        """Score a candidate on the sealed part, once.

        Args:
            key: The candidate.
            values: Its values.
            context: Of the sealed part (`part="sealed"`).
            session: Who is charged.
            name: For the record.
            gate: Of an event feature; the hold is the key's.

        Raises:
            EvaluationError: The context is of another part.
        """
        if context.part != "sealed":
            raise EvaluationError(f"a look at the sealed part needs its context, not that of the {context.part} part")
        earlier = self.earlier(key)
        if earlier is not None:
            return earlier
        result = evaluate_values(values, context, name, gate=gate, hold=key.hold)
        return self.charge(key, result, session=session, name=name)

    def earlier(self, key: TrialKey, *, book: bool = False) -> HoldoutLook | None:
        """The stored answer of an earlier look for this key; a look for the book is another than one for itself."""
        wanted = _look_key(key, book)
        found = next((look for look in self._ledger.looks() if look["key"] == wanted), None)
        return None if found is None else self._told(found, repeated=True)

    def charge(
        self,
        key: TrialKey,
        result: EvaluationResult,
        *,
        session: str = "",
        name: str = "",
        vetoes: Sequence[str] = (),
        worth: Estimate | None = None,
    ) -> HoldoutLook:
        """Charge the look that `result` was, as the next test of the lifetime; a repeated key gets the stored answer.

        Args:
            key: The candidate.
            result: Its figures on the sealed part, wherever they were computed.
            session: Who is charged.
            name: For the record.
            vetoes: What stands against it besides its p (`sealed_vetoes`).
            worth: Marginal net to the book, where the look is for the book.

        Raises:
            EvaluationError: The figures are of another part.
        """
        if result.extra.get("part") != "sealed":
            raise EvaluationError(f"these figures are of the {result.extra.get('part', 'research')} part")
        earlier = self.earlier(key, book=worth is not None)
        if earlier is not None:
            return earlier
        level = self.state().level()
        line = look_line(level)
        p = result.score_p if math.isfinite(result.score_p) else 1.0
        body = {
            "name": name, "canonical": key.canonical, "snapshot": key.snapshot, "passed": p <= line and not vetoes,
            "p": p, "level": level, "line": line, "score_t": result.score_t, "rank_ic": result.rank_ic.value,
            "bars": result.bars_scored, "vetoes": list(vetoes), "until": str(result.extra.get("until", "")),
        }  # fmt: skip
        if worth is not None:
            body |= {"role": "book", "worth": [worth.value, worth.se, worth.low, worth.high]}
        return self._told(self._ledger.add_look(_look_key(key, worth is not None), session, body), repeated=False)

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
            line=float(look.get("line", look["level"])),  # looks of the three-part time had the whole level
            until=str(look.get("until", "")),
            vetoes=tuple(look.get("vetoes", ())),
            repeated=repeated,
            worth=_four(look.get("worth")),
        )


def _look_key(key: TrialKey, book: bool) -> str:
    return f"{key.digest}:book" if book else key.digest


def _four(values: Any) -> tuple[float, float, float, float]:
    a, b, c, d = (math.nan if x is None else float(x) for x in values or [None] * 4)
    return a, b, c, d
