"""Alert thresholds: the original's numbers, partial overrides, and a refusal that names the wrong key."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from midas_engine.errors import SettingsError
from midas_engine.text import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class AlertThresholds:
    """When a rule speaks. The first five are the original system's numbers.

    Attributes:
        ic_ratio_warning: ic_5d / ic_30d below this is a warning.
        ic_ratio_critical: Below this the warning says so; a ratio of two ICs is never critical.
        slippage_warning: Realised over expected slippage above this is a warning.
        slippage_critical: Above this, and above the warning at the lower end of its error, critical.
        drawdown_bps: One-day contribution below this is a warning.
        correlation: Correlation with another live feature above this, when it is news, is a warning.
        correlation_rise: How far above its usual level it must have come.
        coverage: Share of values present over five days below this is a warning.
        missing_bars: Bars in a row without a value that make a feature stale.
        frozen_bars: Bars in a row with the very same values that make it stale.
        stuck_share: Share of symbols, beyond what is usual, whose value has not moved for a day.
        enter_bars: Bars a condition must hold before an episode opens.
        leave_bars: Clear bars before it is resolved.
        max_open: Episodes open at once before warnings are folded into one fleet alert.
    """

    ic_ratio_warning: float = 0.70
    ic_ratio_critical: float = 0.50
    slippage_warning: float = 1.5
    slippage_critical: float = 2.0
    drawdown_bps: float = -50.0
    correlation: float = 0.70
    correlation_rise: float = 0.25
    coverage: float = 0.50
    missing_bars: int = 3
    frozen_bars: int = 24
    stuck_share: float = 0.25
    enter_bars: int = 3
    leave_bars: int = 24
    max_open: int = 200


_RANGES: dict[str, tuple[float, float]] = {
    "ic_ratio_warning": (-10, 10),
    "ic_ratio_critical": (-10, 10),
    "slippage_warning": (0, 1000),
    "slippage_critical": (0, 1000),
    "drawdown_bps": (-1e6, 0),
    "correlation": (0, 1),
    "correlation_rise": (0, 1),
    "coverage": (0, 1),
    "missing_bars": (1, 100_000),
    "frozen_bars": (2, 100_000),
    "stuck_share": (0, 1),
    "enter_bars": (1, 10_000),
    "leave_bars": (1, 100_000),
    "max_open": (1, 1_000_000),
}
# the spellings of the original and of thresholds.json
_ALIASES = {
    "ic_decay_warning": "ic_ratio_warning",
    "ic_decay_critical": "ic_ratio_critical",
    "ic_decay_ratio_warning": "ic_ratio_warning",
    "ic_decay_ratio_critical": "ic_ratio_critical",
    "slippage_ratio_warning": "slippage_warning",
    "slippage_ratio_critical": "slippage_critical",
    "drawdown_warning_bps": "drawdown_bps",
    "pnl_drawdown_bps": "drawdown_bps",
    "drawdown_bps_warning": "drawdown_bps",
}


def merge_thresholds(overrides: Mapping[str, Any] | None, base: AlertThresholds | None = None) -> AlertThresholds:
    """`base` (the defaults) with `overrides`; nothing is taken unless all of it is right.

    Raises:
        SettingsError: An unknown key (with the nearest one), a value that is no number or out of range, or a
            warning that would come after its critical.

    Example:
        >>> merge_thresholds({"slippage_warning": 1.2}).slippage_critical
        2.0
    """
    current = base or AlertThresholds()
    known = {item.name: getattr(current, item.name) for item in dataclasses.fields(current)}
    changes: dict[str, float | int] = {}
    for key, value in (overrides or {}).items():
        name = _ALIASES.get(key, key)
        if name not in known:
            names = [*known, *_ALIASES]
            raise SettingsError(f"unknown alert threshold {key!r}", hint=did_you_mean(key, names))
        changes[name] = _number(name, key, value, whole=isinstance(known[name], int))
    merged = dataclasses.replace(current, **changes)  # type: ignore[arg-type]
    if merged.ic_ratio_critical > merged.ic_ratio_warning:
        raise SettingsError(
            f"ic_ratio_critical = {merged.ic_ratio_critical:g} lies above the warning, {merged.ic_ratio_warning:g}",
            hint="a critical ratio is the lower one",
        )
    if merged.slippage_critical < merged.slippage_warning:
        raise SettingsError(
            f"slippage_critical = {merged.slippage_critical:g} lies below the warning, {merged.slippage_warning:g}",
            hint="a critical slippage ratio is the higher one",
        )
    return merged


def _number(name: str, key: str, value: Any, *, whole: bool) -> float | int:
    low, high = _RANGES[name]
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise SettingsError(f"alert threshold {key} = {value!r} is not a finite number")
    if not low <= value <= high or (whole and value != int(value)):
        kind = "a whole number" if whole else "a number"
        raise SettingsError(
            f"alert threshold {key} = {value!r} is out of range", hint=f"use {kind} from {low:g} to {high:g}"
        )
    return int(value) if whole else float(value)
