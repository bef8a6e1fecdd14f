"""What happened on each UTC day, kept for the daily report; bounded to the last forty days."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from midas_engine.events import AlertRaised, AlertResolved
from midas_engine.monitor.alerts.episodes import alert_from_dict, alert_to_dict
from midas_engine.stats.sequential_rows import select_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import date, datetime

    from numpy.typing import NDArray

    from midas_engine.events import Event
    from midas_engine.models import Alert

    Floats = NDArray[np.float64]

DAYS_KEPT = 40
ALERTS_KEPT = 500


@dataclass(slots=True)
class Day:
    """One UTC day: bars, regimes, profit by feature (gross and net, bps) and what was raised."""

    bars: int = 0
    missing: int = 0
    regimes: dict[str, int] = field(default_factory=dict)
    profit: dict[str, tuple[float, float]] = field(default_factory=dict)
    alerts: dict[str, Alert] = field(default_factory=dict)
    diagnoses: list[dict[str, Any]] = field(default_factory=list)

    @property
    def gross_bps(self) -> float:
        """Sum of the features' contributions."""
        return float(sum(gross for gross, _ in self.profit.values()))

    @property
    def net_bps(self) -> float:
        """Sum of the features' contributions after costs."""
        return float(sum(net for _, net in self.profit.values()))


class DayLedger:
    """Days by ISO date, the running one in arrays."""

    def __init__(self, names: Sequence[str]) -> None:
        self.days: dict[str, Day] = {}
        self.names = list(names)
        self._today = ""
        self._sums = np.zeros((len(self.names), 2))

    def bar(self, at: datetime, regime: str, gross: Floats, net: Floats, missing: int) -> None:
        """Take one bar: contributions in bps, [F] each; NaN counts as nothing."""
        key = at.date().isoformat()
        if key != self._today:
            self._fold()
            self._today = key
        day = self._open(at)
        day.bars += 1
        day.missing += missing
        if regime:
            day.regimes[regime] = day.regimes.get(regime, 0) + 1
        self._sums[:, 0] += np.where(np.isfinite(gross), gross, 0.0)
        self._sums[:, 1] += np.where(np.isfinite(net), net, 0.0)

    def note(self, at: datetime, events: Iterable[Event]) -> None:
        """Keep the alerts that were raised or resolved."""
        for event in events:
            if isinstance(event, AlertRaised | AlertResolved):
                kept = self._open(at).alerts
                if len(kept) < ALERTS_KEPT or event.alert.id in kept:
                    kept[event.alert.id] = event.alert

    def diagnosed(self, at: datetime, feature: str, cause: str, path: str) -> None:
        """Keep a diagnosis."""
        self._open(at).diagnoses.append({"feature": feature, "cause": cause, "path": path})

    def of(self, day: date) -> Day:
        """The ledger of `day` as it stands, a copy for the running one; an empty one when nothing is known of it."""
        key = day.isoformat()
        found = self.days.get(key, Day())
        # Looking must change nothing: sums that were moved earlier round otherwise.
        return replace(found, profit=self._with_sums(found)) if key == self._today else found

    def _open(self, at: datetime) -> Day:
        """The day of `at`, made when it is new; of a day that is kept no more, one that nobody will see."""
        key = at.date().isoformat()
        if key not in self.days:
            if len(self.days) >= DAYS_KEPT and key < min(self.days):
                return Day()  # a diagnosis may come back long after its day: a back-fill runs months in a minute
            self.days[key] = Day()
            for old in sorted(self.days)[:-DAYS_KEPT]:
                del self.days[old]
        return self.days[key]

    def _fold(self) -> None:
        """Move the running sums into the day they belong to."""
        day = self.days.get(self._today)
        if day is not None:
            day.profit = self._with_sums(day)
        self._sums[:] = 0.0

    def _with_sums(self, day: Day) -> dict[str, tuple[float, float]]:
        profit = dict(day.profit)
        for name, (gross, net) in zip(self.names, self._sums.tolist(), strict=True):
            before = profit.get(name, (0.0, 0.0))
            profit[name] = (before[0] + gross, before[1] + net)
        return profit

    def select(self, rows: Sequence[int], names: Sequence[str]) -> None:
        """The features changed: what was earned so far stays with the day."""
        self._fold()
        self._sums = select_rows(self._sums, rows)
        self.names = list(names)

    def state(self) -> dict[str, Any]:
        """JSON-ready."""
        plain = {
            key: {
                "bars": d.bars,
                "missing": d.missing,
                "regimes": d.regimes,
                "diagnoses": d.diagnoses,
                "profit": {name: list(pair) for name, pair in d.profit.items()},
                "alerts": [alert_to_dict(a) for a in d.alerts.values()],
            }
            for key, d in self.days.items()
        }
        return {"today": self._today, "days": plain, "sums": self._sums.tolist()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from `state`."""
        self.days = {}
        for key, d in state["days"].items():
            alerts = [alert_from_dict(a) for a in d["alerts"]]
            profit = {name: (float(g), float(n)) for name, (g, n) in d["profit"].items()}
            self.days[key] = Day(
                d["bars"], d["missing"], dict(d["regimes"]), profit, {a.id: a for a in alerts}, list(d["diagnoses"])
            )
        self._today = str(state["today"])
        self._sums = np.array(state["sums"], np.float64).reshape(len(self.names), 2)
