"""New rows against those a month has: what is new, what was known, what was filled in, what was restated."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from midas_engine.market.store.rows import Rows

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from midas_engine.market.store.segment import Segment

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]
    Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Restated:
    """Figures of one column that were known and are now said to be others.

    Attributes:
        column: Which.
        symbols: Of each [N].
        seconds: Open time of each bar [N].
        old: What was known [N].
        new: What is said now [N].
    """

    column: str
    symbols: tuple[str, ...]
    seconds: Ints
    old: Floats
    new: Floats


@dataclass(slots=True)
class Merged:
    """What rows do to a month.

    Attributes:
        fresh: Rows of bars that were not there.
        changed: Files whose rows are now others, and the columns that are.
        equal: Rows that say what was known, or less.
        filled: Rows that add figures to a bar that lacked them.
        restated: Rows that contradict a known figure.
        revisions: The figures that were contradicted.
    """

    fresh: Rows
    changed: list[tuple[Segment, Rows, frozenset[str]]] = field(default_factory=list)
    equal: int = 0
    filled: int = 0
    restated: int = 0
    revisions: list[Restated] = field(default_factory=list)


def merge(rows: Rows, segments: Sequence[Segment], read: Callable[[Segment], Rows]) -> Merged:
    """Hold sorted rows of one month against its files; only files that may hold one of their bars are read."""
    pending = np.ones(len(rows), dtype=bool)
    out = Merged(rows)
    for segment in segments:
        if not _may_meet(rows, segment):
            continue
        old = read(segment)
        mine, theirs = _meet(rows, old)
        pending[mine] = False
        if mine.size:
            _hold(rows.take(mine), old, theirs, segment, out)
    out.fresh = rows.take(pending)
    return out


def _may_meet(rows: Rows, segment: Segment) -> bool:
    for code, name in enumerate(rows.symbols):
        span = segment.symbols.get(name)
        if span is not None:
            mine = rows.seconds[rows.codes == code]
            if mine.size and mine[0] <= span.last and mine[-1] >= span.first:
                return True
    return False


def _meet(rows: Rows, old: Rows) -> tuple[Ints, Ints]:
    """Positions in `rows` and in `old` of the bars that both hold."""
    place = {name: i for i, name in enumerate(old.symbols)}
    codes = np.array([place.get(n, -1) for n in rows.symbols] or [-1], dtype=np.int64)[rows.codes]
    base = int(min(rows.seconds.min(initial=2**40), old.seconds.min(initial=2**40)))
    width = int(max(rows.seconds.max(initial=base), old.seconds.max(initial=base))) - base + 1
    theirs = old.codes * width + (old.seconds - base)
    keys = np.where(codes < 0, -1, codes * width + (rows.seconds - base))
    order = np.argsort(theirs, kind="stable")
    at = np.searchsorted(theirs[order], keys)
    at[at == len(theirs)] = 0
    found = (keys >= 0) & (theirs[order][at] == keys) if len(theirs) else np.zeros(len(keys), dtype=bool)
    mine = np.flatnonzero(found)
    return mine, order[at[mine]]


def _hold(rows: Rows, old: Rows, at: Ints, segment: Segment, out: Merged) -> None:
    filled, restated = np.zeros(len(rows), dtype=bool), np.zeros(len(rows), dtype=bool)
    columns, touched = dict(old.columns), set[str]()
    for name, values in rows.columns.items():
        before = old.columns.get(name)
        known = np.full(len(rows), np.nan) if before is None else before[at]
        adds = np.isnan(known) & ~np.isnan(values)
        differs = ~np.isnan(known) & ~np.isnan(values) & (known != values)
        if not (adds.any() or differs.any()):
            continue
        filled |= adds
        restated |= differs
        whole = np.full(len(old), np.nan) if before is None else before.copy()
        change = adds | differs
        whole[at[change]] = values[change]
        columns[name] = whole
        touched.add(name)
        if differs.any():
            names = tuple(rows.symbols[c] for c in rows.codes[differs])
            out.revisions.append(Restated(name, names, rows.seconds[differs], known[differs], values[differs]))
    filled &= ~restated
    out.filled += int(filled.sum())
    out.restated += int(restated.sum())
    out.equal += len(rows) - int(filled.sum()) - int(restated.sum())
    if touched:
        out.changed.append((segment, Rows(old.symbols, old.codes, old.seconds, columns), frozenset(touched)))
