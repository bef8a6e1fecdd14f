"""A small real-looking market for the tests of the calibration."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from midas_engine.calibrate.market import Market
from midas_engine.market.synthetic import SyntheticMarket
from midas_engine.settings import EvaluationSettings, Settings

if TYPE_CHECKING:
    from midas_engine.market import Panel

SETTINGS = Settings(evaluation=EvaluationSettings(horizons=(1, 4)))


@cache
def panel(bars: int = 2400, symbols: int = 12) -> Panel:
    return SyntheticMarket(5, bars=bars, symbols=symbols).panel()


@cache
def small_market() -> Market:
    return Market(panel(), SETTINGS, {})
