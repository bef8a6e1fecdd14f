"""What callers hand over: malformed bars are refused, units are named, jumps are left out with their way back."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections import Counter
from decimal import Decimal
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from midas_engine.errors import MonitorError
from midas_engine.events import AlertRaised, BarProcessed, BarRefused, FaultReported
from midas_engine.factory import create_midas
from midas_engine.monitor import OnlineMonitor
from tests.helpers_monitor import MemoryStore, bar_time, clock_at

COINS = ["BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT", "LTCUSDT", "ADAUSDT", "AVAXUSDT", "DOGEUSDT"]
BARS = 300
RNG = np.random.default_rng(5)
RETURNS = 0.006 * (0.6 * RNG.standard_normal((BARS, 1)) + 0.8 * RNG.standard_normal((BARS, 8)))
SIGNAL = 0.08 * RETURNS / 0.006 + RNG.standard_normal((BARS, 8))


class Hostile:
    """Raises whatever is asked of it."""

    def __array__(self, *_: Any, **__: Any) -> np.ndarray:
        raise ZeroDivisionError("no")

    def __len__(self) -> int:
        raise ZeroDivisionError("no")

    def __repr__(self) -> str:
        raise ZeroDivisionError("no")


class BrokenZone(dt.tzinfo):
    """A zone without an offset method."""


def _monitor(**more: Any) -> OnlineMonitor:
    return OnlineMonitor(["carry", "trend"], clock=clock_at(100_000), **more)


async def _feed(monitor: OnlineMonitor, first: int, last: int, returns: np.ndarray = RETURNS) -> None:
    for t in range(first, last):
        await monitor.process_update(bar_time(t), {"carry": SIGNAL[t], "trend": -SIGNAL[t]}, returns[t])


GOOD = SIGNAL[50]
TIMES: list[Any] = [
    None, "", "later", "2025-13-01", float("nan"), float("inf"), -5, 0, 12345, True, 1e300, 10**400, b"2025-01-03",
    dt.date(2025, 1, 3), dt.timedelta(1), dt.datetime.max, dt.datetime.min, [], {}, object(), Hostile(), 1j,
    np.datetime64("NaT"), np.datetime64(2**62, "us"), np.timedelta64(3, "h"), pd.NaT, "1970-01-01", np.bool_(True),
    dt.datetime(2025, 1, 3, tzinfo=BrokenZone()), dt.datetime.max.replace(tzinfo=dt.timezone(-dt.timedelta(hours=9))),
]  # fmt: skip
ROWS: list[Any] = [
    GOOD[:5], [], 1.0, np.zeros(9), np.zeros((2, 4)), np.zeros((8, 2)), np.zeros((2, 2, 2)), "12345678", b"12345678",
    ["1"] * 8, [*GOOD[:7], "x"], [*GOOD[:7], object()], [[1.0], [1.0, 2.0]], True, [True] * 8, np.ones(8, bool),
    1 + 2j, np.ones(8, complex), np.array(["a"] * 8), np.array([object()] * 8, object), np.zeros(8, "datetime64[s]"),
    np.zeros(8, "timedelta64[s]"), np.zeros(8, [("a", float)]), {1, 2}, {"a": 1.0}, dict.fromkeys(COINS, "x"),
    object(), Hostile(), lambda: 1.0, iter([1.0] * 8), SimpleNamespace(values=GOOD), bytearray(8), float,
    pd.Series(GOOD[:7]), pd.Series(["x"] * 8), pd.DataFrame(np.zeros((4, 2))), [None, *["y"] * 7], Decimal(3), 7,
]  # fmt: skip
MAPPINGS: list[Any] = [None, 1.0, "carry", GOOD, [("carry", GOOD)], {"zebra": GOOD}, {3: GOOD}, {"carry "}, Hostile()]
MALFORMED = [
    *((f"time {n}", (moment, {"carry": GOOD, "trend": GOOD}, GOOD / 100)) for n, moment in enumerate(TIMES)),
    *((f"value {n}", (bar_time(50), {"carry": row, "trend": GOOD}, GOOD / 100)) for n, row in enumerate(ROWS)),
    *((f"return {n}", (bar_time(50), {"carry": GOOD, "trend": GOOD}, row)) for n, row in enumerate(ROWS)),
    *((f"mapping {n}", (bar_time(50), values, GOOD / 100)) for n, values in enumerate(MAPPINGS)),
]
assert len(MALFORMED) >= 60


@pytest.fixture(scope="module")
def warm() -> dict[str, bytes]:
    """A monitor's states after fifty bars."""
    store = MemoryStore()

    async def run() -> None:
        monitor = _monitor(journal=store)
        await _feed(monitor, 0, 50)
        await monitor.close()

    asyncio.run(run())
    return dict(store.states)


