"""Windows are durations; this turns them into bars of the feed at hand."""

from __future__ import annotations

from midas_engine.errors import MonitorError

DAY_HOURS = 24.0
SHORT_HOURS = 5 * DAY_HOURS
LONG_HOURS = 30 * DAY_HOURS


def bars_in(hours: float, bar_seconds: int, least: int = 2) -> int:
    """Bars in a span of `hours`, at least `least`.

    Example:
        >>> bars_in(24, 3600), bars_in(24, 300), bars_in(24, 86_400)
        (24, 288, 2)
    """
    if bar_seconds <= 0:
        raise MonitorError(f"a bar of {bar_seconds} s", hint="give bar_seconds as a positive number of seconds")
    return max(least, round(hours * 3600 / bar_seconds))
