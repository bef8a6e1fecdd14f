"""Times in words and from words, for the fetch."""

from __future__ import annotations

from datetime import UTC, datetime

from midas_engine.errors import FeedError


def read_date(text: str, option: str) -> int:
    """A UTC date or time as ms since the epoch.

    Raises:
        FeedError: It is none.

    Example:
        >>> read_date("2024-01-01", "--since"), read_date("2024-01-01T06:00", "--since")
        (1704067200000, 1704088800000)
    """
    try:
        at = datetime.fromisoformat(text.strip())
    except ValueError:
        raise FeedError(f"{option} {text!r} is no date", hint="write 2024-01-01 or 2024-01-01T06:00 (UTC)") from None
    at = at.replace(tzinfo=UTC) if at.tzinfo is None else at
    if not 2000 <= at.year < 2100:
        raise FeedError(f"{option} {text!r} lies outside 2000 to 2099", hint="write 2024-01-01")
    return int(at.timestamp() * 1000)


def as_text(ms: int) -> str:
    """A time to the minute, UTC; a midnight as a date.

    Example:
        >>> as_text(1704067200000), as_text(1704088800000)
        ('2024-01-01', '2024-01-01 06:00')
    """
    at = datetime.fromtimestamp(ms / 1000, tz=UTC)
    return f"{at:%Y-%m-%d}" if (at.hour, at.minute) == (0, 0) else f"{at:%Y-%m-%d %H:%M}"
