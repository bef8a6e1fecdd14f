"""Following a panel file that a collector keeps writing."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
import pytest

from midas_engine.clock import ManualClock
from midas_engine.errors import FeedError
from midas_engine.market import Panel
from midas_engine.market.feeds import ClosedBar, FileSource, PollingFeed

if TYPE_CHECKING:
    from pathlib import Path

FIRST = np.datetime64("2025-03-01T00:00", "ns")


def panel(bars: int) -> Panel:
    times = FIRST + np.arange(bars) * np.timedelta64(1, "h")
    close = 100.0 + np.arange(bars)[:, None] + np.array([0.0, 0.5])
    paid = np.zeros((bars, 2))
    paid[7::8] = 0.0003
    fields = {
        "close": close,
        "volume": np.ones((bars, 2)),
        "funding_paid": paid,
        "funding_rate": np.full((bars, 2), 0.0003),
    }
    return Panel(times, ("AAA", "BBB"), fields, 3600)


async def test_new_rows_of_the_file_are_new_bars(tmp_path: Path) -> None:
    file = tmp_path / "bars.parquet"
    panel(40).save(file)
    clock = ManualClock(datetime(2025, 3, 2, 16, 0, 30, tzinfo=UTC))
    feed = PollingFeed(FileSource(file), clock)
    history = await feed.history(40)
    assert (history.T, history.symbols) == (40, ("AAA", "BBB"))
    np.testing.assert_array_equal(history.values("close"), panel(40).values("close"))
    # before the first settlement the file tells of nothing is known
    np.testing.assert_allclose(history.values("funding_paid")[7:], panel(40).values("funding_paid")[7:], rtol=1e-12)
    assert np.isnan(history.values("funding_paid")[:7]).all()
    seen: list[ClosedBar] = []

    async def read() -> None:
        async for bar in feed.bars():
            seen.append(bar)  # noqa: PERF401 - the test looks at it while it grows

    reader = asyncio.create_task(read())
    panel(43).save(file)
    clock.advance(3 * 3600)
    while len(seen) < 3:  # files are read in a thread
        await asyncio.to_thread(int)
        if clock.waiting:
            clock.advance(1)
    reader.cancel()
    with suppress(asyncio.CancelledError):
        await reader
    assert [bar.at.hour for bar in seen] == [16, 17, 18]
    assert [bar.values["close"][1] for bar in seen] == [140.5, 141.5, 142.5]


async def test_a_file_that_is_gone_or_torn_is_a_feed_error(tmp_path: Path) -> None:
    file = tmp_path / "bars.parquet"
    with pytest.raises(FeedError, match=r"bars\.parquet cannot be read"):
        await FileSource(file).symbols()
    file.write_bytes(b"PAR1 not really")
    with pytest.raises(FeedError):
        await FileSource(file).symbols()


async def test_a_text_caught_while_it_is_written_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "bars.csv"
    rows = "".join(f"2025-03-01T{h:02d}:00:00Z,AAA,{100 + h}.25\n" for h in range(12))
    file.write_text("timestamp,symbol,close\n" + rows)
    source = FileSource(file)
    assert [c.values["close"] for c in await source.candles("AAA", 0)][-1] == 111.25
    file.write_text("timestamp,symbol,close\n" + rows + "2025-03-01T12:00:00Z,AAA,11")  # of 112.25
    with pytest.raises(FeedError, match="is being written"):
        await source.candles("AAA", 0)
    file.write_text("timestamp,symbol,close\n" + rows + "2025-03-01T12:00:00Z,AAA,112.25")  # some never end a line
    with pytest.raises(FeedError, match="is being written"):
        await source.candles("AAA", 0)
    assert [c.values["close"] for c in await source.candles("AAA", 0)][-1] == 112.25


@pytest.mark.parametrize(
    "text",
    [
        "",
        "timestamp,symbol,close\n",
        "<html>busy</html>\n",
        "timestamp,symbol,close\nsoon,AAA,1\n",
        "timestamp,symbol,close\n2025-03-01T00:00:00Z,AAA,dear\n2025-03-01T01:00:00Z,AAA,2\n",
        '{"code": 0}\n',
    ],
)
async def test_nonsense_in_the_file_is_a_feed_error_and_passes(tmp_path: Path, text: str) -> None:
    file = tmp_path / "bars.csv"
    good = "timestamp,symbol,close\n" + "".join(f"2025-03-01T{h:02d}:00:00Z,AAA,{h + 1}\n" for h in range(12))
    file.write_text(good)
    source = FileSource(file)
    assert len(await source.candles("AAA", 0)) == 12
    file.write_text(text)
    with pytest.raises(FeedError):
        await source.candles("AAA", 0)
    file.unlink()
    file.mkdir()
    with pytest.raises(FeedError):
        await source.candles("AAA", 0)
    file.rmdir()
    file.write_text(good)
    assert len(await source.candles("AAA", 0)) == 12


async def test_other_bars_than_at_the_start_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "bars.csv"

    def write(minutes: int) -> None:
        times = FIRST + np.arange(12) * np.timedelta64(minutes, "m")
        file.write_text("timestamp,symbol,close\n" + "".join(f"{str(t)[:19]}Z,AAA,1\n" for t in times))

    write(60)
    source = FileSource(file)
    assert source.bar_seconds == 3600
    write(5)
    with pytest.raises(FeedError, match="has bars of 300 s now; it had 3600 s"):
        await source.candles("AAA", 0)


async def test_a_folder_of_a_collectors_own_files_is_followed(tmp_path: Path) -> None:
    """One file a symbol, one that begins later, one that is caught while it is written: it named `panel.parquet`."""
    folder = tmp_path / "bars"
    folder.mkdir()
    with pytest.raises(FeedError, match="no data file in .*bars") as told:
        await FileSource(folder).symbols()
    assert "is the collector running?" in told.value.hint

    def write(symbol: str, hours: range, more: str = "") -> None:
        rows = "".join(f"{FIRST + np.timedelta64(h, 'h')},{100 + h}.25\n" for h in hours)
        (folder / f"{symbol}.csv").write_text("timestamp,close\n" + rows + more)

    for symbol in ("AAAUSDT", "BBBUSDT"):
        write(symbol, range(12))
    source = FileSource(folder)
    assert tuple(await source.symbols()) == ("AAAUSDT", "BBBUSDT")
    write("AAAUSDT", range(13))
    assert [c.values["close"] for c in await source.candles("AAAUSDT", 0)][-1] == 112.25
    assert len(await source.candles("BBBUSDT", 0)) == 12
    write("BBBUSDT", range(12), "2025-03-01T12:00:00,11")
    with pytest.raises(FeedError, match=r"BBBUSDT\.csv is being written"):
        await source.candles("BBBUSDT", 0)
    write("BBBUSDT", range(13))
    assert len(await source.candles("BBBUSDT", 0)) == 13
    (folder / "AAAUSDT.csv").unlink()
    assert tuple(await source.symbols()) == ("BBBUSDT",)
