"""Durations as people write them: "30d", "12h", "90m", "2w", and "48b" for bars of whatever length."""

from __future__ import annotations

import functools
import math
import re

from midas_engine.errors import SettingsError

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
_FORM = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?) ?([smhdwb])\Z")
HINT = "a number and a unit: 90m, 12h, 30d, 2w, or 48b for 48 bars"


def duration(text: str, name: str = "a duration") -> tuple[float, str]:
    """The number and the unit of a duration.

    Raises:
        SettingsError: It is not one.

    Example:
        >>> duration("30d"), duration("1.5 h")
        ((30.0, 'd'), (1.5, 'h'))
    """
    found = _FORM.match(text.strip().lower()) if isinstance(text, str) else None
    if found is None:
        raise SettingsError(f"{name} = {text!r} is not a duration", hint=HINT)
    return float(found[1]), found[2]


@functools.lru_cache(256)
def most_bars(text: str, bar_seconds: float, least: int) -> int:
    """A limit in bars: as said where it is given in bars, else what the time holds and never fewer than `least`.

    Example:
        >>> most_bars("30d", 3600, 168), most_bars("30d", 86_400, 168), most_bars("48b", 86_400, 168)
        (720, 168, 48)
    """
    bars = bars_of(text, bar_seconds)
    return bars if duration(text)[1] == "b" else max(bars, least)


def bars_of(text: str, bar_seconds: float) -> int:
    """How many whole bars of `bar_seconds` a duration covers, the last one begun included.

    Example:
        >>> bars_of("30d", 3600), bars_of("30d", 86_400), bars_of("36h", 86_400), bars_of("48b", 300)
        (720, 30, 2, 48)
    """
    count, unit = duration(text)
    return math.ceil(count if unit == "b" else count * _SECONDS[unit] / bar_seconds - 1e-9)
