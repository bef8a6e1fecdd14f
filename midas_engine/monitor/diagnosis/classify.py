"""The differential diagnosis: six causes, their chances, and the figures that decided. No model is asked.

What is seen directly goes first, because it explains the scores away: a fault of the data, then (when money, not
foresight, is what went wrong) the cost of trading, then another feature that came to do the same. What is left is
shared by decay, a regime's failure and chance in proportion to their evidence (see `segments`). The chances of
the six causes add up to one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from midas_engine.monitor.diagnosis.figures import make_figures, ordered
from midas_engine.monitor.diagnosis.segments import Segments, compare_segments

if TYPE_CHECKING:
    from midas_engine.models import Figure
    from midas_engine.monitor.diagnosis.snapshot import Snapshot
    from midas_engine.monitor.figures.score_history import Lookback

CAUSES = ("data_fault", "cost", "crowding", "regime_shift", "true_decay", "noise")
# Where each direct sign is as likely as not, and how fast it becomes certain; chosen on the development seeds of
# benchmarks/statistics/sim_diagnosis.py and never on those it is graded with.
_FAULT = (0.12, 0.02)
_COST = (1.45, 0.08)
_COST_CALLED = (1.2, 0.08)
_CROWD = (0.50, 0.04)
_RISE = (0.14, 0.02)
# ln odds of a broken signal before any score is seen: even when the sequential test called, less when it did not
_UNCALLED = -0.4
# Bars without a value, or with the same one, that make the stale_data alerts: fewer are ordinary (a funding rate
# stays for eight hours).
_MISSING, _FROZEN = 3.0, 24.0

_DECIDING: dict[str, tuple[str, ...]] = {
    "data_fault": ("coverage", "coverage_usual", "missing_bars", "frozen_bars", "stuck", "rescaled", "unscored"),
    "cost": ("slippage_ratio", "slippage_bps", "expected_slippage_bps", "turnover", "turnover_usual", "other_costs"),
    "crowding": ("correlation", "correlation_usual", "score_after", "promised"),
    "regime_shift": ("score_in_regime", "score_other_regimes", "regime_bars", "odds_regime", "odds_decay"),
    "true_decay": ("score_after", "promised", "break_ago", "odds_decay", "odds_regime", "log_s"),
    "noise": ("odds_decay", "score_after", "promised", "score_5d", "log_s"),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """What the tests say.

    Attributes:
        cause: The likeliest of `CAUSES`.
        chances: Chance of each cause; they add up to one.
        figures: What was measured, the deciding figures first.
        break_ago: Bars since the likeliest break; None when it cannot be told.
        regime: The regime that fails the feature most; "".
    """

    cause: str
    chances: dict[str, float]
    figures: tuple[Figure, ...]
    break_ago: int | None = None
    regime: str = ""

    @property
    def confidence(self) -> float:
        """Chance of the cause named."""
        return self.chances[self.cause]


def classify(snapshot: Snapshot) -> Finding:
    """Weigh the six causes of one snapshot; a few milliseconds, no state, the same answer every time."""
    values = dict(snapshot.values)
    segments = compare_segments(snapshot.look, snapshot.base, snapshot.variance)
    details = dict(snapshot.details)
    if segments is not None:
        _describe(values, details, segments, snapshot.look)
    called = snapshot.alert is not None and snapshot.alert.rule == "detector"
    signal = _signal(segments, 0.0 if called else _UNCALLED)
    chances: dict[str, float] = {}
    left = 1.0
    crowding = _crowding(values)
    faults, costs = _fault_signs(values, crowding), _cost_signs(values)
    direct = {"data_fault": _rise(max(faults.values()), _FAULT), "crowding": crowding}
    cost = {"cost": _cost(costs, snapshot.alert_type, signal["noise"])}
    # an alarm about money is about money; else a neighbour that moves alike is the more telling sign
    money = snapshot.alert_type == "execution_slippage"
    direct = {"data_fault": direct["data_fault"], **cost, **direct} if money else {**direct, **cost}
    for cause, chance in direct.items():
        chances[cause] = left * chance
        left *= 1.0 - chance
    chances |= {cause: left * share for cause, share in signal.items()}
    cause = max(CAUSES, key=lambda name: chances[name])
    signs = {"data_fault": faults, "cost": costs}.get(cause, {})
    loudest = sorted(signs, key=lambda key: -signs[key])
    figures = ordered(make_figures(values, details), [*dict.fromkeys([*loudest[:1], *_DECIDING[cause]])])
    ago = int(values["break_ago"]) if segments is not None else None
    return Finding(cause, chances, figures, ago, segments.regime if segments else "")


def _signal(segments: Segments | None, prior: float) -> dict[str, float]:
    if segments is None:
        return {"regime_shift": 0.0, "true_decay": 0.0, "noise": 1.0}
    decay, regime = segments.log_decay + prior, segments.log_regime + prior
    top = max(0.0, decay, regime)
    weights = {
        "regime_shift": math.exp(regime - top), "true_decay": math.exp(decay - top), "noise": math.exp(-top),
    }  # fmt: skip
    total = sum(weights.values())
    return {cause: weight / total for cause, weight in weights.items()}


def _fault_signs(v: dict[str, float], crowding: float) -> dict[str, float]:
    """How much of the input is not what it should be, as shares, by figure.

    A feature that became another one moves in that one's steps: no sign of a fault.
    """
    own = 1.0 - crowding
    usual = v.get("coverage_usual", 1.0)
    lost = (usual - v.get("coverage", usual)) / usual if usual > 0 else 0.0
    signs = {
        "missing_bars": 1.0 if v.get("missing_bars", 0.0) >= _MISSING else 0.0,
        "frozen_bars": 1.0 if v.get("frozen_bars", 0.0) >= _FROZEN else 0.0,
        "stuck": v.get("stuck", 0.0) - v.get("stuck_usual", 0.0),
        "rescaled": own * v.get("rescaled", 0.0),
        "unscored": v.get("unscored", 0.0),
        "coverage": lost,
        "outliers": own * 0.02 * v.get("outliers", 0.0),
    }
    return {key: share if math.isfinite(share) else 0.0 for key, share in signs.items()}


def _cost_signs(v: dict[str, float]) -> dict[str, float]:
    """What is paid over what was expected, by figure; only what is known."""
    usual = v.get("turnover_usual", 0.0)
    signs = {
        "slippage_ratio": v.get("slippage_ratio", math.nan),
        "other_costs": v.get("other_costs", math.nan),
        "turnover": v.get("turnover", math.nan) / usual if usual > 0 else math.nan,
    }
    return {key: ratio for key, ratio in signs.items() if math.isfinite(ratio)}


def _cost(signs: dict[str, float], alert_type: str, healthy: float) -> float:
    """Trading costs more than was promised; it matters when the alarm is about money, or the score is well."""
    if not signs:
        return 0.0
    if alert_type == "execution_slippage":
        return _rise(max(signs.values()), _COST_CALLED)  # the rule has seen it for some bars already
    return _rise(max(signs.values()), _COST) * healthy


def _crowding(v: dict[str, float]) -> float:
    """Another live feature came to say the same."""
    now, usual = v.get("correlation", math.nan), v.get("correlation_usual", math.nan)
    if not (math.isfinite(now) and math.isfinite(usual)):
        return 0.0
    return _rise(now, _CROWD) * _rise(now - usual, _RISE)


def _describe(v: dict[str, float], details: dict[str, str], s: Segments, look: Lookback) -> None:
    ago = (len(look.u) - s.break_at) * look.step
    v |= {
        "score_after": s.after[0], "score_before": s.before[0], "break_ago": float(ago),
        "odds_decay": s.log_decay, "odds_regime": s.log_regime,
    }  # fmt: skip
    details |= {"score_after": f"error {s.after[1]:.4f}", "score_before": f"error {s.before[1]:.4f}"}
    if s.regime:
        v |= {
            "score_in_regime": s.inside[0],
            "score_other_regimes": s.outside[0],
            "regime_bars": s.inside[2] * look.step,
        }
        details |= {
            "score_in_regime": f"{s.regime}, error {s.inside[1]:.4f}",
            "score_other_regimes": f"error {s.outside[1]:.4f}",
            "regime_bars": s.regime,
        }


def _rise(value: float, shape: tuple[float, float]) -> float:
    """A logistic step at shape[0] of width shape[1]; 0 for an unknown value."""
    if not math.isfinite(value):
        return 0.0
    return 1.0 / (1.0 + math.exp(-max(-60.0, min(60.0, (value - shape[0]) / shape[1]))))
