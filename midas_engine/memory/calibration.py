"""How far a proposer's stated chances can be believed: Brier scores of sign and horizon, by model and family."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from midas_engine.memory.families import family_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from midas_engine.evaluator.trials.ledger import Trial


@dataclass(frozen=True, slots=True)
class Calibration:
    """The claims of one proposer in one family ("all" for every family), held against what was measured.

    Attributes:
        claims: Trials whose claim stated a confidence.
        stated: The mean of what was stated.
        signs: Share of them whose t was above zero.
        brier_sign: Mean squared distance of stated chance and outcome; 0.25 is what a coin's would be. NaN: no claim.
        brier_horizon: The same for "half of the effect is still there at the claimed horizon"; NaN where it was never
            measured.
    """

    proposer: str
    family: str
    claims: int
    stated: float
    signs: float
    brier_sign: float
    brier_horizon: float


def calibrations(trials: Iterable[Trial]) -> list[Calibration]:
    """One row a proposer and family, and one a proposer over all."""
    groups: dict[tuple[str, str], list[tuple[float, float, float]]] = defaultdict(list)
    for trial in trials:
        claim = trial.summary.get("hypothesis")
        if trial.outcome != "scored" or not isinstance(claim, dict) or trial.score_t is None:
            continue
        stated = claim.get("confidence")
        if not isinstance(stated, int | float) or isinstance(stated, bool):
            continue
        row = (float(stated), float(trial.score_t > 0), _horizon_held(trial.summary, claim))
        proposer = str(trial.summary.get("proposer") or "unknown")
        for family in (family_of(trial.canonical), "all"):
            groups[proposer, family].append(row)
    found = [_one(*key, rows) for key, rows in groups.items()]
    return sorted(found, key=lambda c: (c.proposer, c.family != "all", c.family))


def _one(proposer: str, family: str, rows: list[tuple[float, float, float]]) -> Calibration:
    horizon = [(c - held) ** 2 for c, _, held in rows if math.isfinite(held)]
    return Calibration(
        proposer, family, len(rows), _mean([c for c, _, _ in rows]), _mean([s for _, s, _ in rows]),
        _mean([(c - s) ** 2 for c, s, _ in rows]), _mean(horizon),
    )  # fmt: skip


def _horizon_held(summary: dict[str, Any], claim: dict[str, Any]) -> float:
    half, horizon = summary.get("half_life_bars"), claim.get("horizon")
    if not isinstance(half, int | float) or not isinstance(horizon, int) or horizon < 1:
        return math.nan
    return float(half >= horizon)


def _mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else math.nan
