"""The door for bars: each is read, or refused in words and counted; a caller's loop never ends because of one."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from midas_engine.errors import MonitorError
from midas_engine.events import BarRefused, FaultReported
from midas_engine.monitor.bars.complaints import Complaint, Complaints
from midas_engine.monitor.bars.inputs import read_time
from midas_engine.monitor.bars.reader import BarReader, GivenBar, ReadBar, too_early

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from midas_engine.bus import EventBus
    from midas_engine.clock import Clock
    from midas_engine.monitor.fleet import Fleet


class Intake:
    """Takes bars in for the monitor.

    Args:
        bus: Where refusals and complaints are published.
        clock: Engine time.
        symbols: The symbols' names in the order of the arrays; None: not known.
        bar_seconds: Size of a bar.
        expected_bps: Slippage that is expected where the fills do not say.
        strict: Raise what cannot be read instead of refusing it.

    Attributes:
        refused: How many bars were refused so far.
    """

    def __init__(
        self,
        bus: EventBus,
        clock: Clock,
        symbols: Sequence[str] | None,
        *,
        bar_seconds: int,
        expected_bps: float,
        strict: bool,
    ) -> None:
        self.reader, self.strict, self.refused = BarReader(symbols), strict, 0
        self._bus, self._clock, self._bar_seconds, self._expected_bps = bus, clock, bar_seconds, expected_bps
        self._day_bars = max(1, 86_400 // bar_seconds)
        self._complaints = Complaints(self._day_bars)
        self._in_a_row = 0

    def read(self, given: GivenBar, fleet: Fleet) -> ReadBar | None:
        """The bar, understood; None when it was refused.

        Raises:
            MonitorError: It cannot be read, and this is strict.
        """
        now = self._clock.now()
        try:
            bar = self.reader.read(
                given,
                fleet.names,
                fleet.engine.rows if fleet.built else {name: row for row, name in enumerate(fleet.names)},
                symbols=fleet.stream.symbols if fleet.built else None,
                expected_bps=self._expected_bps,
            )
        except MonitorError as error:
            if self.strict:
                raise
            moment = None
            with contextlib.suppress(MonitorError):
                moment = read_time(given.moment)
            self.refuse(moment, f"{error.message} ({error.hint})" if error.hint else error.message)
            self._count(now, error)
            return None
        if too_early(bar.at, now, self._bar_seconds):
            self.refuse(bar.at, "its time lies in the future")
            return None
        self._in_a_row = 0
        fleet.prepare(bar.symbols, self.reader.names)
        for complaint in bar.complaints:
            self._complain(bar.at, complaint)
        return bar

    def refuse(self, bar_at: datetime | None, reason: str) -> None:
        """Count a bar that was not taken, and say so."""
        self.refused += 1
        at = self._clock.now() if bar_at is None else bar_at
        self._bus.publish(BarRefused(at=at, bar_at=bar_at, reason=reason, count=self.refused))

    def _count(self, now: datetime, error: MonitorError) -> None:
        """Every refusal is an event; a day of nothing else is more than that."""
        self._in_a_row += 1
        if self._in_a_row == self._day_bars:
            text = f"the last {self._in_a_row} bars could not be read: nothing is scored; {error.message}"
            self._bus.publish(
                FaultReported(at=now, where="monitor", message=text, hint=error.hint, severity="critical")
            )

    def _complain(self, at: datetime, complaint: Complaint) -> None:
        text = self._complaints.word(complaint, int(at.timestamp()) // self._bar_seconds)
        if text:
            fault = FaultReported(
                at=at, where="monitor", message=text, hint=complaint.hint, severity=complaint.severity
            )
            self._bus.publish(fault)
