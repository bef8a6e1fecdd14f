"""Compaction and pruning: fewer files, and older bars given up on purpose. Neither changes a figure that stays."""

from __future__ import annotations

import contextlib
import os
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from midas_engine.errors import DataFormatError
from midas_engine.market.store.append import content_mark, fold, joint_origins
from midas_engine.market.store.column_cache import CACHE, cache_name, column_sound
from midas_engine.market.store.reading import Grid
from midas_engine.market.store.report import Tidied
from midas_engine.market.store.rows import join
from midas_engine.market.store.segment_file import read_segment, write_segment
from midas_engine.market.store.transaction import sweep_leftovers

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from midas_engine.market.store.manifest import Manifest, Series
    from midas_engine.market.store.transaction import Transaction


def compact(change: Transaction, chosen: Sequence[Series]) -> Tidied:
    """One file a month. The content, its marks and every snapshot stay as they are.

    Raises:
        DataDefectError: A file is damaged; nothing of its series is changed.
    """
    before = after = freed = 0
    for series in chosen:
        months = dict(series.months)
        for month, files in series.months.items():
            if len(files) > 1:
                months[month] = (fold(change, series, month, files),)
        before += sum(map(len, series.months.values()))
        after += sum(map(len, months.values()))
        freed += _size(series) - _size(replace(series, months=months))
        if months != series.months:
            change.commit(replace(series, months=months))
    return Tidied(before, after, 0, freed + _sweep(change))


def prune(change: Transaction, chosen: Sequence[Series], before: np.datetime64 | None) -> Tidied:
    """Give up bars that opened before a time, and everything in the folder that only takes room.

    The sealed boundary stays where it is.

    Args:
        change: The change.
        chosen: Which series.
        before: Open time of the first bar that stays; None: all bars stay.

    Raises:
        DataFormatError: No bar of a series would stay.
        DataDefectError: A file is damaged.
    """
    files = left = rows = freed = 0
    for series in chosen:
        kept = series if before is None else _since(change, series, int(before.astype("datetime64[s]").astype(int)))
        files += sum(map(len, series.months.values()))
        left += sum(map(len, kept.months.values()))
        rows += sum(s.rows for s in series.segments()) - sum(s.rows for s in kept.segments())
        freed += _size(series) - _size(kept)
        if kept is not series:
            change.commit(kept)
    return Tidied(files, left, rows, freed + _sweep(change))


def _since(change: Transaction, series: Series, first: int) -> Series:
    if series.last < first:
        raise DataFormatError(
            f"{series.key} ends before {np.datetime64(first, 's')}: nothing of it would stay",
            hint="give an earlier date",
        )
    if series.first >= first:
        return series
    month_of = str(np.datetime64(first, "s").astype("datetime64[M]"))
    months = {m: f for m, f in series.months.items() if m >= month_of}
    marks = {m: mark for m, mark in series.marks.items() if m >= month_of}
    if month_of in months and any(s.first < first for f in months[month_of] for s in f.symbols.values()):
        rows = join([read_segment(change.folder, s) for s in months[month_of]])
        kept = rows.take(rows.seconds >= first).sorted()
        if len(kept) < len(rows):
            origins = joint_origins(months.pop(month_of))
            marks[month_of] = content_mark(marks[month_of] + "pruned", kept)
            if len(kept):
                file = change.new_file(series, month_of)
                months[month_of] = (write_segment(change.folder, file, kept, origins, series.bar_seconds),)
            else:
                del marks[month_of]
    revisions = tuple(r for r in series.revisions if f"month={month_of}" <= str(r["file"]).split("/")[3])
    return replace(series, months=months, marks=marks, revisions=revisions)


def _size(series: Series) -> int:
    return sum(s.size for s in series.segments()) + sum(int(r["bytes"]) for r in series.revisions)


def _sweep(change: Transaction) -> int:
    return sweep_leftovers(change.folder, change.manifest) + sweep_cache(change.folder, change.manifest)


def current_cache(folder: Path, manifest: Manifest) -> set[Path]:
    """Cached columns that are of what the store holds now."""
    found: set[Path] = set()
    for series in manifest.series.values():
        if series.months:
            grid = Grid(folder, series)
            found |= {grid.cache / cache_name(column, grid.mark) for column in series.columns}
    return found


def sweep_cache(folder: Path, manifest: Manifest) -> int:
    """Remove cached columns that are of earlier content, or not whole. Gives the bytes freed."""
    keep, freed = current_cache(folder, manifest), 0
    for where, _, names in os.walk(folder / CACHE):
        for name in names:
            path = folder / os.path.relpath(os.path.join(where, name), folder)
            if name.endswith(".f8") and not (path in keep and column_sound(path)):
                with contextlib.suppress(OSError):
                    size = path.stat().st_size
                    path.unlink()
                    freed += size
    return freed
