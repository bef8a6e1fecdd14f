"""Everything that is wrong in the store's folder, by name: nothing is changed and nothing is passed over."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np

from midas_engine.errors import DataDefectError
from midas_engine.market.store.column_cache import CACHE, column_sound
from midas_engine.market.store.manifest import MANIFEST, read_manifest
from midas_engine.market.store.report import Finding
from midas_engine.market.store.rows import join
from midas_engine.market.store.segment_file import described, file_hash, read_segment
from midas_engine.market.store.tidy import current_cache
from midas_engine.market.store.transaction import leftovers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from midas_engine.market.store.manifest import Manifest, Series
    from midas_engine.market.store.rows import Rows
    from midas_engine.market.store.segment import Segment

_AGAIN = "import or fetch that month again (`midas data import`), or restore the file from a copy"


def verify(folder: Path, keys: Sequence[str] = (), progress: Callable[[float], None] | None = None) -> list[Finding]:
    """Every fault of a store: its manifest, each file's bytes and content, what does not belong, the cache.

    Args:
        folder: The store.
        keys: Which series (`binance@1h`); empty: all.
        progress: Told the share that is done.
    """
    try:
        manifest = read_manifest(folder)
    except DataDefectError as error:
        return [Finding(MANIFEST, error.message, error.hint)]
    chosen = [s for k, s in manifest.series.items() if not keys or k in keys]
    total = sum(s.rows for series in chosen for s in series.segments()) or 1
    done, found = 0, list[Finding]()
    for series in chosen:
        for month in sorted(series.months):
            found += _month(folder, series, month)
            done += sum(s.rows for s in series.months[month])
            if progress is not None:
                progress(done / total)
        for revision in series.revisions:
            found += _bytes(folder, str(revision["file"]), str(revision["sha256"]), int(revision["bytes"]))
    if not keys:
        found += _others(folder, manifest)
    return found


def _month(folder: Path, series: Series, month: str) -> Iterator[Finding]:
    read: list[Rows] = []
    for segment in series.months[month]:
        wrong = list(_bytes(folder, segment.file, segment.sha256, segment.size))
        yield from wrong
        if wrong:
            continue
        try:
            rows = read_segment(folder, segment)
        except (DataDefectError, OSError) as error:
            yield Finding(segment.file, f"cannot be read: {error}", _AGAIN)
            continue
        read.append(rows)
        if not _as_said(rows, segment, series):
            yield Finding(segment.file, "does not hold what the manifest says of it", _AGAIN)
    if len(read) > 1:
        whole = join(read)
        twice = int(((np.diff(whole.codes) == 0) & (np.diff(whole.seconds) == 0)).sum())
        if twice:
            yield Finding(series.months[month][-1].file, f"{twice:,} bars stand in another file too", _AGAIN)


def _as_said(rows: Rows, segment: Segment, series: Series) -> bool:
    """Whether a file's rows are those of its line in the manifest, in order and on the grid."""
    found = described(segment.file, segment.sha256, segment.size, rows, {}, series.bar_seconds)
    same = found.symbols == segment.symbols and found.bars == segment.bars and found.rows == segment.rows
    counts = {n: c.known for n, c in found.columns.items()} == {n: c.known for n, c in segment.columns.items()}
    steps = np.diff(rows.codes) * 2**40 + np.diff(rows.seconds)
    return (
        same and counts and bool((steps > 0).all()) and bool((rows.seconds % series.bar_seconds == series.phase).all())
    )


def _bytes(folder: Path, file: str, sha256: str, size: int) -> Iterator[Finding]:
    path = folder / file
    try:
        there = path.stat().st_size
        if path.is_symlink() or not path.is_file():
            yield Finding(file, "is no regular file", _AGAIN)
        elif there != size:
            yield Finding(file, f"has {there:,} bytes, and {size:,} were written", _AGAIN)
        elif file_hash(path) != sha256:
            yield Finding(file, "is not what was written: its SHA-256 differs", _AGAIN)
    except FileNotFoundError:
        yield Finding(file, "is missing", _AGAIN)
    except OSError as error:
        yield Finding(file, f"cannot be read: {error.strerror or error}", _AGAIN)


def _others(folder: Path, manifest: Manifest) -> Iterator[Finding]:
    for path, ours in leftovers(folder, manifest):
        name = path.relative_to(folder).as_posix()
        if ours:
            yield Finding(name, "was left behind by a writer that died", "`midas data prune` removes it", harmful=False)
        else:
            what = "is not of this store; whoever reads the folder as it is reads it too"
            yield Finding(name, what, "move it elsewhere, or `midas data import` it")
    current = current_cache(folder, manifest)
    for where, _, names in os.walk(folder / CACHE):
        for name in sorted(names):
            path = folder / os.path.relpath(os.path.join(where, name), folder)
            relative = path.relative_to(folder).as_posix()
            if path in current and not column_sound(path):
                yield Finding(relative, "is a cached column that is not what was written", "delete it; it is rebuilt")
            elif path not in current:
                yield Finding(relative, "is a cached column of earlier content", "`midas data prune` removes it", False)
