"""Files as people have them, one folder a case, and what is in all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from helpers_market import NOW
from midas_engine.market import read_any
from midas_engine.market.importers.options import import_options

if TYPE_CHECKING:
    from pathlib import Path

    from midas_engine.market import Panel

# Sums over the ten days of the case files, of BTCUSDT.
CLOSES, VOLUME, QUOTE, PAID = 17_352_646.6, 3_112_485.834, 220_526_096_902.8, -0.00084709


def case(field: Path, number: str) -> Path:
    """The folder of a case."""
    (found,) = field.glob(f"{number}-*")
    return found


def panel_of(field: Path, number: str, **said: Any) -> Panel:
    """The panel of a case, imported as a folder."""
    return read_any([case(field, number)], now=NOW, options=import_options(**said))


def sums(panel: Panel, *columns: str, symbol: int = 0) -> tuple[float, ...]:
    """Sums of columns of one symbol."""
    return tuple(float(np.nansum(panel[c][:, symbol])) for c in columns)
