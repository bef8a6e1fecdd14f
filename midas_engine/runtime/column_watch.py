"""What the live watch says of its columns: one that stops coming is told, and who reads it never reads healthy."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import numpy as np

from midas_engine.errors import MonitorError
from midas_engine.events import FaultReported, FeatureTicked
from midas_engine.market.instants import as_utc

if TYPE_CHECKING:
    from collections.abc import Mapping

    from midas_engine.bus import EventBus
    from midas_engine.clock import Clock
    from midas_engine.dsl.expression import Expression
    from midas_engine.market.panel import Panel
    from midas_engine.monitor.fleet import Fleet

USUAL_SHARE = 0.95
"""Share of a column's gaps in its history that are no longer than what is usual of it: one outage makes no habit."""
_MOST_NAMED, _MOST_TICKS = 5, 256


class ColumnWatch:
    """Keeps which columns stay away longer than is usual of them, and tells of it.

    Windows go on giving values for a while after their column ended, and those look like any others: the rule about
    missing values hears of it late. A column that comes once a day is not away the other hours: each is measured by
    the gaps of its own history.

    Args:
        bus: Where faults and fresh figures are published.
        clock: Engine time.
    """

    def __init__(self, bus: EventBus, clock: Clock) -> None:
        self._bus, self._clock = bus, clock
        self._readers: dict[str, tuple[str, ...]] = {}
        self._usual: dict[str, int] = {}
        self._gap: dict[str, int] = {}
        self._away: dict[str, str] = {}

    def begin(self, panel: Panel, expressions: Mapping[str, Expression], fleet: Fleet) -> None:
        """Watch the columns that these features read from here on; what is known of a column stays known."""
        readers: dict[str, list[str]] = {}
        for name, expression in expressions.items():
            for column in expression.columns:
                readers.setdefault(column, []).append(name)
        self._readers = {column: tuple(names) for column, names in readers.items()}
        self._away = {column: since for column, since in self._away.items() if column in readers}
        for column in readers:
            if column not in self._usual and column in panel.fields:
                self._usual[column], self._gap[column] = _gaps(panel.fields[column])
        self._settle(panel, fleet, changed=False)

    def saw(self, panel: Panel, fleet: Fleet) -> None:
        """Look at the newest bar."""
        for column in self._usual:
            there = bool(np.isfinite(panel.fields[column][-1]).any())
            self._gap[column] = 0 if there else self._gap[column] + 1
        self._settle(panel, fleet, changed=False)

    @property
    def trouble(self) -> str:
        """Why some features cannot be relied on now; empty while every column comes."""
        return "; ".join(self._text(column) for column in self._away)

    def _settle(self, panel: Panel, fleet: Fleet, *, changed: bool) -> None:
        for column in self._readers:
            away = self._gap.get(column, 0) > self._usual.get(column, 0)
            if away and column not in self._away:
                self._away[column] = _last_seen(panel, self._gap[column])
                self._say(self._text(column), "warning")
                changed = True
            elif not away and self._away.pop(column, None) is not None:
                self._say(f"the feed gives {column} again", "info")
                changed = True
        fleet.absent["columns"] = frozenset(name for column in self._away for name in self._readers[column])
        if changed:
            with contextlib.suppress(MonitorError):  # before the first bar there is nothing to show
                for metrics in fleet.ticks(fleet.last_bar, _MOST_TICKS):
                    self._bus.publish(FeatureTicked(at=metrics.at, metrics=metrics))

    def _text(self, column: str) -> str:
        names = self._readers[column]
        more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
        read = ", ".join(names[:_MOST_NAMED]) + more
        return f"the feed gives no {column} {self._away[column]}: {read} read it, and what is shown of them is old"

    def _say(self, message: str, severity: str) -> None:
        hint = "look at what writes the feed" if severity == "warning" else ""
        self._bus.publish(
            FaultReported(at=self._clock.now(), where="feed", message=message, hint=hint, severity=severity)
        )


def _gaps(column: np.ndarray) -> tuple[int, int]:
    """Bars in a row without any number that are usual of a column [T, S], and those at its end."""
    there = np.flatnonzero(np.isfinite(column).any(axis=1))
    if not there.size:
        return 0, len(column)
    between = np.diff(there) - 1
    usual = int(np.quantile(between, USUAL_SHARE, method="higher")) if between.size else 0
    return usual, int(len(column) - 1 - there[-1])


def _last_seen(panel: Panel, gap: int) -> str:
    if gap >= panel.T:
        return f"in the {panel.T:,} bars that are known"
    return f"since the bar of {as_utc(panel.timestamps[panel.T - gap]):%Y-%m-%d %H:%M} UTC"