@pytest.mark.parametrize("bar", [bar for _, bar in MALFORMED], ids=[name for name, _ in MALFORMED])
async def test_a_malformed_bar_is_refused_and_changes_nothing(
    bar: tuple[Any, Any, Any], warm: dict[str, bytes]
) -> None:
    store = MemoryStore()
    store.states.update(warm)
    monitor = _monitor(journal=store)
    await monitor.start()
    before, written = _state(monitor), dict(store.states)
    heard = monitor.bus.subscribe("test", BarRefused, BarProcessed)
    assert await monitor.process_update(*bar) is None
    (event,) = heard.take()
    assert isinstance(event, BarRefused)
    assert event.reason
    assert monitor.intake.refused == event.count == 1
    assert _state(monitor) == before
    assert store.states == written
    monitor.intake.strict = True
    with pytest.raises(MonitorError):
        await monitor.process_update(*bar)
    assert isinstance(await monitor.process_update(bar_time(50), {"carry": GOOD}, RETURNS[50]), BarProcessed)


def _state(monitor: OnlineMonitor) -> str:
    meta, arrays = monitor.fleet.state()
    return repr(meta) + repr({key: array.tobytes() for key, array in arrays.items()})


@pytest.mark.parametrize("bar", [bar for _, bar in MALFORMED[::7]], ids=[name for name, _ in MALFORMED[::7]])
async def test_a_malformed_first_bar_teaches_nothing(bar: tuple[Any, Any, Any]) -> None:
    monitor = _monitor(symbols=8)
    fresh = _monitor()
    assert await monitor.process_update(*bar) is None
    assert await monitor.process_bar(*bar) is None
    if not isinstance(bar[1], dict) or "zebra" in bar[1]:
        assert await fresh.process_update(*bar) is None
        await _feed(fresh, 51, 60)
        assert fresh.fleet.stream.symbols == 8


NUMBERS: list[Any] = [
    list(GOOD), tuple(GOOD), np.float32(GOOD), pd.Series(GOOD), pd.Series(GOOD, COINS), GOOD.reshape(1, 8), range(8),
    [*GOOD[:7], None], np.array([*GOOD[:7], None], object), [Decimal("1.5"), Fraction(1, 3), *GOOD[2:]],
    np.ma.masked_array(GOOD, GOOD > 0), pd.array([*GOOD[:7], pd.NA], "Float64"), np.arange(8), float("nan"), None,
    np.float32("nan"), pd.NA,
]  # fmt: skip


@pytest.mark.parametrize("row", NUMBERS, ids=[str(n) for n in range(len(NUMBERS))])
async def test_numbers_in_any_wrapping_are_taken(row: Any) -> None:
    monitor = _monitor(symbols=COINS)
    heard = monitor.bus.subscribe("test", BarRefused, FaultReported)
    assert await monitor.process_update(bar_time(0), {"carry": row, "trend": GOOD}, GOOD / 1000) is not None
    assert heard.take() == []


async def test_a_loop_survives_its_bad_bars_and_a_day_of_nothing_else_is_critical() -> None:
    monitor = _monitor()
    await _feed(monitor, 0, 30)
    heard = monitor.bus.subscribe("test", FaultReported)
    for t in range(30, 90):
        await monitor.process_update(bar_time(t), {"carry": SIGNAL[t][:7]}, RETURNS[t][:7])
    (fault,) = heard.take()
    assert fault.severity == "critical"
    assert "last 24 bars could not be read" in fault.message
    assert "7 values, the monitor watches 8 symbols" in fault.message
    assert monitor.intake.refused == 60


# -- symbols by name ---------------------------------------------------------------------------


async def test_values_by_symbol_are_those_by_position_and_a_symbol_that_leaves_is_missing() -> None:
    plain, named, learned = _monitor(), _monitor(symbols=COINS), _monitor()
    mixed = np.random.default_rng(1)
    missing = SIGNAL.copy(), RETURNS.copy()
    for t in range(BARS):
        left = 7 if t >= 200 else 8
        for block in missing:
            block[t, left:] = np.nan
        order = mixed.permutation(left) if t else np.arange(8)
        row, move = {COINS[s]: SIGNAL[t, s] for s in order}, {COINS[s]: RETURNS[t, s] for s in order}
        await plain.process_update(bar_time(t), {"carry": missing[0][t]}, missing[1][t])
        await learned.process_update(bar_time(t), {"carry": row}, move)
        await named.process_update(bar_time(t), {"carry": pd.Series(row)}, pd.Series(move))
    assert repr(named.all_metrics()) == repr(learned.all_metrics()) == repr(plain.all_metrics())
    assert named.intake.refused == learned.intake.refused == 0


