"""`FeedWatchdog`: no bar for two intervals is a critical alert, whatever the cause."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from midas_engine.models import Alert, Severity
from midas_engine.monitor.alerts.engine import FLEET
from midas_engine.monitor.alerts.episodes import Episode, alert_id
from midas_engine.monitor.daily.brief import FEED_RULE

if TYPE_CHECKING:
    from collections.abc import Callable

    from midas_engine.clock import Clock
    from midas_engine.monitor.alerts.engine import AlertEngine
    from midas_engine.runtime.outage_teller import KeptOutage

RULE = FEED_RULE
KEY = (FLEET, RULE)
INTERVALS = 2
_LOOK_SECONDS = 30.0


class FeedWatchdog:
    """Knows nothing of the feed but the bars that reached the monitor, and the monotonic clock.

    Args:
        clock: Wall time for what is said, monotonic time for what is decided.
        bar_seconds: Length of a bar.
        grace: Seconds a bar may be late.
        alerts: The episodes of the monitor; the outage is one of them.
        tell: Given the alert of the outage, and once more when it has ended.

    Attributes:
        outage: What to say of the outage that goes on; "" while bars come.
    """

    def __init__(
        self,
        clock: Clock,
        bar_seconds: int,
        grace: float,
        *,
        alerts: AlertEngine,
        tell: Callable[[Alert], None],
    ) -> None:
        self._clock, self._bar_seconds, self._alerts, self._tell = clock, bar_seconds, alerts, tell
        self.limit = INTERVALS * bar_seconds + grace
        self._since = clock.monotonic()
        self._newest: datetime | None = None
        self.outage = ""

    def begin(self, newest: datetime, kept: KeptOutage | None = None) -> None:
        """Start with the history's newest bar (open time): it may be old already.

        Args:
            newest: Of the history.
            kept: What an earlier process left on disk, which knows more than the monitor's state of its last bar.
        """
        if kept is not None:
            self._take(kept)
        self._newest = newest
        closed = newest + timedelta(seconds=self._bar_seconds)
        self._since = self._clock.monotonic() - max(0.0, (self._clock.now() - closed).total_seconds())
        if KEY in self._alerts.episodes and not self._silent_too_long:
            self._clear()  # left from before a restart
        self.check()

    def _take(self, kept: KeptOutage) -> None:
        known = self._alerts.episodes.pop(KEY, None)
        if kept.runs:  # what the operator answered stands with the monitor's
            same = known is not None and known.alert.id == kept.alert.id
            self._alerts.episodes[KEY] = known if known is not None and same else Episode(kept.alert)
        if not kept.told:
            self._tell(kept.alert)

    def saw(self, bar_at: datetime) -> None:
        """A bar reached the monitor."""
        self._newest, self._since = bar_at, self._clock.monotonic()
        if self.outage or KEY in self._alerts.episodes:
            self._clear()

    @property
    def _silent_too_long(self) -> bool:
        return self._clock.monotonic() - self._since > self.limit

    def check(self) -> None:
        """Raise the alert, once an outage, when no bar came for too long."""
        if self.outage or not self._silent_too_long:
            return
        at = self._clock.now()
        silent = self._clock.monotonic() - self._since
        last = (
            "no bar has come"
            if self._newest is None
            else f"the newest bar is that of {self._newest:%Y-%m-%d %H:%M} UTC"
        )
        self.outage = f"no bar for {_span(silent)} ({last}): nothing live is being watched"
        known = self._alerts.episodes.get(KEY)
        if known is not None:  # of an outage that began before a restart
            return
        alert = Alert(
            id=alert_id(*KEY, at),
            feature=FLEET,
            alert_type="stale_data",
            severity=Severity.CRITICAL,
            message=self.outage,
            raised_at=at,
            last_seen_at=at,
            value=silent / 60,
            threshold=self.limit / 60,
            unit="minutes",
            rule=RULE,
        )
        self._alerts.episodes[KEY] = Episode(alert)
        self._tell(alert)

    def _clear(self) -> None:
        self.outage = ""
        episode = self._alerts.episodes.pop(KEY, None)
        if episode is not None:
            alert = episode.resolve(self._clock.now())
            self._alerts.resolved.append(alert)
            self._tell(alert)

    async def run(self) -> None:
        """Look at the clock until cancelled."""
        while True:
            self.check()
            await self._clock.sleep(min(_LOOK_SECONDS, self._bar_seconds / 2))


def _span(seconds: float) -> str:
    return f"{seconds / 3600:.1f} h" if seconds >= 7200 else f"{seconds / 60:.0f} min"
