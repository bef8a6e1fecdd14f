"""What is asked of every bank of published alphas: values by the formulas, streams, and other beginnings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from midas_engine.dsl import FeatureEngine, StreamEngine
from midas_engine.market.panel import Panel
from tests.helpers_banks import Array, Reader, delay

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def differing(a: Array, b: Array, rel: float = 1e-6) -> npt.NDArray[np.bool_]:
    """Cells that are not the same number, or missing in one only."""
    size = np.maximum(np.maximum(np.abs(a), np.abs(b)), 1e-6)
    return (np.isnan(a) != np.isnan(b)) | (np.nan_to_num(np.abs(a - b) / size) > rel)


def market(bars: int = 340, symbols: int = 6, seed: int = 0) -> dict[str, Array]:
    """Columns [T, S] without holes, with a group of two and two of three."""
    rng = np.random.default_rng(seed)
    shape = (bars, symbols)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.01, shape), axis=0) + rng.normal(0, 1, symbols))
    start = np.vstack([close[:1], close[:-1]]) * (1 + rng.normal(0, 0.002, shape))
    high = np.maximum(start, close) * (1 + np.abs(rng.normal(0, 0.004, shape)))
    low = np.minimum(start, close) * (1 - np.abs(rng.normal(0, 0.004, shape)))
    volume = rng.lognormal(3, 1, shape)
    vwap = low + (high - low) * rng.random(shape)
    labels = np.tile(np.arange(symbols) * 2.0 // symbols, (bars, 1))
    return {
        "open": start, "high": high, "low": low, "close": close, "volume": volume, "vwap": vwap,
        "quote_volume": volume * vwap, "returns": close / delay(close, 1) - 1, "cap": close * np.arange(1e6, 7e6, 1e6),
        "sector": labels, "industry": labels, "subindustry": np.tile(np.arange(symbols) // 2.0, (bars, 1)),
    }  # fmt: skip


def panel_of(columns: Mapping[str, Array], start: int = 0) -> Panel:
    """The columns as hourly bars, from bar `start` on."""
    bars, symbols = columns["close"].shape
    times = np.datetime64("2026-01-01T00:00", "ns") + np.arange(start, bars) * np.timedelta64(3600, "s")
    kept = {name: np.ascontiguousarray(values[start:]) for name, values in columns.items()}
    return Panel(times, tuple(f"SYM{i}USDT" for i in range(symbols)), kept, 3600)


class Conformance:
    """A bank on one small market: computed once, compared in three ways.

    Args:
        entries: Name -> expression.
        columns: The market.
        later: Bars by which the other history starts later.
    """

    def __init__(self, entries: Mapping[str, str], columns: Mapping[str, Array], later: int = 7) -> None:
        self.entries, self.columns, self.later = dict(entries), columns, later
        self.panel = panel_of(columns)
        self.tied: dict[str, npt.NDArray[np.bool_]] = {}
        self.wanted: dict[str, Array] = {}
        self.shake: Callable[[str, int], Array]
        engine = FeatureEngine(self.panel)
        texts = list(self.entries.values())
        self.values = dict(zip(self.entries, engine.many(list(texts)), strict=True))
        self.memory = {name: engine.parse(text).lookback for name, text in self.entries.items()}
        self.recursive = {name for name, text in self.entries.items() if engine.parse(text).recursive}

    def wrong(self, reader: Callable[[int], Reader], written: Mapping[str, str]) -> tuple[dict[str, int], float]:
        """Cells that differ from the formula's, by name, and the share of cells that are an exact tie (not compared).

        A tie is a cell that rounding moves. Shaking all by +x and -x finds the ties of two; cells that differ still are
        shaken more often, for a tie of many needs luck to show.

        Args:
            reader: Makes the reader of the formulas; of another number than 0 one that is moved by rounding.
            written: Name -> formula.
        """
        readers = [reader(sign) for sign in (0, 1, -1)]
        self.shake = lambda name, sign: np.asarray(reader(sign).value(written[name]), float)
        wrong, ties, cells = {}, 0, 0
        for name, got in self.values.items():
            first = min(self.memory[name], len(got) - 60)
            rel = 1e-6 if self.memory[name] == first else 1e-4  # a smoothing that still fades in
            wanted, *moved = (np.broadcast_to(np.asarray(r.value(written[name]), float), got.shape) for r in readers)
            self.wanted[name] = wanted
            self.tied[name] = np.logical_or.reduce([differing(wanted, other) for other in moved])
            differ = differing(got, wanted, rel)
            differ[:first] = False
            count = self._untied(name, differ)
            ties, cells = ties + int(self.tied[name][first:].sum()), cells + got[first:].size
            if count:
                wrong[name] = count
        return wrong, ties / cells

    def _untied(self, name: str, differ: npt.NDArray[np.bool_]) -> int:
        """How many of the differing cells rounding does not explain."""
        for sign in range(2, 40):
            left = int((differ & ~self.tied[name]).sum())
            if not left:
                break
            self.tied[name] = self.tied[name] | differing(self.wanted[name], self.shake(name, sign))
        return left

    def streamed_otherwise(self) -> dict[str, int]:
        """Cells in which a stream, one bar at a time, differs from the batch by as much as a bit."""
        stored = {k: v for k, v in self.columns.items() if k not in ("vwap", "returns")}
        stream = StreamEngine(self.entries, list(stored), self.panel.symbols)
        batch = self.panel_values(stored)
        wrong = dict.fromkeys(self.entries, 0)
        for t in range(len(self.panel.timestamps)):
            now = stream.update({name: column[t] for name, column in stored.items()})
            for name, row in now.items():
                wrong[name] += int((~np.equal(row, batch[name][t]) & ~(np.isnan(row) & np.isnan(batch[name][t]))).sum())
        return {name: count for name, count in wrong.items() if count}

    def panel_values(self, columns: Mapping[str, Array], start: int = 0) -> dict[str, Array]:
        """The bank over these columns from bar `start` on."""
        found = FeatureEngine(panel_of(columns, start)).many(list(self.entries.values()))
        return dict(zip(self.entries, found, strict=True))

    def begun_otherwise(self, *, ties_aside: bool = False) -> dict[str, int]:
        """Cells beyond an alpha's stated memory that depend on where its history began; ties after `wrong`."""
        wrong = {}
        for name, other in self.panel_values(self.columns, self.later).items():
            differ = np.zeros(self.panel.shape, bool)
            first = self.later + self.memory[name]
            differ[first:] = differing(self.values[name][first:], other[self.memory[name] :])
            count = self._untied(name, differ) if ties_aside else int(differ.sum())
            if count:
                wrong[name] = count
        return wrong
