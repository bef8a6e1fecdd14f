"""The ledger's statement: what was spent in every session, and what it bought."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from midas_engine.stats.deflation import benjamini_hochberg
from midas_engine.stats.graduation import look_line
from midas_engine.stats.online_fdr import LIFETIME_ALPHA, LordPlusPlus

if TYPE_CHECKING:
    from midas_engine.evaluator.trials.ledger import TrialLedger


@dataclass(frozen=True, slots=True)
class SessionSpend:
    """One session.

    Attributes:
        first: When its first row was written, ISO 8601.
        planned: Trials its line was drawn for.
        line_t: The session line, from the last scored trial.
        best_t: Best score.
        unscored: Tries that were refused before scoring or could not be scored.
        accepted: Trials that passed every research gate.
        under_bh: Trials whose score Benjamini-Hochberg would call at 10 % over the whole session: the softer line.
        looks: Looks at the sealed part.
        held: Of them, those that held.
    """

    session: str
    first: str
    trials: int
    planned: int
    line_t: float
    best_t: float
    unscored: int
    accepted: int
    under_bh: int
    looks: int
    held: int


@dataclass(frozen=True, slots=True)
class LookRow:
    """One look at the sealed part (at the holdout, in the time of three parts)."""

    at: str
    session: str
    name: str
    score_t: float
    p: float
    level: float
    held: bool


@dataclass(frozen=True, slots=True)
class Statement:
    """The whole ledger, summed.

    Attributes:
        next_level: What the next look will be charged.
        problems: Rows that are missing or were changed.
    """

    trials: int
    accepted: int
    sessions: tuple[SessionSpend, ...]
    looks: tuple[LookRow, ...]
    alpha: float
    next_level: float
    problems: tuple[str, ...]

    @property
    def next_line(self) -> float:
        """The p that the next look will have to reach."""
        return look_line(self.next_level)

    @property
    def held(self) -> int:
        """Looks that held."""
        return sum(look.held for look in self.looks)

    @classmethod
    def empty(cls) -> Statement:
        """The statement of a ledger nobody wrote to."""
        return cls(0, 0, (), (), LIFETIME_ALPHA, LordPlusPlus().level(), ())

    @classmethod
    def of(cls, ledger: TrialLedger) -> Statement:
        """Read a ledger."""
        from midas_engine.evaluator.trials.holdout import SealedHoldout

        looks = tuple(
            LookRow(
                x["at"], x["session"], x.get("name", ""), _number(x.get("score_t")), float(x["p"]),
                float(x.get("line", x["level"])), bool(x["passed"]),
            )
            for x in ledger.looks()
        )  # fmt: skip
        trials = ledger.history()
        sessions = []
        for session in dict.fromkeys([t.session for t in trials] + [look.session for look in looks]):
            mine = [t for t in trials if t.session == session]
            mine_looks = [look for look in looks if look.session == session]
            scored = [t for t in mine if t.outcome == "scored"]
            lines = [_number(t.summary.get("line_t")) for t in scored]
            first = mine[0].at if mine else mine_looks[0].at
            sessions.append(
                SessionSpend(
                    session=session,
                    first=first,
                    trials=len(mine),
                    planned=ledger.trials(session),
                    line_t=lines[-1] if lines else math.nan,
                    best_t=max((t.score_t for t in scored if t.score_t is not None), default=math.nan),
                    unscored=len(mine) - len(scored),
                    accepted=sum(t.accepted for t in mine),
                    under_bh=_under_bh([t.p for t in scored if t.p is not None]),
                    looks=len(mine_looks),
                    held=sum(look.held for look in mine_looks),
                )
            )
        return cls(
            trials=len(trials),
            accepted=sum(t.accepted for t in trials),
            sessions=tuple(sessions),
            looks=looks,
            alpha=LIFETIME_ALPHA,
            next_level=SealedHoldout(ledger).state().level(),
            problems=tuple(ledger.verify()),
        )


def _under_bh(p_values: list[float]) -> int:
    line = benjamini_hochberg(p_values)
    return sum(p <= line for p in p_values) if line > 0.0 else 0


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else math.nan
