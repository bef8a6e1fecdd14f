"""The forward evidence of what runs in shadow: one row a feature of the fleet, saved and restored with it."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING, Any

import numpy as np

from midas_engine.events import ShadowProposal
from midas_engine.monitor.state.codec import prefixed, under
from midas_engine.promoter.graduated import days_words
from midas_engine.stats.graduation import GraduationBank
from midas_engine.stats.sequential_rows import select_rows
from midas_engine.text import number

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from numpy.typing import NDArray

    from midas_engine.evaluator.trials.sealed_evidence import SealedLook
    from midas_engine.stats.graduation import GraduationOutlook

    Floats = NDArray[np.float64]

PROMOTE, REJECT = "promote", "reject"
_NEVER = np.datetime64("2262-01-01", "ns")


class ShadowEvidence:
    """What features in shadow have shown on bars that did not exist when they were looked at.

    A feature begins with its sealed look (`begin`). From then on each bar after the look's data counts once: the
    fleet's stream takes every bar once, and what was counted is saved with the fleet.

    Attributes:
        bank: The e-processes.
        until: Open time of the last bar that was counted, or that existed at the look, [F]; what is not later counts
            no more, whoever brings it again.
        told: What was proposed, by feature: "promote" or "reject".
    """

    def __init__(self, count: int) -> None:
        self.bank = GraduationBank([None] * count)
        self.until = np.full(count, _NEVER)
        self.told: dict[str, str] = {}

    def knows(self, row: int) -> bool:
        """Whether feature `row` goes on from a look."""
        return bool(np.isfinite(self.bank.line[row]))

    def begin(self, row: int, look: SealedLook, lines: Iterable[tuple[datetime, float]] = ()) -> None:
        """Let feature `row` go on from its look, over the bars of its record that came after it, oldest first."""
        self.bank.begin(row, look.evidence)
        self.until[row] = as_stamp(look.until)
        score = np.full(len(self.until), np.nan)
        for at, value in sorted(dict(lines).items()):
            if as_stamp(at) > self.until[row]:
                score[row] = value
                self.bank.update(score)
                self.until[row] = as_stamp(at)

    def take(self, at: np.datetime64, u: Floats, shadow: Floats) -> None:
        """Take the scores [F] of the bar that opened at `at`; those of features in shadow alone are evidence."""
        fresh = (shadow > 0.0) & (self.until < at)
        self.bank.update(np.where(fresh, u, np.nan))
        self.until[fresh] = at

    def news(self, names: Sequence[str], at: datetime) -> list[ShadowProposal]:
        """What is proposed since the last bar: each feature once."""
        events = []
        for action, rows in ((PROMOTE, self.bank.graduated), (REJECT, self.bank.dead)):
            for row in np.flatnonzero(rows).tolist():
                name = names[row]
                if self.told.get(name) in (action, PROMOTE):
                    continue
                self.told[name] = action
                events.append(ShadowProposal(at=at, feature=name, action=action, reason=self.reason(row)))
        return events

    def proposed(self, row: int) -> str:
        """What is proposed for feature `row`: "promote", "reject" or nothing."""
        return PROMOTE if self.bank.graduated[row] else REJECT if self.bank.dead[row] else ""

    def reason(self, row: int) -> str:
        """Why that is proposed, or how far the feature is, in words."""
        bars = f"{self.bank.bars[row]:.0f} forward bars"
        if self.bank.graduated[row]:
            return f"sealed and forward evidence together crossed the lifetime's line after {bars}"
        if self.bank.dead[row]:
            return f"{bars} deny the score that it promised"
        return ""

    def words(self, row: int, bar_seconds: float) -> str:
        """What is proposed and why, or what feature `row` has, what it needs and when that is expected."""
        told = self.outlook(row)
        if told is None or self.proposed(row):
            return self.reason(row)
        gathered = (
            f"ln e {number(told.log_e, 1)} of {number(told.line, 1)} after {self.bank.bars[row]:.0f} forward bars"
        )
        return f"{gathered}, {days_words(told, bar_seconds / 86_400.0)}"

    def outlook(self, row: int) -> GraduationOutlook | None:
        """How far feature `row` is; None where there is nothing to go on from."""
        return self.bank.outlook(row)

    def select(self, rows: Sequence[int], names: Sequence[str]) -> None:
        """Keep the features `rows`, now called `names`; -1 adds one that knows nothing."""
        self.bank.select(rows)
        kept = select_rows(self.until.view(np.int64), rows, int(_NEVER.astype(np.int64))).view("datetime64[ns]")
        self.until = kept
        self.told = {name: action for name, action in self.told.items() if name in names}

    def state(self) -> tuple[dict[str, Any], dict[str, NDArray[np.generic]]]:
        """Header and arrays for the fleet's snapshot."""
        return {"told": dict(self.told)}, {**prefixed("bank", self.bank.arrays()), "until": self.until.view(np.int64)}

    def restore(self, meta: Mapping[str, Any], arrays: Mapping[str, NDArray[np.generic]]) -> None:
        """Go on from `state`; what an older snapshot does not have begins anew, from the journal's record."""
        if "until" not in arrays:
            return
        self.bank.load(under("bank", arrays))
        self.until = np.ascontiguousarray(arrays["until"], np.int64).view("datetime64[ns]")
        self.told = {str(name): str(action) for name, action in dict(meta.get("told", {})).items()}


def as_stamp(moment: datetime) -> np.datetime64:
    """A moment as the panel writes it."""
    return np.datetime64(moment.astimezone(UTC).replace(tzinfo=None), "ns")