async def test_learned_names_survive_a_restart() -> None:
    store = MemoryStore()
    first = _monitor(journal=store)
    for t in range(30):
        await first.process_update(bar_time(t), {"carry": dict(zip(COINS, SIGNAL[t], strict=True))}, None)
    again = _monitor(journal=store)
    await again.start()
    assert again.intake.reader.names == tuple(COINS)
    back = dict(reversed(list(zip(COINS, SIGNAL[30], strict=True))))
    assert await again.process_update(bar_time(30), {"carry": back}, None) is not None
    assert again.fleet.stream.pending.pairs[again.fleet.stream.last].values[0].tolist() == SIGNAL[30].tolist()


async def test_an_order_nobody_declared_and_symbols_nobody_watches_are_told_once() -> None:
    monitor = _monitor()
    heard = monitor.bus.subscribe("test", FaultReported)
    for t in range(9):
        row = dict(zip(COINS, SIGNAL[t], strict=True)) | ({"PEPEUSDT": 1.0} if t > 3 else {})
        await monitor.process_update(bar_time(t), {"carry": row}, RETURNS[t])
    messages = [e.message for e in heard.take()]
    assert len(messages) == 2
    assert "read in the order BTCUSDT, ETHUSDT" in messages[0]
    assert messages[1].startswith("PEPEUSDT: no symbol of the monitor")


# -- units and labels --------------------------------------------------------------------------


async def _told(bars: int = BARS, **changed: Any) -> tuple[OnlineMonitor, Counter[str], list[str]]:
    """What is told of a feed whose bars are good but for `changed` (functions of the bar's number)."""
    monitor = OnlineMonitor(["carry"], clock=clock_at(100_000), symbols=COINS, references={"carry": 0.05})
    heard = monitor.bus.subscribe("test", FaultReported, AlertRaised)
    for t in range(bars):
        good = {"feature_values": {"carry": SIGNAL[t]}, "forward_return": RETURNS[t]}
        await monitor.process_update(bar_time(t), **(good | {key: make(t) for key, make in changed.items()}))
    events = heard.take()
    kinds = Counter(e.alert.rule for e in events if isinstance(e, AlertRaised))
    return monitor, kinds, [e.message for e in events if isinstance(e, FaultReported)]


async def test_a_good_feed_is_told_nothing() -> None:
    monitor, kinds, messages = await _told(fills=lambda t: {"slippage_bps": 0.9 + 0.1 * (t % 3)})
    assert messages == []
    assert not kinds.keys() & {"labels", "silence", "implausible", "missing"}
    assert monitor.metrics("carry").slippage_ratio == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize(("factor", "unit"), [(100.0, "percent"), (10_000.0, "basis points")])
async def test_returns_in_another_unit_are_named_and_left_out(factor: float, unit: str) -> None:
    monitor, kinds, messages = await _told(forward_return=lambda t: RETURNS[t] * factor)
    assert messages[0].startswith(f"returns look like {unit}: median move ")
    assert "an hour" in messages[0]
    assert len(messages) <= 3
    assert kinds["labels"] == 1
    assert np.isnan(monitor.metrics("carry").ic_30d.value)
    assert monitor.metrics("carry").status == "stale"
    assert np.nansum(np.abs(monitor.history("carry")["pnl_bps"])) == 0.0


async def test_prices_for_returns_are_named() -> None:
    _, _, messages = await _told(forward_return=lambda t: 100.0 * np.exp(RETURNS[: t + 1].sum(axis=0)))
    assert messages[0].startswith("returns look like prices")


@pytest.mark.parametrize("symbol", range(2))
async def test_a_series_in_percent_is_named_too(symbol: int) -> None:
    monitor = OnlineMonitor(["a"], clock=clock_at(100_000))
    heard = monitor.bus.subscribe("test", FaultReported)
    for t in range(100):
        await monitor.process_update(bar_time(t), {"a": SIGNAL[t, symbol]}, 100 * RETURNS[t, symbol])
    assert [e for e in heard.take() if "look like percent" in e.message]


