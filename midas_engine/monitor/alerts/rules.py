"""The rules layer: which conditions hold on this bar, for every feature at once. It never stops a feature.

The first three are the original system's, on durations instead of bar counts and only where the figure is
determined; the sequential tests raise the critical ic_decay; the rest watch the input.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from midas_engine.models import Severity
from midas_engine.plugins import use

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from midas_engine.models import Alert
    from midas_engine.monitor.alerts.thresholds import AlertThresholds
    from midas_engine.plugins import Plugin

    Floats = NDArray[np.float64]
    Flags = NDArray[np.bool_]
    Columns = Mapping[str, Floats]


# Standard errors by which the five days must lie below the thirty for the ratio to be below its lower line.
_FALLEN_ERRORS = 2.0
# No honest IC of one bar is so high; by how many errors it must be above, since it is asked on every bar.
LEAK_IC, _IMPLAUSIBLE_ERRORS = 0.3, 3.0


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: where its figure comes from and what it says.

    Attributes:
        name: Identity of the episode, together with the feature.
        alert_type: One of the types of `midas_engine.models.Alert`.
        figure: Column that is shown with the alert.
        unit: Its unit.
        grade: Level of every feature: 0 clear, 1 warning, 2 critical; NaN figures are clear.
        threshold: The gate for a level, to be shown.
        text: Message with the fields value, threshold and feature.
        enter_bars: Bars before the episode opens; None takes the thresholds' own.
        lowest: Severity of level 1.
        highest: Severity of level 2. A figure without a stated false-alarm rate is a warning at most.
        short: A few words with the field value, for many features at once and for narrow columns; empty takes the
            message, of many that of the worst.
    """

    name: str
    alert_type: str
    figure: str
    unit: str
    grade: Callable[[Columns, AlertThresholds], NDArray[np.int8]]
    threshold: Callable[[AlertThresholds, int], float]
    text: str
    enter_bars: int | None = None
    lowest: Severity = Severity.WARNING
    highest: Severity = Severity.CRITICAL
    short: str = ""

    def severity(self, level: int) -> Severity:
        """Severity of a level."""
        return self.highest if level >= 2 else self.lowest


def _levels(warning: Flags, critical: Flags | None = None) -> NDArray[np.int8]:
    level = warning.astype(np.int8)
    if critical is not None:
        level[critical] = 2
    return level


def _ratio(c: Columns, t: AlertThresholds) -> NDArray[np.int8]:
    # Five days say little of a small IC: chance alone takes it below either line in most healthy months, so that it is
    # a warning at most, and the lower line changes its gate only. The five days are part of the thirty, so the
    # variance of the difference is the difference of the variances.
    error = np.sqrt(np.maximum(c["ic_5d_se"] ** 2 - c["ic_30d_se"] ** 2, 0.0))
    fallen = c["ic_30d"] - c["ic_5d"] > _FALLEN_ERRORS * error
    return _levels(c["ic_ratio"] < t.ic_ratio_warning, (c["ic_ratio"] < t.ic_ratio_critical) & fallen)


def _slippage(c: Columns, t: AlertThresholds) -> NDArray[np.int8]:
    # Few or uneven fills lie far from their mean in health: critical is what stays dear at the lower end of its error.
    dear = (c["slippage_ratio"] > t.slippage_critical) & (c["slippage_low"] > t.slippage_warning)
    return _levels(c["slippage_ratio"] > t.slippage_warning, dear)


def _drawdown(c: Columns, t: AlertThresholds) -> NDArray[np.int8]:
    return _levels(c["pnl_1d_bps"] < t.drawdown_bps)


def _correlated(c: Columns, t: AlertThresholds) -> NDArray[np.int8]:
    risen = c["correlation"] - c["correlation_usual"] > t.correlation_rise
    return _levels((c["correlation"] > t.correlation) & risen)


def _regime(c: Columns, t: AlertThresholds) -> NDArray[np.int8]:
    against = c["ic_regime"] < -1.64 * c["ic_regime_se"]
    return _levels(against & (c["regime_bars"] >= 72) & (c["reference"] > 0))


def _stale(c: Columns, t: AlertThresholds) -> NDArray[np.int8]:
    return _levels(c["missing_bars"] >= t.missing_bars)


def _frozen(c: Columns, t: AlertThresholds) -> NDArray[np.int8]:
    return _levels(c["frozen_bars"] >= t.frozen_bars)


def _stuck(c: Columns, t: AlertThresholds) -> NDArray[np.int8]:
    # a frozen feature is all stuck, and has an alert of its own
    return _levels((c["stuck"] - c["stuck_usual"] > t.stuck_share) & (c["frozen_bars"] < t.frozen_bars))


def _sparse(c: Columns, t: AlertThresholds) -> NDArray[np.int8]:
    return _levels((c["coverage"] < t.coverage) & (c["missing_bars"] < t.missing_bars))


def _uncalibrated(c: Columns, t: AlertThresholds) -> NDArray[np.int8]:
    return _levels(~np.isfinite(c["reference"]))


def _implausible(c: Columns, t: AlertThresholds) -> NDArray[np.int8]:
    return _levels(np.abs(c["ic_30d"]) - _IMPLAUSIBLE_ERRORS * c["ic_30d_se"] > LEAK_IC)


def _unlabelled(c: Columns, t: AlertThresholds) -> NDArray[np.int8]:
    missing = c["unscored_bars"] >= c["day_bars"]
    return _levels(missing, missing)


def _silent(c: Columns, t: AlertThresholds) -> NDArray[np.int8]:
    missing = c["silent_bars"] >= c["day_bars"]
    return _levels(missing, missing)


