"""Panels and slow, obvious oracles for the expression language."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from midas_engine.market.panel import Panel

if TYPE_CHECKING:
    from collections.abc import Callable

Array = npt.NDArray[np.float64]
COLUMNS = ("open", "high", "low", "close", "volume", "quote_volume", "trades", "funding_rate", "open_interest")


def make_panel(seed: int = 0, bars: int = 120, symbols: int = 5, holes: float = 0.03) -> Panel:
    """A wandering panel with holes, a late listing, a gap, a delisting and a flat stretch."""
    rng = np.random.default_rng(seed)
    shape = (bars, symbols)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.01, shape), axis=0))
    spread = np.abs(rng.normal(0, 0.004, shape))
    volume = rng.lognormal(3, 1, shape)
    fields = {
        "open": close * (1 + rng.normal(0, 0.002, shape)),
        "high": close * (1 + spread),
        "low": close * (1 - spread),
        "close": close,
        "volume": volume,
        "quote_volume": volume * close * (1 + rng.normal(0, 0.001, shape)),
        "trades": np.floor(rng.lognormal(4, 1, shape)),
        "funding_rate": rng.normal(0, 1e-4, shape).round(5),
        "open_interest": np.abs(rng.normal(1e4, 1e3, shape)),
    }
    gone = rng.random(shape) < holes
    if symbols > 1 and bars > 30:
        gone[: bars // 3, 1] = True
        gone[bars // 2 : bars // 2 + bars // 8, symbols - 1] = True
        gone[bars - bars // 6 :, symbols // 2] = True
    flat = slice(bars // 5, bars // 5 + bars // 6)
    for name, values in fields.items():
        if name != "trades":
            values[flat, 0] = values[flat.start, 0]
        values[gone] = np.nan
        fields[name] = values
    fields["volume"][rng.random(shape) < 0.02] = 0.0
    times = np.datetime64("2026-01-01T00:00", "ns") + np.arange(bars) * np.timedelta64(3600, "s")
    return Panel(times, tuple(f"SYM{i}USDT" for i in range(symbols)), fields, 3600)


def recompute(x: Array, n: int, need: int, function: Callable[[Array], float]) -> Array:
    """`function` of the valid values of every window, one window at a time."""
    out = np.full(x.shape, np.nan)
    for s in range(x.shape[1]):
        for t in range(x.shape[0]):
            window = x[max(0, t - n + 1) : t + 1, s]
            window = window[~np.isnan(window)]
            if len(window) >= need:
                out[t, s] = function(window)
    return out


def same(a: Array, b: Array, *, rel: float = 1e-9, floor: float = 1e-12) -> None:
    """Equal up to rounding, with NaN in the same places."""
    assert a.shape == b.shape
    missing = np.isnan(a) != np.isnan(b)
    assert not missing.any(), f"{missing.sum()} cells are NaN in one only, first at {np.argwhere(missing)[0]}"
    scale = np.maximum(np.abs(b), floor)
    error = np.nan_to_num(np.abs(a - b) / scale)
    worst = np.unravel_index(np.argmax(error), error.shape)
    assert error.max(initial=0) <= rel, f"off by {error.max():.2e} at {worst}: {a[worst]!r} and {b[worst]!r}"
