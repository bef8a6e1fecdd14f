"""Execution quality: realised against expected slippage, both in bps, from the fills a bar brings."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from midas_engine.monitor.figures.ring import MeanRing

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_REALISED = ("slippage_bps", "realized_bps", "realised_bps", "realized_slippage_bps", "realised_slippage_bps")
_EXPECTED = ("expected_bps", "expected_slippage_bps")


def read_fills(
    fills: Any, names: Sequence[str], expected_bps: float, rows: Mapping[str, int] | None = None
) -> tuple[Floats, Floats]:
    """Realised and expected slippage of each feature, bps, [F]; NaN where a bar brought none.

    Accepted shapes: ``{"slippage_bps": 3.2}`` for all features, with ``"expected_bps"`` where known (else
    `expected_bps` is assumed); the same keyed by feature name, ``{"carry": {"slippage_bps": 3.2}}`` or
    ``{"carry": 3.2}``; or a list of such mappings with a ``"feature"`` key. Anything that is not a finite
    number is ignored. `rows` are the names' places, when the caller has them at hand.
    """
    realised, expected = np.full(len(names), np.nan), np.full(len(names), np.nan)
    if fills is None:
        return realised, expected
    if rows is None:
        rows = {name: row for row, name in enumerate(names)}
    for target, record in _records(fills, rows):
        cost = _first(record, _REALISED)
        if not math.isfinite(cost):
            continue
        assumed = _first(record, _EXPECTED)
        where = slice(None) if target is None else rows[target]
        realised[where] = cost
        expected[where] = assumed if math.isfinite(assumed) else expected_bps
    return realised, expected


def _records(fills: Any, rows: Mapping[str, int]) -> list[tuple[str | None, Mapping[str, Any]]]:
    if isinstance(fills, Mapping):
        found: list[tuple[str | None, Mapping[str, Any]]] = []
        if any(key in fills for key in _REALISED):
            feature = fills.get("feature")
            if feature is None or feature in rows:
                found.append((feature, fills))
        for name, record in fills.items():
            if name in rows:
                found.append((name, record if isinstance(record, Mapping) else {"slippage_bps": record}))
        return found
    if isinstance(fills, Sequence) and not isinstance(fills, str | bytes):
        return [pair for item in fills if isinstance(item, Mapping) for pair in _records(item, rows)]
    return []


def _first(record: Mapping[str, Any], keys: Sequence[str]) -> float:
    for key in keys:
        value = record.get(key)
        if isinstance(value, int | float | np.number) and not isinstance(value, bool) and math.isfinite(value):
            return float(value)
    return math.nan


class Slippage:
    """Mean realised and expected slippage over the last day, per feature."""

    def __init__(self, features: int, day_bars: int) -> None:
        self.day_bars = day_bars
        self.realised, self.expected = MeanRing(features, day_bars), MeanRing(features, day_bars)

    def update(self, realised: Floats, expected: Floats) -> None:
        """Take one bar's fills, [F] each; NaN where there was none."""
        self.realised.update(realised)
        self.expected.update(expected)

    def figures(self) -> tuple[Floats, Floats, Floats]:
        """Realised, expected, and their ratio, [F]; the ratio is NaN (undetermined) unless both are positive."""
        realised, expected = self.realised.average(), self.expected.average()
        known = (realised > 0) & (expected > 0)
        with np.errstate(invalid="ignore", divide="ignore"):
            return realised, expected, np.where(known, realised / expected, np.nan)

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """Everything a restart needs."""
        pairs = (("realised", self.realised), ("expected", self.expected))
        return {f"{name}.{key}": value for name, ring in pairs for key, value in ring.arrays().items()}

    def load(self, arrays: Mapping[str, NDArray[np.generic]]) -> None:
        """Take the state that `arrays` gave."""
        for name, ring in (("realised", self.realised), ("expected", self.expected)):
            ring.load({key: arrays[f"{name}.{key}"] for key in ring.arrays()})

    def select(self, rows: Sequence[int]) -> None:
        """Keep the features `rows`, in that order; -1 adds one without fills."""
        self.realised.select(rows)
        self.expected.select(rows)
