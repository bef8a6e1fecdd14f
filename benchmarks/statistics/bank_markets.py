"""Markets and banks of `real_bank.py`: panels from exchange files of several layouts, and what is put aside."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from midas_engine.market import Panel, load_panel
from midas_engine.market.vouched import vouched

LATER = 0.2
OTHERS = 3
_SUMS = ("volume", "quote_volume", "trades", "taker_buy_volume", "taker_buy_quote_volume")
_CANDLE = {"open": "first", "high": "max", "low": "min", "close": "last"}
_DURATION = re.compile(r"<(\d+)([dh])>")


@dataclass(frozen=True, slots=True)
class Market:
    """One market of the benchmark.

    Attributes:
        name: As it is shown.
        panel: All of it, every column vouched for by its venue.
        target: Horizon in bars that features are judged at, fixed before anything is scored.
    """

    name: str
    panel: Panel
    target: int

    @property
    def cut(self) -> int:
        """The row at which the later period begins."""
        return int(self.panel.T * (1.0 - LATER))

    def symbols(self, *, others: bool) -> list[str]:
        """The symbols that are searched on, or those put aside: every third, where there are three."""
        apart = np.arange(self.panel.S) % OTHERS == OTHERS - 1
        return [s for s, aside in zip(self.panel.symbols, apart, strict=True) if aside == others]

    @property
    def seen(self) -> Panel:
        """What the product is given."""
        return self.panel.slice(0, self.cut).select(self.symbols(others=False))


def read_market(text: str, funding: str | None) -> Market:
    """A market from `PATH[@BAR][:TARGET][,SINCE]`, such as `perps_1h.parquet@4h:6,2024-01-01`.

    Args:
        text: A Parquet file of bars with a `symbol`, or with `venue` and `coin` (the first venue is traded, the others
            are its columns `elsewhere` and `volume_elsewhere`); or a name that `load_panel` knows.
        funding: A Parquet file of settlements (timestamp, symbol, funding_rate) that is joined to perpetuals.
    """
    path, _, since = text.partition(",")
    path, _, target = path.partition(":")
    path, _, rule = path.partition("@")
    if not Path(path).exists():
        return Market(path, load_panel(path), int(target or 1))
    frame = pd.read_parquet(path)
    if since:
        frame = frame[pd.to_datetime(frame["timestamp"], utc=True) >= pd.Timestamp(since, tz="UTC")]
    if "interval" in frame:
        frame = frame[frame["interval"] == frame["interval"].iloc[0]]
    if "venue" in frame:
        frame = _across_venues(frame)
    wanted = [c for c in (*_CANDLE, *_SUMS, "elsewhere", "volume_elsewhere") if c in frame]
    frame = frame[["timestamp", "symbol", *wanted]]
    if rule:
        how = {c: _CANDLE.get(c, "last" if c == "elsewhere" else "sum") for c in wanted}
        frame = frame.set_index("timestamp").groupby("symbol").resample(rule).agg(how).reset_index()
        frame = frame.dropna(subset=["close"])
    panel = Panel.from_frame(frame)
    if funding and not {"taker_buy_volume", "elsewhere"} & set(panel.columns):
        panel = _with_funding(panel, pd.read_parquet(funding))
    return Market(f"{Path(path).stem}{'@' + rule if rule else ''}", vouched(panel, "exchange"), int(target or 1))


def _across_venues(frame: pd.DataFrame) -> pd.DataFrame:
    """Bars of the venue with the most of them, and beside them what the other venues say of the same coin."""
    first = frame["venue"].value_counts().index[0]
    ours, rest = frame[frame["venue"] == first], frame[frame["venue"] != first]
    beside = rest.groupby(["timestamp", "coin"]).agg(
        elsewhere=("close", "median"), volume_elsewhere=("volume", "median")
    )
    return ours.merge(beside.reset_index(), on=["timestamp", "coin"], how="left").rename(columns={"coin": "symbol"})


def _with_funding(panel: Panel, rates: pd.DataFrame) -> Panel:
    """The rate last settled by each bar, for a day at most."""
    stamps = pd.to_datetime(rates["timestamp"], utc=True).dt.tz_localize(None).to_numpy().astype("datetime64[ns]")
    width = np.timedelta64(panel.bar_seconds, "s").astype("timedelta64[ns]")
    rows = ((stamps - panel.timestamps[0]) // width).astype(int)
    column = {symbol: k for k, symbol in enumerate(panel.symbols)}
    values = np.full(panel.shape, np.nan)
    for row, symbol, rate in zip(rows, rates["symbol"], rates["funding_rate"], strict=True):
        if 0 <= row < panel.T and symbol in column:
            values[row, column[symbol]] = rate
    values = pd.DataFrame(values).ffill(limit=max(1, panel.bars(24) - 1)).to_numpy()
    if not np.isfinite(values).any():
        return panel
    fields = {name: panel.fields[name] for name in panel.fields} | {"funding_rate": values}
    return Panel(panel.timestamps, panel.symbols, fields, panel.bar_seconds)


def at_bars(text: str, bar_seconds: int) -> str:
    r"""A bank's text with durations in bars; lines whose durations are shorter than a bar are left out.

    Example:
        >>> at_bars("a: returns(close, <1d>)\nb: returns(close, <2h>)", 43200)
        'a: returns(close, 2)'
    """
    kept = []
    for line in text.splitlines():
        bars = [int(n) * {"d": 86_400, "h": 3600}[unit] / bar_seconds for n, unit in _DURATION.findall(line)]
        if any(b < 1.0 for b in bars):
            continue
        found = iter(bars)
        kept.append(_DURATION.sub(lambda _, found=found: str(round(next(found))), line))
    return "\n".join(kept)
