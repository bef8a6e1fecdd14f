"""Bars that wait: after an outage of many bars the newest is waited for as ever, and who slept is not."""

from __future__ import annotations

from midas_engine.market.feeds.base import Candle
from midas_engine.market.feeds.checked import FeedCounts
from midas_engine.market.feeds.waiting import WaitingBars

STEP, GRACE = 60_000, 30.0


def _waiting(upto: dict[str, int], now_ms: float) -> WaitingBars:
    """A had every bar up to the tenth, B too; then nothing came, and now each has bars up to so many."""
    waiting = WaitingBars(tuple(upto), STEP, GRACE, FeedCounts())
    for symbol in upto:
        for row in range(10):
            waiting.add(symbol, Candle(row * STEP, {"close": 1.0}), 0, 10 * STEP)
    waiting.hand_out(10 * STEP, 10 * STEP)
    for symbol, last in upto.items():
        for row in range(10, last):
            waiting.add(symbol, Candle(row * STEP, {"close": 1.0}), 10 * STEP, now_ms)
    return waiting


def test_the_last_bar_after_a_long_outage_waits_for_who_was_asked_a_moment_earlier() -> None:
    now = 50.5 * STEP
    waiting = _waiting({"A": 50, "B": 49}, now)
    assert waiting.ready(10 * STEP, now) == (49 * STEP, GRACE * 1000)
    waiting.hand_out(49 * STEP, now)
    assert waiting.ready(49 * STEP, now + GRACE * 1000) == (50 * STEP, 0.0)  # after the grace it is final all the same


def test_who_told_nothing_for_a_day_is_not_waited_for() -> None:
    now = 50.5 * STEP
    waiting = _waiting({"A": 50, "B": 10}, now)
    assert waiting.ready(35 * STEP, now) == (50 * STEP, 0.0)
