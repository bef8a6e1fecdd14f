"""Feeds as they are: repeats, bars out of order, holes, revisions, late labels: what they lead to is a clean feed's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from midas_engine.events import AlertRaised, AlertResolved, BarRefused, FeedGapped, KillProposed
from midas_engine.monitor import OnlineMonitor
from midas_engine.monitor.bars.grid import BarStream
from tests.helpers_monitor import ar1, bar_time, clock_at, linked

BARS = 420
KINDS = (AlertRaised, AlertResolved, KillProposed, FeedGapped)


def _story(seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    values = np.column_stack([rng.normal(size=BARS), ar1(rng, BARS, 0.9)])
    return values, linked(rng, values[:, 0], np.where(np.arange(BARS) < 200, 0.3, -0.3))


def _monitor() -> OnlineMonitor:
    return OnlineMonitor(["a", "b"], references={"a": 0.3}, clock=clock_at(100_000))


async def _send(monitor: OnlineMonitor, t: int, values: np.ndarray, label: float | None) -> None:
    await monitor.process_update(bar_time(t), {"a": float(values[t, 0]), "b": float(values[t, 1])}, label)


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_a_disorderly_feed_raises_the_alarms_of_an_orderly_one(seed: int) -> None:
    values, returns = _story(seed)
    rng = np.random.default_rng(seed)
    kept = [t for t in range(BARS) if rng.random() > 0.05]
    clean, noisy = _monitor(), _monitor()
    heard = [monitor.bus.subscribe("test", *KINDS) for monitor in (clean, noisy)]
    refused = noisy.bus.subscribe("refused", BarRefused)
    for t in kept:
        await _send(clean, t, values, float(returns[t]))
    for place, t in enumerate(kept):
        late = rng.random() < 0.3
        await _send(noisy, t, values, None if late else float(returns[t]))
        for old in rng.choice(kept[: place + 1], size=rng.integers(0, 4)).tolist():
            if old != t or not late:
                await _send(noisy, old, values, float(returns[old]))  # out of order, or once more
        if late:
            await _send(noisy, t, values, float(returns[t]))
    told = [list(map(repr, each.take())) for each in heard]
    assert told[0] == told[1]
    assert any("KillProposed" in line for line in told[0])
    assert repr(clean.all_metrics()) == repr(noisy.all_metrics())
    assert len(refused.take()) > 100


async def test_a_bar_that_comes_after_its_successor_is_a_gap_and_is_refused() -> None:
    values, returns = _story(4)
    swapped, holed = _monitor(), _monitor()
    gaps, refused = swapped.bus.subscribe("gaps", FeedGapped), swapped.bus.subscribe("refused", BarRefused)
    for t in (*range(50), 51, 50, *range(52, 80)):
        await _send(swapped, t, values, float(returns[t]))
    for t in (*range(50), *range(51, 80)):
        await _send(holed, t, values, float(returns[t]))
    assert [(g.first_missing, g.missing_bars) for g in gaps.take()] == [(bar_time(50), 1)]
    assert [r.bar_at for r in refused.take()] == [bar_time(50)]
    assert repr(swapped.all_metrics()) == repr(holed.all_metrics())


def _bar(stream: BarStream, index: int, value: float, label: float | None) -> Any:
    none = np.full(1, np.nan)
    returns = None if label is None else np.array([label])
    return stream.follow(index, np.array([[value]]), returns, (none, none), "")


def test_revisions_count_until_their_bar_is_scored() -> None:
    stream = BarStream(1, 1, 3600)
    _bar(stream, 10, 1.0, 0.01)
    assert _bar(stream, 10, 1.0, 0.01).refused
    assert _bar(stream, 10, 2.0, 0.01).revised
    assert _bar(stream, 10, 2.0, 0.02).revised
    (pair,) = _bar(stream, 11, 3.0, None).pairs
    assert (pair.values[0, 0], pair.returns[0]) == (2.0, 0.02)
    assert _bar(stream, 10, 9.0, 0.5).refused == "older than a bar already taken"
    assert not _bar(stream, 11, 3.0, 0.03).refused
    (pair,) = _bar(stream, 12, 4.0, 0.0).pairs
    assert pair.returns[0] == 0.03


def test_labels_are_waited_for_but_not_for_ever() -> None:
    stream = BarStream(1, 1, 3600, wait_bars=3)
    released = [[p.index for p in _bar(stream, t, float(t), None if t in (2, 4) else 0.0).pairs] for t in range(9)]
    assert released == [[], [0], [1], [], [], [], [2, 3], [], [4, 5, 6, 7]]


def test_a_long_outage_is_written_out_once_and_bounded() -> None:
    stream = BarStream(1, 1, 3600, longest_gap=720)
    _bar(stream, 100, 1.0, 0.0)
    arrival = _bar(stream, 100_000, 1.0, 0.0)
    assert arrival.missing == 99_899
    assert len(arrival.pairs) == 721
    assert np.isnan(arrival.pairs[-1].values).all()


def test_what_waits_survives_a_restart() -> None:
    stream = BarStream(1, 1, 3600)
    _bar(stream, 5, 1.0, 0.01)
    _bar(stream, 6, 2.0, None)
    again = BarStream(1, 1, 3600)
    again.load({k: np.array(v) for k, v in stream.arrays().items()})
    assert again.last == 6
    assert not _bar(again, 6, 2.0, 0.5).refused
    (pair,) = _bar(again, 7, 3.0, None).pairs
    assert (pair.index, pair.values[0, 0], pair.returns[0]) == (6, 2.0, 0.5)
