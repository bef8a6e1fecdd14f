"""A MAP-Elites archive: the best of every kind of feature, by columns read, turnover band, horizon and size.

Mouret and Clune (2015). One best line of descent forgets everything it left; an archive keeps a best of each kind, and
parents are drawn from all of them. It is plain data and lives in the base, by data set, across sessions.
"""

from __future__ import annotations

import base64
import math
import zlib
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
ROOT_OPERATORS = 2
_MOST_TRIED = 100_000
"""Spellings that are remembered at most, the last ones: 25 sessions, half a megabyte."""
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
        operators: Of its tree; 0 where it is not known.
        outermost: The operator that its tree ends in.
        grown: Every tree one operator larger was asked.
        exchanged: Every tree one exchange away was asked.
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
    operators: int = 0
    outermost: str = ""
    grown: bool = False
    exchanged: bool = False

    @property
    def cell(self) -> str:
        """Columns x turnover band x horizon; of a root its outermost operator too.

        So a large tree takes no place of a small one, and what changes its sign none of what only ranks the same.
        """
        root = f"|{self.outermost}" if self.is_root else ""
        return f"{'+'.join(self.columns)}|{band_of(self.turnover)}|{self.horizon}{root}"

    @property
    def is_root(self) -> bool:
        """Whether it is small enough to be a part of what is there."""
        return 0 < self.operators <= ROOT_OPERATORS

    @property
    def strength(self) -> float:
        """Its quality without what is taken off for its length and for gates that something added may mend."""
        return (self.quality + LENGTH * self.operators) / _HALF ** len(self.missed)

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

    Attributes:
        rounds: Sessions that searched this data before.
        tried: Marks of the spellings that they asked (`mark_of`), in order.
        kin: Of each column the first one that moves as it does, which may be itself; empty where nobody asked.

    Example:
        >>> archive = Archive()
        >>> archive.add(Elite("close", ("close",), 1, 3.0, 0.2, 1.0, 0.1, 3.0))
        True
        >>> archive.add(Elite("-close", ("close",), 1, 2.0, 0.2, 1.0, 0.1, 2.0))
        False
    """

    def __init__(self, elites: Iterable[Elite] = ()) -> None:
        self.rounds = 0
        self.tried: dict[int, None] = {}
        self.kin: dict[str, str] = {}
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
        """Plain data, the best `most` of them; half of the places are kept for roots."""
        names = [f.name for f in fields(Elite)]
        ranked = self.ranked()
        roots = [e for e in ranked if e.is_root][: len(ranked) if most is None else most // 2]
        small = {e.text for e in roots}
        others = [e for e in ranked if e.text not in small][: None if most is None else most - len(roots)]
        return [{name: getattr(e, name) for name in names} for e in [*others, *roots]]

    def record(self, most: int) -> dict[str, Any]:
        """What a session leaves to the next: the best, and what need not be asked again."""
        marks = np.array(list(self.tried)[-_MOST_TRIED:], dtype="<u4")
        tried = base64.b64encode(marks.tobytes()).decode("ascii")
        return {"elites": self.to_json(most), "rounds": self.rounds, "tried": tried, "kin": dict(self.kin)}

    @classmethod
    def from_record(cls, kept: Mapping[str, Any]) -> Archive:
        """From `record`; what is damaged or missing was never tried."""
        found = cls.from_json(kept.get("elites", ()))
        kin = kept.get("kin")
        if isinstance(kin, dict):
            found.kin = {str(column): str(first) for column, first in kin.items()}
        try:
            found.rounds = max(0, int(kept.get("rounds", 0)))
            marks = np.frombuffer(base64.b64decode(str(kept.get("tried", "")), validate=True), dtype="<u4")
        except (TypeError, ValueError):
            return found
        found.tried = dict.fromkeys(int(m) for m in marks)
        return found

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


def mark_of(key: str) -> int:
    """32 bits of a canonical text: one new spelling in 40,000 is taken for one of 100,000 that were tried."""
    return zlib.crc32(key.encode())


def likeness(a: Sequence[float], b: Sequence[float]) -> float:
    """Correlation of two sketches; 0 where one of them is missing."""
    if not a or len(a) != len(b):
        return 0.0
    x: Floats = np.asarray(a)
    y: Floats = np.asarray(b)
    size = float(np.sqrt((x @ x) * (y @ y)))
    return float(x @ y) / size if size > 0.0 else 0.0
