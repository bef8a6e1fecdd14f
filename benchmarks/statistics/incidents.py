"""Scripted incidents on the synthetic market: six causes, many forms and severities, the truth known.

A world is a `SyntheticMarket` in which nothing breaks by itself (unless the script says so), its three planted
features, and their promises measured before anything is scripted. An incident changes, from one bar on, what the
monitor is given: values, feed, fills or labels. Every world has the small troubles of a real one: late and delisted
symbols, single missing values, slippage that is not exactly what was expected.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from midas_engine.dsl import FeatureEngine
from midas_engine.evaluator.metrics.reference_score import reference_of
from midas_engine.market.forward import forward_returns
from midas_engine.market.regimes import regime_labels
from midas_engine.market.synthetic import SyntheticMarket
from midas_engine.settings import DslLimits

if TYPE_CHECKING:
    from numpy.random import Generator

BARS = 4600
WATCHED_FROM = 1800
SYMBOLS = (4, 12, 16, 20, 24, 30)
FORMS: dict[str, tuple[str, ...]] = {
    "data_fault": ("outage", "sparse", "frozen", "frozen_part", "rescaled_part", "feed_gaps"),
    "cost": ("slippage", "slippage_drift", "spread", "churn"),
    "crowding": ("merge", "merge_slow"),
    "regime_shift": ("label_fails", "label_flips", "new_label", "new_label_visits"),
    "true_decay": ("dies", "halves", "flips", "fades", "market"),
    "noise": ("chance", "chance_thin"),
}


@dataclass
class World:
    """One market as the monitor will see it: values [F][T, S], returns [T, S], labels [T]."""

    seed: int
    symbols: int
    names: list[str]
    values: dict[str, Any]
    returns: Any
    labels: Any
    references: dict[str, Any]
    times: list[datetime]


@dataclass
class Incident:
    """What is done to a world, and to whom."""

    cause: str
    form: str
    severity: float
    target: str
    onset: int
    seed: int
    values: dict[str, Any] = field(default_factory=dict)
    labels: Any = None
    slippage: Any = None
    absent: Any = None
    context: dict[str, float] = field(default_factory=dict)


@lru_cache(maxsize=2)
def build_world(seed: int, *, breaks: bool = False, symbols_of: tuple[int, ...] = ()) -> World:
    """The world of a seed, with as many symbols as one of `symbols_of` (of any size when empty).

    With `breaks` the market's own decay and flip come at 60 % of it.
    """
    rng = np.random.default_rng([seed, 4711])
    symbols = int(rng.choice(symbols_of or SYMBOLS))
    # few symbols are scored in time, not across: what they foretell must be stronger to be seen within the year
    low, high = (0.045, 0.09) if symbols >= 10 else (0.12, 0.2)
    ics = tuple(float(x) for x in rng.uniform(low, high, 3))
    market = SyntheticMarket(seed, bars=BARS, symbols=symbols, ics=ics, decay_at=0.6 if breaks else 2.0)  # type: ignore[arg-type]
    panel = market.panel()
    engine = FeatureEngine(panel, limits=DslLimits())
    values = {f.name: engine.values(f.expression) for f in market.truth.features}
    follow = forward_returns(panel, (1,))[1]
    references = {name: reference_of(v, follow, slice(300, WATCHED_FROM))[0] for name, v in values.items()}
    start = datetime(2025, 1, 1, tzinfo=UTC)
    return World(
        seed, symbols, list(values), values, panel.values("returns"), regime_labels(panel),
        {n: r for n, r in references.items() if r is not None}, [start + timedelta(hours=t) for t in range(BARS)],
    )  # fmt: skip


def script(cause: str, form: str, seed: int, symbols_of: tuple[int, ...] = ()) -> tuple[World, Incident]:
    """The incident of a seed, as it will be played."""
    rng = np.random.default_rng([seed, FORMS[cause].index(form), *cause.encode()])
    world = build_world(seed, breaks=form == "market", symbols_of=symbols_of)
    targets = [n for n in world.names if n in world.references]
    target = str(rng.choice(targets)) if targets else world.names[0]
    if form == "churn":
        target = "funding_carry"  # the others trade every bar as it is
    onset = int(rng.integers(2500, 3000))
    incident = Incident(cause, form, 1.0, target, onset, seed)
    incident.values = {n: v.copy() for n, v in world.values.items()}
    incident.labels = world.labels.copy()
    incident.absent = np.zeros(BARS, np.bool_)
    incident.absent[WATCHED_FROM:] = rng.random(BARS - WATCHED_FROM) < rng.choice([0.0, 0.0, 0.003])
    realised = rng.gamma(8.0, 1 / 8.0, BARS) * rng.uniform(0.8, 1.25)
    incident.slippage = realised
    _trouble(incident, rng)
    globals()[f"_{cause}"](world, incident, rng)
    return world, incident


def _trouble(incident: Incident, rng: Generator) -> None:
    """Single values that do not come."""
    for values in incident.values.values():
        values[rng.random(values.shape) < rng.choice([0.0, 0.002, 0.01])] = np.nan


def _others(values: Any, rng: Generator) -> Any:
    """The same feature's values given to the wrong symbols: as smooth as before, and they foretell nothing."""
    order = rng.permutation(values.shape[1])
    while (order == np.arange(len(order))).mean() > 0.1:
        order = rng.permutation(values.shape[1])
    return values[:, order]


