"""What an expression may weigh: size, and how far it looks back."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field

from midas_engine.durations import most_bars

NO_SETTING = {"setting": False}
LEAST_WINDOW_BARS, LEAST_MEMORY_BARS = 168, 2000
"""Bars that a limit given as time never falls below: a month of days is no window."""


@dataclass(frozen=True, slots=True)
class DslLimits:
    """What an expression may weigh; depth lets published alphas in, look-backs are time.

    Attributes:
        depth: Operator nesting.
        nodes: Operators, columns and literals together.
        lookback: The longest single window or shift, as a duration ("30d", or "720b" in bars); as time it never means
            fewer than 168 bars.
        text_bytes: UTF-8 length of the text.
        total_lookback: The past that the whole expression may need; as time never fewer than 2,000 bars.
        min_share: Share of valid bars a rolling window needs to give a value.
        memory_mb: Megabytes that computing one expression may hold at once.
        bar_seconds: Length of the bars that windows count (`at`); no setting.
        lookback_bars: `lookback` in bars whatever their length, where Python gives it; no setting.
        total_lookback_bars: Likewise.
    """

    depth: int = 9
    nodes: int = 200
    lookback: str = "30d"
    text_bytes: int = 4096
    total_lookback: str = "90d"
    min_share: float = 0.5
    memory_mb: int = 4096
    bar_seconds: float = field(default=3600.0, metadata=NO_SETTING)
    lookback_bars: int | None = field(default=None, metadata=NO_SETTING)
    total_lookback_bars: int | None = field(default=None, metadata=NO_SETTING)

    def at(self, bar_seconds: float) -> DslLimits:
        """The same limits for bars of another length."""
        return self if bar_seconds == self.bar_seconds else dataclasses.replace(self, bar_seconds=bar_seconds)

    @property
    def window_bars(self) -> int:
        """The longest single window or shift in bars."""
        if self.lookback_bars is not None:
            return self.lookback_bars
        return most_bars(self.lookback, self.bar_seconds, LEAST_WINDOW_BARS)

    @property
    def memory_bars(self) -> int:
        """Bars of past the whole expression may need."""
        if self.total_lookback_bars is not None:
            return self.total_lookback_bars
        return most_bars(self.total_lookback, self.bar_seconds, LEAST_MEMORY_BARS)
