"""A MAP-Elites archive: the best of every kind of feature, by columns read, turnover band and horizon.

Mouret and Clune (2015). One best line of descent forgets everything it left; an archive keeps a best of each kind, and
parents are drawn from all of them. It is plain data and lives in the base, by data set, across sessions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from midas_engine.search.bands import band_of
from midas_engine.search.measure import Figures, short_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from midas_engine.stats._jit import Floats

MENDABLE = frozenset({"trading_cost", "decay_analysis", "regime_robustness"})
"""Gates that a changed window, a smoothing or a condition may answer; the others say that nothing is there."""
_HALF = 0.5
LENGTH = 0.1
_NEAR = 0.7
_SHOWS = 3.0


@dataclass(frozen=True, slots=True)
class Elite:
    """The best of a cell.

    Attributes:
        columns: Columns it reads.
        horizon: Target in bars.
        quality: |t| on the screening slice, halved for every gate it would miss and less a little for its length.
        missed: The gates it would miss.
        island: Who found it: model, grammar or crossed.
        drawn: How often it was a parent.
        fate: "" unknown, "passed", or the agents that refused it.
        figure: What the first of them said, with its figure.
    """

    text: str
    columns: tuple[str, ...]
    horizon: int
    t: float
    turnover: float
    net_high: float
    standing: float
    quality: float
    missed: tuple[str, ...] = ()
    island: str = "grammar"
    drawn: int = 0
    fate: str = ""
    sketch: tuple[float, ...] = ()
    figure: str = ""

    @property
    def cell(self) -> str:
        """Columns x turnover band x horizon."""
        return f"{'+'.join(self.columns)}|{band_of(self.turnover)}|{self.horizon}"

    @property
    def open(self) -> bool:
        """Whether a change of it may still pass: nobody judged it, or what it missed can be mended."""
        return not self.fate or set(self.fate.split(", ")) <= MENDABLE

    @property
    def line(self) -> str:
        """One line for a prompt; research figures only."""
        short = f", misses {', '.join(self.missed)}" if self.missed else ""
        if "trading_cost" in self.missed:
            short += f" (net at most {self.net_high:+.2f} bps a bar)"
        told = f"{self.text}: screened t {self.t:+.1f}, turnover {self.turnover:.2f}{short}"
        return f"{told}: {self.fate}{f' ({self.figure})' if self.figure else ''}" if self.fate else told


def quality_of(figures: Figures, operators: int) -> float:
    """What decides within a cell: strength, gates still missing, and a little for being short."""
    return abs(figures.strength) * _HALF ** len(short_of(figures)) - LENGTH * operators


class Archive:
    """Elites by cell.

    Args:
        elites: From an earlier session.

    Example:
        >>> archive = Archive()
        >>> archive.add(Elite("close", ("close",), 1, 3.0, 0.2, 1.0, 0.1, 3.0))
        True
        >>> archive.add(Elite("-close", ("close",), 1, 2.0, 0.2, 1.0, 0.1, 2.0))
        False
    """

    def __init__(self, elites: Iterable[Elite] = ()) -> None:
        self._cells: dict[str, Elite] = {}
        for elite in elites:
            self.add(elite)

    def __len__(self) -> int:
        return len(self._cells)

    def __iter__(self) -> Iterator[Elite]:
        return iter(self.ranked())

    def add(self, elite: Elite) -> bool:
        """Take an elite when it is the best of its cell; says whether it was."""
        if not math.isfinite(elite.quality):
            return False
        known = self._cells.get(elite.cell)
        if known is not None and known.quality >= elite.quality:
            return False
        self._cells[elite.cell] = elite
        return True

    def update(self, elite: Elite) -> None:
        """Write a changed elite (a parent drawn, a fate learned) over itself."""
        known = self._cells.get(elite.cell)
        if known is not None and known.text == elite.text:
            self._cells[elite.cell] = elite

    def ranked(self) -> list[Elite]:
        """All elites, best first."""
        return sorted(self._cells.values(), key=lambda e: (-e.quality, e.text))

    def diverse(self, count: int, among: Sequence[Elite] | None = None, closest: float = _NEAR) -> list[Elite]:
        """The best that do not say the same: correlation of their sketches below `closest`."""
        kept: list[Elite] = []
        for elite in self.ranked() if among is None else among:
            if len(kept) == count:
                break
            if all(abs(likeness(elite.sketch, other.sketch)) < closest for other in kept):
                kept.append(elite)
        return kept

    def examples(self) -> dict[str, tuple[str, ...]]:
        """What a prompt shows: 2 elites, 2 diverse near misses, 3 failures with the figure that missed."""
        ranked = self.ranked()
        sound = self.diverse(2, [e for e in ranked if not e.missed and e.fate in ("", "passed")])
        close = [e for e in ranked if e.open and len(e.missed) + bool(e.fate) >= 1 and e not in sound]
        near = self.diverse(2, [e for e in close if len(e.missed) <= 1 and abs(e.t) >= _SHOWS])
        failed = [e for e in ranked if e.fate not in ("", "passed") and e not in near][:3]
        return {
            "elites": tuple(e.line for e in sound),
            "near": tuple(e.line for e in near),
            "failures": tuple(e.line for e in failed),
        }

    def to_json(self, most: int | None = None) -> list[dict[str, Any]]:
        """Plain data, the best `most` of them."""
        names = [f.name for f in fields(Elite)]
        return [{name: getattr(e, name) for name in names} for e in self.ranked()[:most]]

    @classmethod
    def from_json(cls, rows: Iterable[Mapping[str, Any]]) -> Archive:
        """From `to_json`; a row that is none is left out."""
        found = []
        for row in rows:
            try:
                values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in row.items()}
                found.append(Elite(**values))
            except (TypeError, ValueError, AttributeError):
                continue  # from another version
        return cls(found)


def likeness(a: Sequence[float], b: Sequence[float]) -> float:
    """Correlation of two sketches; 0 where one of them is missing."""
    if not a or len(a) != len(b):
        return 0.0
    x: Floats = np.asarray(a)
    y: Floats = np.asarray(b)
    size = float(np.sqrt((x @ x) * (y @ y)))
    return float(x @ y) / size if size > 0.0 else 0.0