def _weaken(values: Any, strength: Any, rng: Generator) -> Any:
    """Values whose foresight is `strength` times what it was (per bar), in the same units."""
    strength = np.broadcast_to(np.asarray(strength, float), (len(values),))[:, None]
    noise = _others(values, rng)
    mixed = strength * values + np.sqrt(np.maximum(1 - strength**2, 0.0)) * noise
    return np.where(np.isfinite(mixed), mixed, values)


def _data_fault(world: World, it: Incident, rng: Generator) -> None:
    v, o, symbols = it.values[it.target], it.onset, world.symbols
    if it.form == "outage":
        v[o:] = np.nan
        return
    if it.form == "frozen":
        v[o:] = v[o - 1]
        return
    it.severity = float(rng.uniform(0.3, 0.8))
    chosen = rng.permutation(symbols)[: max(2, round(it.severity * symbols))]
    if it.form == "sparse":
        hit = rng.random(v[o:].shape) < it.severity
        v[o:][hit] = np.nan
    elif it.form == "frozen_part":
        v[o:, chosen] = v[o - 1, chosen]
    elif it.form == "rescaled_part":
        v[o:, chosen] *= float(rng.choice([1e-4, 1e3, -1e3]))
    else:
        it.severity = float(rng.uniform(0.25, 0.6))
        it.absent[o:] |= rng.random(BARS - o) < it.severity


def _cost(world: World, it: Incident, rng: Generator) -> None:
    o = it.onset
    it.severity = float(rng.uniform(1.8, 4.0))
    if it.form == "slippage":
        it.slippage[o:] *= it.severity
    elif it.form == "slippage_drift":
        it.slippage[o:] *= np.minimum(np.linspace(1.0, 1.0 + 3 * it.severity, BARS - o), it.severity)
    elif it.form == "spread":
        it.context = {"half_spread_bps": it.severity, "expected_half_spread_bps": 1.0}
        it.context |= {"fee_bps": 1.0, "expected_fee_bps": 1.0} if it.severity > 2.5 else {}
    else:
        # the value flickers around what it says: the same foresight, far more trades
        v = it.values[it.target]
        spread = np.nanstd(v[o:], axis=1, keepdims=True)
        v[o:] += rng.normal(size=v[o:].shape) * spread * 0.45


def _crowding(world: World, it: Incident, rng: Generator) -> None:
    o, v = it.onset, it.values[it.target]
    partner = str(rng.choice([n for n in world.names if n != it.target]))
    it.severity = float(rng.uniform(0.78, 0.97))
    other = it.values[partner]
    scale = np.nanstd(v[:o]) / max(np.nanstd(other[:o]), 1e-12)
    share = np.full(BARS - o, it.severity)
    if it.form == "merge_slow":
        share *= np.minimum(np.arange(BARS - o) / 240.0, 1.0)
    share = share[:, None]
    v[o:] = share * other[o:] * scale + np.sqrt(1 - share**2) * v[o:]


def _regime_shift(world: World, it: Incident, rng: Generator) -> None:
    o, v = it.onset, it.values[it.target]
    after = it.labels[o:]
    known, counts = np.unique(after[after != ""], return_counts=True)
    share = counts / max(1, counts.sum())
    fit = [str(k) for k, s in zip(known, share, strict=True) if 0.15 <= s <= 0.6] or [str(known[counts.argmax()])]
    label = str(rng.choice(fit))
    inside = np.zeros(BARS, np.bool_)
    it.severity = 0.0 if it.form == "label_fails" else float(rng.choice([-1.0, -0.5, 0.0]))
    if it.form in ("label_fails", "label_flips"):
        inside[o:] = after == label
        it.severity = 0.0 if it.form == "label_fails" else -1.0
    elif it.form == "new_label":
        length = int(rng.integers(240, 700))
        inside[o : o + length] = True
        it.labels[inside] = "CRISIS"
    else:
        inside[o:] = after == label
        it.labels[inside] = "CRISIS"
    strength = np.where(inside, it.severity, 1.0)
    it.values[it.target] = _weaken(v, strength, rng) if it.severity >= 0 else _turned(v, strength, rng)


def _turned(values: Any, strength: Any, rng: Generator) -> Any:
    """Like `_weaken` for negative strengths: the sign turns."""
    sign = np.sign(strength)[:, None]
    return np.where(sign < 0, -_weaken(values, np.abs(strength), rng), values)


def _true_decay(world: World, it: Incident, rng: Generator) -> None:
    o, v = it.onset, it.values[it.target]
    strength = np.ones(BARS)
    if it.form == "market":
        it.target = str(rng.choice(["volume_reversal", "range_position"]))
        it.onset = int(BARS * 0.6)
        it.severity = 0.0 if it.target == "volume_reversal" else -1.0
        return
    if it.form == "dies":
        it.severity = 0.0
        strength[o:] = 0.0
    elif it.form == "halves":
        it.severity = float(rng.uniform(0.15, 0.4))
        strength[o:] = it.severity
    elif it.form == "fades":
        it.severity = 0.0
        strength[o:] = np.maximum(0.0, 1 - np.arange(BARS - o) / 240.0)
    else:
        it.severity = -1.0
        it.values[it.target][o:] = -v[o:]
        return
    it.values[it.target] = _weaken(v, strength, rng)


def _noise(world: World, it: Incident, rng: Generator) -> None:
    """Nothing happens. `chance_thin`: less data than usual was there all along, which is no fault."""
    if it.form == "chance_thin":
        thin = rng.permutation(world.symbols)[: max(1, world.symbols // 8)]
        it.values[it.target][:, thin] = np.nan
