"""What the six agents read: `knowledge/thresholds.json`, checked key by key.

The numbers are the original system's wherever a sound definition gives them a meaning. A file may hold any
part of them; what it leaves out keeps its default.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from midas_engine.errors import SettingsError
from midas_engine.evaluator.gates.plugin_agents import plugin_agents
from midas_engine.text import did_you_mean

Thresholds = Mapping[str, Mapping[str, Any]]

DEFAULT_THRESHOLDS: dict[str, dict[str, Any]] = {
    "predictive_power": {
        "min_rank_ic": 0.02,
        "min_ir": 0.50,
        "session_error": 0.05,
        "max_plausible_ic": 0.30,
        "min_bars": 300,
        "min_events": 30,
        "min_moving_share": 0.50,
        "max_standing_variance": 0.90,
    },
    "decay_analysis": {"min_half_life_hours": 4.0},
    "trading_cost": {"min_effective_ic": 0.0, "max_turnover": 0.80},
    "diversification": {"max_correlation": 0.70, "min_marginal_ic": 0.01, "min_marginal_t": 2.0},
    "overfit_detection": {"max_overfit_z": 2.0, "min_oos_t": 1.0, "min_positive_folds": 4},
    "regime_robustness": {"min_regime_q_p": 0.01, "min_regime_t": -1.64},
}

OWN_AGENTS = frozenset(DEFAULT_THRESHOLDS)
_RANGES: dict[str, tuple[float, float]] = {
    "min_rank_ic": (0.0, 1.0),
    "min_ir": (0.0, 100.0),
    "session_error": (1e-9, 0.5),
    "max_plausible_ic": (0.01, 1.0),
    "min_bars": (30, 10_000_000),
    "min_events": (10, 10_000_000),
    "min_moving_share": (-1.0, 1.0),
    "max_standing_variance": (0.0, 1.0),
    "min_half_life_hours": (0.0, 100_000.0),
    "min_effective_ic": (0.0, 1.0),
    "max_turnover": (0.0, 2.0),
    "max_correlation": (0.0, 1.0),
    "min_marginal_ic": (0.0, 1.0),
    "min_marginal_t": (0.0, 100.0),
    "max_overfit_z": (0.0, 100.0),
    "min_oos_t": (0.0, 100.0),
    "min_positive_folds": (0, 5),
    "min_regime_q_p": (0.0, 1.0),
    "min_regime_t": (-100.0, 100.0),
}


def default_thresholds() -> dict[str, dict[str, Any]]:
    """The six agents' thresholds, then those of agents from plug-ins."""
    added = {name: agent.thresholds for name, agent in plugin_agents(OWN_AGENTS).items()}
    return {agent: dict(values) for agent, values in (DEFAULT_THRESHOLDS | added).items()}


def validate_thresholds(mapping: object, *, origin: str = "thresholds") -> dict[str, dict[str, Any]]:
    """The whole set, with what `mapping` changes laid over the defaults.

    Args:
        mapping: Agent -> threshold -> number, any part of it.
        origin: The file or argument it came from, for the error.

    Raises:
        SettingsError: An unknown agent or key (with the nearest known one), or a value that is not a finite
            number in range; the key is named.
    """
    if not isinstance(mapping, Mapping):
        raise SettingsError(f"{origin} must be an object of agents, not {type(mapping).__name__}")
    defaults = default_thresholds()
    merged = {agent: dict(values) for agent, values in defaults.items()}
    for agent, values in mapping.items():
        if agent not in merged:
            raise SettingsError(
                f"unknown agent {agent!r} in {origin}", hint=_nearest(agent, [*merged], agent_of(agent))
            )
        if not isinstance(values, Mapping):
            raise SettingsError(f"{agent} in {origin} must be an object of thresholds, not {type(values).__name__}")
        for key, value in values.items():
            merged[agent][key] = _checked(agent, key, value, origin, defaults[agent])
    return merged


def agent_of(key: object) -> str:
    """The agent that owns a threshold name; empty when there is none."""
    return next((agent for agent, values in DEFAULT_THRESHOLDS.items() if key in values), "")


def _checked(agent: str, key: object, value: object, origin: str, known: Mapping[str, Any]) -> float | int:
    name = f"{agent}.{key}"
    if key not in known:
        raise SettingsError(f"unknown threshold {name!r} in {origin}", hint=_nearest(key, [*known], agent_of(key)))
    key = str(key)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise SettingsError(f"{name} in {origin} is {value!r}: not a number")
    if not math.isfinite(value):
        raise SettingsError(f"{name} in {origin} is {value!r}: not a finite number")
    low, high = _RANGES.get(key, (-math.inf, math.inf))
    if not low <= value <= high:
        raise SettingsError(f"{name} = {value!r} in {origin} is out of range", hint=f"use {low:g} to {high:g}")
    if isinstance(known[key], int) and int(value) != value:
        raise SettingsError(f"{name} = {value!r} in {origin} must be a whole number")
    return value


def _nearest(key: object, known: list[str], owner: str) -> str:
    if owner:
        return f"{key} belongs under {owner!r}"
    return did_you_mean(key, known, cutoff=0.5)
