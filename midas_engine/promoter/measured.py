"""Which gates the figures saved with a feature can speak of at all: what was never measured passes nothing."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from midas_engine.models import FeatureRecord

# The agents, and the saved figures without which nothing is known of them. A half-life and the regimes may be
# unknown of a sound feature; that its bars were scored may not.
NEEDED: dict[str, tuple[str, ...]] = {
    "predictive_power": ("rank_ic", "score_t"),
    "decay_analysis": ("bars_scored",),
    "trading_cost": ("turnover", "effective_ic"),
    "diversification": ("max_correlation", "marginal_ic"),
    "overfit_detection": ("oos_ic",),
    "regime_robustness": ("bars_scored",),
}

ECONOMIC = ("trading_cost", "decay_analysis")
"""Agents that ask whether a feature pays by itself; a feature that is promoted to the book is asked what it adds there,
at the holding that the book chooses."""


def unknown_gates(record: FeatureRecord) -> tuple[str, ...]:
    """The agents of which the feature's file holds no figure, or one that is no number; all without a verdict."""
    metrics = record.metrics
    gates = metrics.get("gates")
    listed = [g for g in gates if isinstance(g, dict)] if isinstance(gates, list) else []
    judged = _names(metrics.get("passed_agents")) | _names(metrics.get("failed_agents"))
    if not (isinstance(metrics.get("overall_pass"), bool) or listed or judged):
        return tuple(NEEDED)
    figures: dict[str, Any] = {str(g.get("name")): g.get("value") for g in listed} | metrics
    return tuple(agent for agent, needed in NEEDED.items() if not _known(agent, needed, figures, judged))


def _known(agent: str, needed: tuple[str, ...], figures: dict[str, Any], judged: set[str]) -> bool:
    if any(figure in figures and not _finite(figures[figure]) for figure in needed):
        return False
    return agent in judged or all(figure in figures for figure in needed)


def _finite(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _names(value: object) -> set[str]:
    if isinstance(value, str):
        return {part.strip() for part in value.split(",") if part.strip()}
    return {str(part) for part in value} if isinstance(value, list | tuple) else set()


def in_words(unknown: tuple[str, ...]) -> str:
    """`not measured: 6 gates unknown`, or which of the six; empty when all are known."""
    if not unknown:
        return ""
    if len(unknown) == len(NEEDED):
        return f"not measured: {len(NEEDED)} gates unknown"
    return f"not measured: {len(unknown)} of {len(NEEDED)} gates unknown ({', '.join(unknown)})"
