"""What the campaigns say: evaluations per distinct true feature by session number, and their ratios between arms."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from midas_engine.compound.plan import ARMS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from midas_engine.compound.plan import Campaign, CompoundPlan
    from midas_engine.stats._jit import Floats

RESAMPLES = 4000
TARGET = 0.5
LIKE = 0.5
"""Correlation from which an accepted feature counts as a find of the planted one: half of its strength or more."""
RETIRED_WITHIN = 3
LAST = 3
"""Sessions at the end that are also taken together: one alone has one find a pair at most."""


@dataclass(frozen=True, slots=True)
class Ratio:
    """A figure with its 95 % interval, resampled over pairs (all arms of a pair together)."""

    value: float
    low: float
    high: float

    @property
    def words(self) -> str:
        """For people."""
        if not math.isfinite(self.value):
            return "unknown"
        return f"{self.value:.2f} [{self.low:.2f}, {self.high:.2f}]"


@dataclass(frozen=True, slots=True)
class Compounding:
    """Every campaign, and what follows.

    Attributes:
        plan: What was run.
        campaigns: One an arm and pair, in the order of the plan.
        failed: Why campaigns are missing.
        seconds: Wall time.
    """

    plan: CompoundPlan
    campaigns: tuple[Campaign, ...]
    failed: tuple[str, ...]
    seconds: float

    @property
    def pairs(self) -> list[int]:
        """Pairs whose every arm came to its end; only they are compared."""
        whole = {(c.pair, c.arm) for c in self.campaigns if len(c.sessions) == self.plan.sessions}
        return sorted({p for p, _ in whole if all((p, arm) in whole for arm in ARMS)})

    def counts(self, arm: str) -> tuple[Floats, Floats, Floats]:
        """Evaluations, true features and dollars, each [pairs, sessions]."""
        rows = {c.pair: c.sessions for c in self.campaigns if c.arm == arm}
        chosen = [rows[p] for p in self.pairs]
        figures = [[[s.evaluations, s.like >= LIKE, s.usd] for s in row] for row in chosen]
        whole = np.array(figures, dtype=np.float64).reshape(len(chosen), self.plan.sessions, 3)
        return whole[:, :, 0], whole[:, :, 1], whole[:, :, 2]

    def curve(self, arm: str) -> list[Ratio]:
        """Evaluations per distinct true feature, by session number."""
        spent, found, _ = self.counts(arm)
        return [_resampled(self._picks(), (spent[:, [k]], found[:, [k]])) for k in range(self.plan.sessions)]

    def ratio(self, arm: str, first: int, last: int) -> Ratio:
        """Evaluations per true feature over those of "off", over sessions `first` to `last` (counted from 1)."""
        cut = slice(first - 1, last)
        (a, b, _), (c, d, _) = self.counts(arm), self.counts("off")
        return _resampled(self._picks(), (a[:, cut], b[:, cut]), (c[:, cut], d[:, cut]))

    def at_end(self, arm: str) -> Ratio:
        """At the last session."""
        return self.ratio(arm, self.plan.sessions, self.plan.sessions)

    def over_last(self, arm: str) -> Ratio:
        """Over the last `LAST` sessions together."""
        return self.ratio(arm, max(1, self.plan.sessions - LAST + 1), self.plan.sessions)

    def usd_per_feature(self, arm: str) -> float:
        """Dollars per true feature, of the whole campaigns; NaN where no model was paid or nothing was found."""
        _, found, usd = self.counts(arm)
        return float(usd.sum() / found.sum()) if usd.sum() > 0 and found.sum() > 0 else math.nan

    def factor(self, arm: str) -> float:
        """How much of its memory the last session used, on average."""
        last = [c.sessions[-1].factor for c in self.campaigns if c.arm == arm and c.pair in self.pairs]
        return float(np.mean(last)) if last else math.nan

    def other(self, arm: str) -> int:
        """Sessions that accepted a feature which is less than `LIKE` the planted one."""
        return sum(0.0 <= s.like < LIKE for c in self.campaigns if c.arm == arm for s in c.sessions)

    def retired(self) -> list[int]:
        """Sessions that each planted false lesson misled; -1 where it stood to the end."""
        return [c.retired_after for c in self.campaigns if c.arm == "retrieved" and c.retired_after is not None]

    @property
    def pays(self) -> bool:
        """Whether memory pays: the interval of the last sessions together lies below 1."""
        return bool(self.pairs) and self.over_last("retrieved").high < 1.0

    def verdicts(self) -> list[tuple[str, bool]]:
        """Each target in words, and whether it was met."""
        end, end3, other = self.at_end("retrieved"), self.over_last("retrieved"), self.over_last("shuffled")
        gone = self.retired()
        soon = [n for n in gone if 0 <= n <= RETIRED_WITHIN]
        most = f", the slowest after {max(gone)}" if gone and min(gone) >= 0 else ""
        last = self.plan.sessions
        found = [
            (f"session {last}, retrieved over off: {end.words}, at most {TARGET:g} with 1 outside",
             end.value <= TARGET and end.high < 1.0),
            (f"last {LAST} sessions together: {end3.words}, at most {TARGET:g} with 1 outside",
             end3.value <= TARGET and end3.high < 1.0),
            (f"lessons of other markets gain nothing: {other.words} holds 1 or lies above", other.high >= 1.0),
        ]  # fmt: skip
        if gone:
            words = f"false lessons retired within {RETIRED_WITHIN} sessions: {len(soon)} of {len(gone)}{most}"
            found.append((words, len(soon) == len(gone)))
        return found

    def _picks(self) -> np.ndarray:
        count = len(self.pairs)
        whole = np.arange(count)[None, :]
        drawn = np.random.default_rng([self.plan.seed, 77]).integers(0, max(count, 1), (RESAMPLES, count))
        return np.concatenate([whole, drawn])


def _resampled(picks: np.ndarray, above: Sequence[Floats], below: Sequence[Floats] = ()) -> Ratio:
    """(spent over found) of `above`, over that of `below`; nothing found counts as half a find."""
    if picks.shape[1] == 0:
        return Ratio(math.nan, math.nan, math.nan)

    def cost(spent: Floats, found: Floats) -> Floats:
        each: Floats = spent.sum(axis=1)[picks].sum(axis=1) / np.maximum(found.sum(axis=1)[picks].sum(axis=1), 0.5)
        return each

    values = cost(*above)
    if below:
        values = values / cost(*below)
    low, high = np.quantile(values[1:], [0.025, 0.975])
    return Ratio(float(values[0]), float(low), float(high))