_OWN: tuple[Rule, ...] = (
    Rule(
        "ic_ratio",
        "ic_decay",
        "ic_ratio",
        "ratio",
        _ratio,
        lambda t, level: t.ic_ratio_critical if level >= 2 else t.ic_ratio_warning,
        "5-day IC is {value:.2f} of the 30-day IC, below {threshold:.2f}",
        short="IC 5d {value:.2f} of 30d",
        highest=Severity.WARNING,
    ),
    Rule(
        "slippage",
        "execution_slippage",
        "slippage_ratio",
        "ratio",
        _slippage,
        lambda t, level: t.slippage_critical if level >= 2 else t.slippage_warning,
        "slippage is {value:.2f}x what was expected, above {threshold:.2f}x",
        short="slippage {value:.1f}x",
    ),
    Rule(
        "drawdown",
        "drawdown",
        "pnl_1d_bps",
        "bps",
        _drawdown,
        lambda t, level: t.drawdown_bps,
        "one-day contribution is {value:.1f} bps, below {threshold:.0f} bps",
        short="{value:+.0f} bps in a day",
    ),
    Rule(
        "correlation",
        "correlation_spike",
        "correlation",
        "correlation",
        _correlated,
        lambda t, level: t.correlation,
        "correlation with another live feature rose to {value:.2f}, above {threshold:.2f}",
        short="correlated {value:.2f}",
    ),
    Rule(
        "regime",
        "regime_shift",
        "ic_regime",
        "score",
        _regime,
        lambda t, level: 0.0,
        "the feature works against you in the current regime: score {value:.3f}",
        short="works against you",
    ),
    Rule(
        "missing",
        "stale_data",
        "missing_bars",
        "bars",
        _stale,
        lambda t, level: float(t.missing_bars),
        "no value for {value:.0f} bars",
        enter_bars=1,
        short="no value {value:.0f} bars",
    ),
    Rule(
        "frozen",
        "stale_data",
        "frozen_bars",
        "bars",
        _frozen,
        lambda t, level: float(t.frozen_bars),
        "the same value for {value:.0f} bars",
        enter_bars=1,
        short="frozen for {value:.0f} bars",
    ),
    Rule(
        "stuck",
        "stale_data",
        "stuck",
        "share",
        _stuck,
        lambda t, level: t.stuck_share,
        "the values of {value:.0%} of the symbols have not moved for a day",
        short="{value:.0%} symbols stuck",
    ),
    Rule(
        "sparse",
        "stale_data",
        "coverage",
        "share",
        _sparse,
        lambda t, level: t.coverage,
        "only {value:.0%} of the values came in the last five days",
        short="only {value:.0%} of values",
    ),
    Rule(
        "implausible",
        "implausible",
        "ic_30d",
        "IC",
        _implausible,
        lambda t, level: LEAK_IC,
        "the IC of {value:+.2f} is what research calls a leak: the returns are of the past, or the feature sees them",
        enter_bars=24,
        short="IC {value:+.2f}, a leak?",
    ),
    Rule(
        "uncalibrated",
        "uncalibrated",
        "reference",
        "",
        _uncalibrated,
        lambda t, level: float("nan"),
        "no expected score was stored at promotion: no critical alarm and no kill for this feature",
        lowest=Severity.INFO,
        short="no expected score",
    ),
)
# of all features at once, on figures of the fleet: without data every other rule is blind
FLEET_RULES: tuple[Rule, ...] = (
    Rule(
        "labels",
        "labels_missing",
        "unscored_bars",
        "bars",
        _unlabelled,
        lambda t, level: float("nan"),
        "no usable return came for {value:.0f} bars: nothing is scored",
        enter_bars=1,
        short="no return {value:.0f} bars",
    ),
    Rule(
        "silence",
        "stale_data",
        "silent_bars",
        "bars",
        _silent,
        lambda t, level: float("nan"),
        "no feature has had a value for {value:.0f} bars: nothing is scored",
        enter_bars=1,
        short="no value {value:.0f} bars",
    ),
)


@cache
def all_rules() -> tuple[Rule, ...]:
    """The rules of Midas and those that plug-ins add, in that order."""
    added: list[Rule] = []

    def adopt(_: Plugin, given: Any) -> None:
        if not isinstance(given, Rule):
            raise TypeError(f"{type(given).__name__} is no Rule")
        if given.name in {rule.name for rule in (*_OWN, *FLEET_RULES, *added, DETECTOR)}:
            raise ValueError(f"there is a rule {given.name} already")
        added.append(given)

    use("midas.rules", adopt)
    return (*_OWN, *added)


# raised by the sequential tests, held open until the rolling score is back
DETECTOR = Rule(
    "detector",
    "ic_decay",
    "decay_log_s",
    "ln S",
    lambda c, t: np.zeros(0, np.int8),
    lambda t, level: float("nan"),
    "the sequential test calls its death: the evidence reached {threshold:.2f}",
    enter_bars=1,
    short="called dead",
)


def in_short(alert: Alert) -> str:
    """What an alert says, in a few words; empty where its rule has none.

    Example:
        >>> from datetime import datetime
        >>> from midas_engine.models import Alert
        >>> at = datetime(2025, 1, 1)
        >>> in_short(Alert("a", "carry", "ic_decay", Severity.WARNING, "...", at, at, value=0.64, rule="ic_ratio"))
        'IC 5d 0.64 of 30d'
    """
    rule = next((rule for rule in (*all_rules(), *FLEET_RULES, DETECTOR) if rule.name == alert.rule), None)
    return rule.short.format(value=alert.value) if rule is not None and rule.short else ""


def grades(columns: Columns, thresholds: AlertThresholds) -> NDArray[np.int8]:
    """Level of every rule and feature, [R, F]."""
    with np.errstate(invalid="ignore"):
        return np.stack([rule.grade(columns, thresholds) for rule in all_rules()])
