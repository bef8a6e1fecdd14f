"""Execution quality: realised against expected slippage, both in bps, from the fills a bar brings."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from midas_engine.monitor.figures.block_ring import mean_ring

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_REALISED = ("slippage_bps", "realized_bps", "realised_bps", "realized_slippage_bps", "realised_slippage_bps")
_EXPECTED = ("expected_bps", "expected_slippage_bps")


def read_fills(
    fills: Any, names: Sequence[str], expected_bps: float, rows: Mapping[str, int] | None = None
) -> tuple[Floats, Floats, list[str]]:
    """Realised and expected slippage of each feature, bps, [F], NaN where a bar brought none; and what was wrong.

    Accepted shapes: ``{"slippage_bps": 3.2}`` for all features, with ``"expected_bps"`` where known (else
    `expected_bps` is assumed); the same keyed by feature name, ``{"carry": {"slippage_bps": 3.2}}`` or
    ``{"carry": 3.2}``; or a list of such mappings with a ``"feature"`` key. None and NaN say that there was no fill.
    Anything else is left aside and named. `rows` are the names' places, when the caller has them at hand.
    """
    realised, expected = np.full(len(names), np.nan), np.full(len(names), np.nan)
    problems: list[str] = []
    if fills is None:
        return realised, expected, problems
    if rows is None:
        rows = {name: row for row, name in enumerate(names)}
    for target, record in _records(fills, rows, problems):
        whose = "" if target is None else f" of {target}"
        cost = _first(record, _REALISED, whose, problems)
        assumed = _first(record, _EXPECTED, whose, problems)
        if not any(key in record for key in _REALISED):
            problems.append(f"no slippage_bps in the record{whose}, only {', '.join(map(str, list(record)[:3]))}")
        if not math.isfinite(cost):
            continue
        where = slice(None) if target is None else rows[target]
        realised[where] = cost
        expected[where] = assumed if math.isfinite(assumed) else expected_bps
    return realised, expected, list(dict.fromkeys(problems))


def _records(fills: Any, rows: Mapping[str, int], problems: list[str]) -> list[tuple[str | None, Mapping[str, Any]]]:
    if isinstance(fills, Sequence) and not isinstance(fills, str | bytes):
        return [pair for item in fills for pair in _records(item, rows, problems)]
    if not isinstance(fills, Mapping):
        problems.append(f"{type(fills).__name__} is no record")
        return []
    found: list[tuple[str | None, Mapping[str, Any]]] = []
    whole = any(key in fills for key in (*_REALISED, *_EXPECTED, "feature"))
    if whole:
        feature = fills.get("feature")
        if feature is None or feature in rows:
            found.append((feature, fills))
        else:
            problems.append(f"{feature!r} is no watched feature")
    for name, record in fills.items():
        if name in rows:
            found.append((name, record if isinstance(record, Mapping) else {"slippage_bps": record}))
    if not whole:  # beside a record's own figures anything may stand: price, size, venue
        strange = [str(name) for name in fills if name not in rows]
        if strange:
            problems.append(f"{', '.join(strange[:3])}: no watched feature")
    return found


def _first(record: Mapping[str, Any], keys: Sequence[str], whose: str, problems: list[str]) -> float:
    for key in keys:
        value = record.get(key)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
            problems.append(f"{key}{whose} came as {type(value).__name__}, not as a number")
        elif math.isfinite(value):
            return float(value)
    return math.nan


FEWEST = 3


class Slippage:
    """Mean realised and expected slippage over the last day, per feature."""

    def __init__(self, features: int, day_bars: int) -> None:
        self.day_bars = day_bars
        self.realised, self.expected = mean_ring(features, day_bars), mean_ring(features, day_bars)

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

    def low(self) -> Floats:
        """Lower 97.5 % end of the ratio, [F]; NaN below three fills.

        Where a day has fewer than three bars there is no error to be had, and the ratio itself is given.
        """
        _, expected, ratio = self.figures()
        if self.day_bars < FEWEST:
            return ratio
        total, squares, count = self.realised.sums.T
        with np.errstate(invalid="ignore", divide="ignore"):
            variance = np.maximum(squares - total * total / count, 0.0) / (count - 1.0)
            error = np.sqrt(variance / count)
            free = count - 1.0
            # Student's 97.5 % point by the expansion of Cornish and Fisher, within 4 % from three fills on
            student = 1.96 + 2.372 / free + 2.823 / free**2 + 2.556 / free**3
            return np.where(count >= FEWEST, ratio - student * error / expected, np.nan)

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
