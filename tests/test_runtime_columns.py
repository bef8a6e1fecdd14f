"""What a feed lacks, or stops giving, is refused or said: no feature reads healthy on a column that does not come."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pytest

from midas_engine.clock import ManualClock
from midas_engine.errors import FeedError
from midas_engine.events import FaultReported
from midas_engine.market import Panel, SyntheticMarket
from midas_engine.market.feeds import FileSource, PollingFeed
from midas_engine.models import FeatureRecord, FeatureState
from midas_engine.runtime import Runtime
from midas_engine.runtime.live import LiveWatch
from midas_engine.runtime.live_stream import history_bars
from midas_engine.settings import Settings
from tests.test_runtime_live import Desk, LiveRuntime, _head

if TYPE_CHECKING:
    from pathlib import Path

FLOW, PRICE = "ts_mean(quote_volume, 24)", "cs_rank(returns(close, 1))"


def deployed(name: str, text: str) -> FeatureRecord:
    return FeatureRecord(name, text, FeatureState.DEPLOYED, expected_score=0.05, breadth=8.0)


@pytest.fixture(scope="module")
def market() -> Panel:
    whole = SyntheticMarket(5).panel()
    return whole.select(start=whole.timestamps[-700])


def without(market: Panel, column: str, rows: slice) -> Panel:
    values = market.fields[column].copy()
    values[rows] = np.nan
    return Panel(market.timestamps, market.symbols, {**market.fields, column: values}, market.bar_seconds)


def alone(folder: Path, panel: Panel) -> Desk:
    desk = Desk(folder, panel, bars=panel.T)
    feed = PollingFeed(FileSource(desk.file), desk.clock)
    desk.live = LiveWatch(feed, Settings(), bus=desk.bus, clock=desk.clock, alone=True)
    return desk


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("cs_rank(basis)", "no column or feature 'basis'", "has open, high, low, close"),
        ("ts_mean(quote_volume, 24)", "gives quote_volume without a number in any of 300 bars", "fills the column"),
        ("ts_std(ts_mean(ts_mean(close, 500), 200), 20)", "no value on any of the 300 bars", "longer history"),
    ],
)
async def test_an_expression_that_would_watch_nothing_is_refused_before_a_bar_is_judged(
    tmp_path: Path, market: Panel, text: str, message: str, hint: str
) -> None:
    desk = alone(tmp_path, _head(without(market, "quote_volume", slice(None)), 300))
    with pytest.raises(FeedError, match=message) as refused:
        await desk.live.begin([deployed("expression", text)])
    assert hint in (refused.value.hint or "")
    assert not desk.done
    await desk.stop()


async def test_an_expression_that_has_values_is_watched(tmp_path: Path, market: Panel) -> None:
    desk = alone(tmp_path, _head(market, 300))
    await desk.live.begin([deployed("expression", FLOW)])
    assert desk.done
    await desk.stop()


async def test_a_column_that_stops_is_said_at_once_and_its_readers_are_stale_until_it_comes_again(
    tmp_path: Path, market: Panel
) -> None:
    desk = Desk(tmp_path, without(market, "quote_volume", slice(603, 605)), bars=600)
    faults: list[str] = []
    desk.bus.tap(lambda e: faults.append(e.message) if isinstance(e, FaultReported) else None)
    await desk.live.begin([deployed("flow", FLOW), deployed("price", PRICE)])
    await desk.grow(3)
    assert (desk.live.columns.trouble, faults) == ("", [])
    before = desk.live.monitor.metrics("price").status
    await desk.grow(1)
    assert np.isfinite(desk.live.monitor.metrics("flow").value), "the window has values for a while yet"
    assert desk.live.monitor.metrics("flow").status == "stale"
    assert desk.live.monitor.metrics("price").status == before != "stale"
    assert len(faults) == 1
    assert faults[0].startswith("the feed gives no quote_volume since the bar of ")
    assert "flow read it" in faults[0]
    await desk.grow(1)
    assert len(faults) == 1, "it is said once"
    await desk.grow(1)
    assert faults[1:] == ["the feed gives quote_volume again"]
    assert (desk.live.columns.trouble, desk.live.fleet.absent["columns"]) == ("", frozenset())
    await desk.stop()


async def test_a_column_that_comes_once_a_day_is_not_away_in_between(tmp_path: Path, market: Panel) -> None:
    daily = np.full(market.shape, np.nan)
    daily[::24] = market.fields["quote_volume"][::24]
    sparse = Panel(market.timestamps, market.symbols, {**market.fields, "quote_volume": daily}, market.bar_seconds)
    desk = Desk(tmp_path, sparse, bars=601)
    await desk.live.begin([deployed("flow", "ts_max(quote_volume, 48)")])
    await desk.grow(23)
    assert desk.live.columns.trouble == ""
    gone = without(sparse, "quote_volume", slice(601, None))
    desk.market = gone
    await desk.grow(1)
    assert "no quote_volume since the bar of" in desk.live.columns.trouble
    await desk.stop()


def test_of_long_bars_as_much_history_is_asked_for_as_the_features_look_back() -> None:
    slow = deployed("slow", "ts_mean(ts_mean(close, 160), 160)")
    assert history_bars([slow], 3600, Settings()) == 24 * 92
    assert history_bars([slow], 86_400, Settings()) > 318
    assert history_bars([deployed("broken", "ts_mean(")], 86_400, Settings()) == 92


class Moved(ManualClock):
    """A clock whose wall time is set, while its monotonic one goes on."""

    shift = 0.0

    def now(self) -> datetime:
        return super().now() + timedelta(seconds=self.shift)


async def test_a_clock_that_was_set_and_is_right_again_is_not_called_a_feed_that_is_back(
    tmp_path: Path, market: Panel
) -> None:
    desk = LiveRuntime(tmp_path, market, bars=650)
    desk.clock = Moved(desk.clock.now())
    desk.runtime = Runtime(desk.runtime.settings, clock=desk.clock)
    desk.runtime.bus.tap(desk.seen.append)

    def said() -> list[str]:
        return [e.message for e in desk.seen if isinstance(e, FaultReported) and e.where == "feed"]

    async with desk.runtime:
        await desk.grow(1)
        desk.clock.shift = -7200.0
        await desk.until(lambda: len(said()) == 1)
        assert "this machine's clock is 2.0 h behind" in said()[0]
        desk.clock.shift = 0.0
        await desk.until(lambda: len(said()) == 2)
        assert said()[1] == "this machine's clock can be trusted again"
        await desk.grow(1)
