"""Appending: new bars into files of their own, figures that were lacking filled in, restated ones kept as revisions."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from midas_engine.errors import DataDefectError
from midas_engine.market.store.address import bar_name
from midas_engine.market.store.manifest import Series
from midas_engine.market.store.merge import Merged, merge
from midas_engine.market.store.report import AppendReport
from midas_engine.market.store.revision_file import write_revisions
from midas_engine.market.store.rows import Rows, join
from midas_engine.market.store.segment_file import read_segment, write_segment

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from midas_engine.market.provenance import Provenance
    from midas_engine.market.store.segment import Segment
    from midas_engine.market.store.transaction import Transaction

# Small files are folded into one when there are as many of a size: a bar a time costs little, and files stay few.
FAN = 8
_EXAMPLES = 5
# 2009 and 2100: a time outside was misread.
_EARLIEST, _LATEST = 1_230_768_000, 4_102_444_800


@dataclass(slots=True)
class _Sum:
    added: int = 0
    equal: int = 0
    filled: int = 0
    restated: int = 0


def append_rows(
    change: Transaction,
    venue: str,
    bar_seconds: int,
    rows: Rows,
    provenance: Mapping[str, Provenance],
    *,
    replace_all: bool = False,
) -> AppendReport:
    """Put sorted rows into a series, inside the lock; the manifest is written when anything is new.

    Raises:
        DataDefectError: Times off the series' grid, or a file of it is damaged.
        DataError: The disk refused; the store is as it was.
    """
    key = f"{venue}@{bar_name(bar_seconds)}"
    if not len(rows):
        return AppendReport(key, revision=change.manifest.number)
    phase = _checked_phase(rows, bar_seconds)
    series = change.manifest.series.get(key) or Series(venue, bar_seconds, phase)
    dropped = sum(segment.rows for segment in series.segments()) if replace_all else 0
    if replace_all:
        series = replace(series, months={}, marks={}, revisions=(), restated=0)
    if not series.months:
        series = replace(series, phase=phase)
    if series.phase != phase:
        raise DataDefectError(
            f"bars of {key} open {series.phase} s past the multiples of their length, these {phase} s",
            hint="give them a venue name of their own",
        )
    total, revised = _Sum(), list[tuple[str, Merged]]()
    months, marks = dict(series.months), dict(series.marks)
    for month, part in rows.by_month():
        part = part.sorted()
        held = merge(part, months.get(month, ()), lambda s: read_segment(change.folder, s))
        total.added += len(held.fresh)
        total.equal += held.equal
        total.filled += held.filled
        total.restated += held.restated
        if len(held.fresh) or held.changed:
            months[month] = _month(change, series, month, months.get(month, ()), held, provenance)
            marks[month] = content_mark(marks.get(month, ""), part)
        if held.revisions:
            revised.append((month, held))
    report = AppendReport(
        key, total.added, total.equal, total.filled, total.restated, *_said(revised), dropped, change.manifest.number
    )
    if not report.changed:
        return report
    series = replace(series, months=months, marks=marks)
    if revised:
        series = write_revisions(change, series, revised, provenance)
    return replace(report, revision=change.commit(series).number)


def content_mark(before: str, rows: Rows) -> str:
    """The mark of a month after `rows` were put into it."""
    digest = hashlib.blake2b(before.encode(), digest_size=16)
    digest.update("\0".join(rows.symbols).encode())
    digest.update(np.ascontiguousarray(rows.codes).tobytes())
    digest.update(np.ascontiguousarray(rows.seconds).tobytes())
    for name in sorted(rows.columns):
        digest.update(name.encode())
        digest.update(np.nan_to_num(rows.columns[name], nan=-7.25e-300).tobytes())
    return digest.hexdigest()


def _checked_phase(rows: Rows, bar_seconds: int) -> int:
    low, high = int(rows.seconds.min()), int(rows.seconds.max())
    if low < _EARLIEST or high >= _LATEST:
        wrong = low if low < _EARLIEST else high
        raise DataDefectError(f"a bar opens at {np.datetime64(wrong, 's')}", hint="times are from 2009 to 2099, UTC")
    phases = np.unique(rows.seconds % bar_seconds)
    if phases.size > 1:
        at = int(np.argmax(rows.seconds % bar_seconds != phases[0]))
        raise DataDefectError(
            f"bars of {bar_name(bar_seconds)} are not on one grid: {rows.symbols[rows.codes[at]]} has one at "
            f"{np.datetime64(int(rows.seconds[at]), 's')}",
            hint="check the length of the bars",
        )
    return int(phases[0])


def _month(
    change: Transaction,
    series: Series,
    month: str,
    before: Sequence[Segment],
    held: Merged,
    provenance: Mapping[str, Provenance],
) -> tuple[Segment, ...]:
    """The files of a month afterwards."""
    by_file = {segment.file: (rows, touched) for segment, rows, touched in held.changed}
    after: list[Segment] = []
    for segment in before:
        if segment.file not in by_file:
            after.append(segment)
            continue
        rows, touched = by_file[segment.file]
        origins = joint_origins([segment], {n: provenance[n] for n in touched})
        after.append(_write(change, series, month, rows, origins))
    if len(held.fresh):
        fresh = held.fresh.sorted()
        told = {n: v for n, v in fresh.columns.items() if not np.isnan(v).all()}
        fresh = Rows(fresh.symbols, fresh.codes, fresh.seconds, told)
        after.append(_write(change, series, month, fresh, {n: (provenance[n],) for n in told}))
    return tuple(_folded(change, series, month, after))


def _folded(change: Transaction, series: Series, month: str, files: list[Segment]) -> list[Segment]:
    while True:
        level = _level(files[-1])
        tail = next((i + 1 for i in range(len(files) - 1, -1, -1) if _level(files[i]) > level), 0)
        if len(files) - tail < FAN:
            return files
        files = [*files[:tail], fold(change, series, month, files[tail:])]


def _level(segment: Segment) -> int:
    return int(math.log(max(segment.rows, 1), FAN) + 1e-9)


def fold(change: Transaction, series: Series, month: str, files: Sequence[Segment]) -> Segment:
    """One file with the rows of several of the same month."""
    rows = join([read_segment(change.folder, segment) for segment in files])
    return _write(change, series, month, rows, joint_origins(files))


def _write(
    change: Transaction, series: Series, month: str, rows: Rows, origins: Mapping[str, Sequence[Provenance]]
) -> Segment:
    return write_segment(change.folder, change.new_file(series, month), rows, origins, series.bar_seconds)


def joint_origins(
    files: Iterable[Segment], more: Mapping[str, Provenance] | None = None
) -> dict[str, tuple[Provenance, ...]]:
    """Who gave each column over several files: each giver once, with the last time it gave."""
    found: dict[str, dict[Any, Provenance]] = {}
    given = [(n, o) for segment in files for n, note in segment.columns.items() for o in note.origins]
    for name, origin in [*given, *(more or {}).items()]:
        known = found.setdefault(name, {})
        if origin.origin not in known or known[origin.origin].at < origin.at:
            known[origin.origin] = origin
    return {name: tuple(known.values()) for name, known in found.items()}


def _said(revised: list[tuple[str, Merged]]) -> tuple[dict[str, int], tuple[str, ...]]:
    counts: dict[str, int] = {}
    examples: list[str] = []
    for _, held in revised:
        for one in held.revisions:
            counts[one.column] = counts.get(one.column, 0) + len(one.seconds)
            examples += [
                f"{s} {np.datetime64(int(t), 's')} {one.column}: {old:.10g} is now {new:.10g}"
                for s, t, old, new in zip(one.symbols[:1], one.seconds, one.old, one.new, strict=False)
            ]
    return counts, tuple(examples[:_EXAMPLES])
