"""`WaitingBars`: closed bars that are not handed out yet, and when each may be."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from midas_engine.market.feeds.base import Candle
    from midas_engine.market.feeds.checked import FeedCounts

_KEPT_LATENESS = 24
# A symbol that lacked so many bars in a row is delisted or asleep: it is still asked for, and no longer waited for.
_ASLEEP_BARS = 24


class WaitingBars:
    """What is known of the bars from the next one on.

    A bar that no symbol has is pending: it is never made up. One that some have waits for the others, up to `grace`
    after its close or after it was first seen, whichever is later; then it is final, and what comes later is counted.

    Args:
        symbols: The feed's symbols, in order.
        step_ms: Length of a bar.
        grace: Seconds.
        counts: Where restated and late bars are counted.
    """

    def __init__(self, symbols: Sequence[str], step_ms: int, grace: float, counts: FeedCounts) -> None:
        self.rows: dict[str, dict[int, Candle]] = {symbol: {} for symbol in symbols}
        self._step, self._grace_ms, self._counts = step_ms, grace * 1000, counts
        self._seen_at: dict[int, float] = {}
        self._final: dict[str, dict[int, Candle]] = {symbol: {} for symbol in symbols}
        self._last: dict[str, int] = {}
        self._lateness: deque[float] = deque(maxlen=_KEPT_LATENESS)

    def add(self, symbol: str, candle: Candle, next_ms: int, now_ms: float) -> None:
        """Take one closed bar of a symbol, seen at `now_ms`."""
        opened = candle.opened_ms
        if opened < next_ms:
            if opened == next_ms - self._step:  # older ones are not asked for
                self._compare(symbol, candle)
            return
        rows = self.rows[symbol]
        self._counts.restated += opened in rows and not _same(rows[opened], candle)
        rows[opened] = candle
        self._seen_at.setdefault(opened, now_ms)

    def _compare(self, symbol: str, candle: Candle) -> None:
        final = self._final[symbol]
        known = final.get(candle.opened_ms)
        if known is None:
            self._counts.late += 1
        elif not _same(known, candle):
            self._counts.restated += 1
        final[candle.opened_ms] = candle  # each change is counted once

    def newest(self) -> int | None:
        """Open time of the newest bar that any symbol has; None when nobody has one."""
        return max((max(rows) for rows in self.rows.values() if rows), default=None)

    def known(self, opened: int) -> int:
        """How many symbols have the bar of `opened`."""
        return sum(opened in rows for rows in self.rows.values())

    def lacking(self, upto_ms: int) -> list[str]:
        """Symbols that have no bar at or after `upto_ms` yet."""
        return [s for s, rows in self.rows.items() if not rows or max(rows) < upto_ms]

    def ready(self, next_ms: int, now_ms: float) -> tuple[int, float]:
        """Up to where bars may be handed out (exclusive), and in how many ms the next one may (0: it is pending)."""
        newest = self.newest()
        if newest is None:
            return next_ms, 0.0
        for opened in range(next_ms, newest + self._step, self._step):
            asleep = opened - _ASLEEP_BARS * self._step
            if not any(self._newest_of(symbol, opened) > asleep for symbol in self.lacking(opened)):
                continue
            seen = min((t for o, t in self._seen_at.items() if o >= opened), default=now_ms)
            until = max(opened + self._step, seen) + self._grace_ms
            if now_ms < until:
                return opened, until - now_ms
        return newest + self._step, 0.0

    def _newest_of(self, symbol: str, otherwise: int) -> int:
        """The newest bar of a symbol, waiting or handed out: after an outage many wait, and nobody slept."""
        return max(self.rows[symbol], default=self._last.get(symbol, otherwise))

    def hand_out(self, upto_ms: int, now_ms: float) -> None:
        """The bars before `upto_ms` are final: forget them, but for the last one."""
        last = upto_ms - self._step
        for symbol, rows in self.rows.items():
            self._last[symbol] = max((o for o in rows if o < upto_ms), default=self._last.get(symbol, last))
            self._final[symbol] = {last: rows[last]} if last in rows else {}
            for opened in [o for o in rows if o < upto_ms]:
                del rows[opened]
        fresh = [(o, t) for o, t in self._seen_at.items() if o < upto_ms]
        if len(fresh) == 1 and fresh[0][0] == last and not any(o >= upto_ms for o in self._seen_at):
            # one bar by itself tells how late the source usually is; a gap that is filled does not
            self._lateness.append(max(0.0, fresh[0][1] - upto_ms))
        for opened, _ in fresh:
            del self._seen_at[opened]

    @property
    def usual_ms(self) -> float:
        """How late a bar may be before it is an outage: the grace, and what the source has taken lately."""
        return self._grace_ms + 1.5 * max(self._lateness, default=0.0)


def _same(one: Candle, other: Candle) -> bool:
    """Equal numbers, with unknown equal to unknown."""
    keys = one.values.keys() | other.values.keys()
    pairs = [(one.values.get(k, float("nan")), other.values.get(k, float("nan"))) for k in keys]
    return all(a == b or (a != a and b != b) for a, b in pairs)
