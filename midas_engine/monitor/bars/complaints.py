"""What is wrong with the input, told once: again only when it has become ten times as often, or new after a day."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST = 256


@dataclass(frozen=True, slots=True)
class Complaint:
    """One thing that is wrong with a bar: what makes it the same as yesterday's, and the words."""

    key: str
    message: str
    hint: str = ""
    severity: str = "warning"


class Complaints:
    """Counts complaints and says which of them are news.

    Args:
        quiet_bars: After so many bars without it a complaint is news again.

    Example:
        >>> heard = Complaints(24)
        >>> [heard.count("text", bar) for bar in range(11)]
        [1, 0, 0, 0, 0, 0, 0, 0, 0, 10, 0]
    """

    def __init__(self, quiet_bars: int) -> None:
        self.quiet_bars = quiet_bars
        self._heard: dict[str, tuple[int, int]] = {}

    def count(self, key: str, bar: int) -> int:
        """Take a complaint of bar number `bar`: how often it came by now when that is news, else 0."""
        times, last = self._heard.pop(key, (0, bar))
        if bar - last > self.quiet_bars:
            times = 0
        times += 1
        self._heard[key] = (times, bar)
        while len(self._heard) > MOST:
            del self._heard[next(iter(self._heard))]
        return times if str(times).strip("0") == "1" else 0

    def word(self, complaint: Complaint, bar: int) -> str:
        """The message of a complaint that is news, with its count; empty when it is not."""
        times = self.count(complaint.key, bar)
        return "" if not times else complaint.message if times == 1 else f"{complaint.message} ({times} bars by now)"

    def state(self) -> dict[str, list[int]]:
        """JSON-ready."""
        return {key: list(pair) for key, pair in self._heard.items()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from `state`."""
        self._heard = {str(key): (int(times), int(last)) for key, (times, last) in state.items()}
