"""The demo's market: what is planted in it, which part is searched and which is lived through."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from midas_engine.dsl import FeatureEngine
from midas_engine.market.instants import as_utc
from midas_engine.market.regimes import regime_labels
from midas_engine.market.synthetic import SyntheticMarket

if TYPE_CHECKING:
    from datetime import datetime

    from numpy.typing import NDArray

    from midas_engine.market.panel import Panel
    from midas_engine.market.synthetic import PlantedFeature

GOAL = "funding carry"
# A year of hours: eight and a half months to search, the rest to live through. The planted decay and flip
# come a month into the live part, the slippage shock three weeks later.
SEARCHED_SHARE = 0.70
CHANGES_SHARE = 0.78
YEAR_BARS, SYMBOLS = 8760, 20


@dataclass(frozen=True, slots=True)
class World:
    """A year of a synthetic market, cut where research ends and living begins.

    Attributes:
        market: With its truth.
        panel: The whole year.
        searched: First bar that no researcher saw.
        regimes: Label of every bar [T], from the past only.
        slippage: Realised slippage of every bar [T], bps.
    """

    market: SyntheticMarket
    panel: Panel
    searched: int
    regimes: NDArray[np.str_]
    slippage: NDArray[np.float64]

    @property
    def history(self) -> Panel:
        """What the discovery session works on."""
        return self.panel.slice(None, self.searched)

    @property
    def planted(self) -> tuple[PlantedFeature, ...]:
        """The signals that really move returns."""
        return self.market.truth.features

    def mortal(self) -> tuple[PlantedFeature, ...]:
        """Planted signals that die or turn in the live part."""
        return tuple(f for f in self.planted if f.changes_at is not None)

    def values(self, expression: str) -> NDArray[np.float64]:
        """A feature over the whole year [T, S]."""
        values: NDArray[np.float64] = FeatureEngine(self.panel).values(expression)
        return values

    def opens(self, bar: int) -> datetime:
        """Open time of a bar."""
        return as_utc(self.panel.timestamps[bar])


def build_world(seed: int, expected_slippage_bps: float, *, bars: int = YEAR_BARS, symbols: int = SYMBOLS) -> World:
    """The demo's market for a seed. Heavy: a second or so."""
    market = SyntheticMarket(seed, bars=bars, symbols=symbols, decay_at=CHANGES_SHARE)
    panel = market.panel()
    return World(
        market,
        panel,
        int(panel.T * SEARCHED_SHARE),
        regime_labels(panel),
        market.slippage_bps(expected_slippage_bps),
    )


def likeness(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Mean rank correlation across symbols of two features [T, S], over bars where both are whole enough."""
    from midas_engine.stats.bar_scores import CROSS_MINIMUM, rank_scores
    from midas_engine.stats.ranks import joint_ranks, sort_rows

    a, b = np.array(first), np.array(second)
    by_bar = rank_scores(*joint_ranks(a, sort_rows(a), b, sort_rows(b)), CROSS_MINIMUM, True)
    return float(np.nanmean(by_bar)) if np.isfinite(by_bar).any() else float("nan")
