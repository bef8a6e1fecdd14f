"""`Retry`: how long to wait after a failure.

A far side that is down is left in peace, and one that fails now and then still keeps up. Doubled pauses cost a far
side that fails half the time without bound: n failures in a row have the odds 2^-n and cost 2^n, so that every n adds
the same. Here a pause is a quarter of the time since the first failure in a row: it grows by 1.25, and the sum stays
small while a try in four goes through.
"""

from __future__ import annotations

_SHARE = 0.25


class Retry:
    """The failures in a row of one far side.

    Args:
        least: The first pauses, seconds.
        most: The longest one.

    Example:
        >>> retry = Retry(0.5, 60.0)
        >>> [retry.failed(at) for at in (0.0, 1.0, 10.0, 1000.0)]
        [0.5, 0.5, 2.5, 60.0]
        >>> retry.worked()
        >>> retry.failed(1001.0)
        0.5
    """

    def __init__(self, least: float, most: float) -> None:
        self._least, self._most = least, most
        self._first: float | None = None

    def failed(self, now: float) -> float:
        """Seconds to wait after a failure at `now` (monotonic)."""
        if self._first is None:
            self._first = now
        return min(self._most, max(self._least, _SHARE * (now - self._first)))

    def worked(self) -> None:
        """The far side took something: the next failure is a first one."""
        self._first = None