@pytest.mark.parametrize("cost", [0.0030, 0.0001, -0.0030, 3e-5])
async def test_slippage_as_a_fraction_is_named_and_left_out(cost: float) -> None:
    monitor, _, messages = await _told(fills=lambda t: {"slippage_bps": cost})
    assert messages[0].startswith("slippage looks like a fraction")
    assert len(messages) <= 3
    assert np.isnan(monitor.metrics("carry").slippage_ratio)


FILLS: list[tuple[Any, str]] = [
    ({"BTCUSDT": {"slippage_bps": 30.0}}, "BTCUSDT: no watched feature"),
    ({"carri": 3.0}, "carri: no watched feature"),
    ({"slippage": 3.0}, "slippage: no watched feature"),
    ({"carry": {"slippage": 3.0}}, "no slippage_bps in the record of carry, only slippage"),
    ({"slippage_bps": "3.0"}, "slippage_bps came as str"),
    ({"slippage_bps": True}, "slippage_bps came as bool"),
    ({"slippage_bps": [3.0]}, "slippage_bps came as list"),
    ({"slippage_bps": 10**400}, "OverflowError"),
    ([{"feature": "zebra", "slippage_bps": 3.0}], "'zebra' is no watched feature"),
    (["carry"], "str is no record"),
    ("3.0", "str is no record"),
    (3.0, "float is no record"),
    (Hostile(), "Hostile is no record"),
]


@pytest.mark.parametrize(("fills", "words"), FILLS)
async def test_fills_that_are_not_understood_are_told_once(fills: Any, words: str) -> None:
    monitor, _, messages = await _told(30, fills=lambda t: fills)
    assert len(messages) == 2  # once, and once more when it was ten times
    assert words in messages[0]
    assert "(10 bars by now)" in messages[1]
    assert monitor.metrics("carry").bars == 29


@pytest.mark.parametrize("fills", [None, {}, [], {"slippage_bps": None}, {"slippage_bps": float("nan")}, {"carry": 2.0},
                                   {"slippage_bps": 3.0, "price": 100.0, "symbol": "BTCUSDT"}])  # fmt: skip
async def test_fills_that_are_good_or_absent_are_told_nothing(fills: Any) -> None:
    _, _, messages = await _told(30, fills=lambda t: fills)
    assert messages == []


@pytest.mark.parametrize("label", [None, float("nan"), [None] * 8])
async def test_a_day_without_a_return_is_critical(label: Any) -> None:
    monitor, kinds, _ = await _told(60, forward_return=lambda t: label)
    assert kinds["labels"] == 1
    (alert,) = [a for a in monitor.alerts() if a.rule == "labels"]
    assert (alert.severity, alert.alert_type) == ("critical", "labels_missing")
    assert monitor.metrics("carry").status == "stale"
    await _feed_one(monitor, 60, 100)
    assert not [a for a in monitor.alerts() if a.rule == "labels"]


async def _feed_one(monitor: OnlineMonitor, first: int, last: int) -> None:
    for t in range(first, last):
        await monitor.process_update(bar_time(t), {"carry": SIGNAL[t]}, RETURNS[t])


@pytest.mark.parametrize("values", [{}, {"carry": None}, {"carry": float("nan")}])
async def test_a_day_without_a_value_is_critical(values: Any) -> None:
    monitor, kinds, _ = await _told(60, feature_values=lambda t: values)
    assert kinds["silence"] == 1
    assert next(a for a in monitor.alerts() if a.rule == "silence").severity == "critical"
    assert monitor.metrics("carry").status == "stale"


async def test_labels_of_the_past_are_called_implausible() -> None:
    monitor, kinds, _ = await _told(feature_values=lambda t: {"carry": RETURNS[t] / 0.006 + SIGNAL[t] / 2})
    assert kinds["implausible"] == 1
    (alert,) = [a for a in monitor.alerts() if a.rule == "implausible"]
    assert alert.value > 0.3
    assert monitor.metrics("carry").status == "warning"


async def test_the_factory_hands_on_names_and_strictness(tmp_path: Any) -> None:
    with create_midas(kb_path=tmp_path / "kb", provider="local") as midas:
        monitor = midas.build_online(["carry"], symbols=COINS, strict=True, diagnose=False)
        assert monitor.intake.reader.names == tuple(COINS)
        with pytest.raises(MonitorError, match="no symbol of the monitor"):
            await monitor.process_update(bar_time(0), {"carry": {"PEPEUSDT": 1.0}}, None)
        await monitor.close()
