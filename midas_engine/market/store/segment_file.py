"""One Parquet file of the store: written once, never changed, readable by anything that reads Parquet."""

from __future__ import annotations

import hashlib
import io
from typing import TYPE_CHECKING, Any

import numpy as np

from midas_engine.errors import DataDefectError
from midas_engine.market.durable import write_durably
from midas_engine.market.store.rows import Rows
from midas_engine.market.store.segment import ColumnNote, Segment, SymbolSpan
from midas_engine.shortage import threads_fit

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from midas_engine.market.provenance import Provenance

ROW_GROUP = 262_144


def write_segment(
    folder: Path, file: str, rows: Rows, origins: Mapping[str, Sequence[Provenance]], bar_seconds: int
) -> Segment:
    """Write sorted rows of one month to `file` inside the store, durably, and say what it holds.

    Args:
        folder: The store.
        file: Path in it.
        rows: Sorted, of one month.
        origins: Who gave each column.
        bar_seconds: Length of a bar.

    Raises:
        OSError: The disk refused; nothing refers to the file yet.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {
        "timestamp": pa.array(rows.seconds.astype("datetime64[s]").astype("datetime64[us]"), pa.timestamp("us", "UTC")),
        "symbol": pa.DictionaryArray.from_arrays(
            pa.array(rows.codes.astype(np.int32)), pa.array(rows.symbols, pa.string())
        ),
    }
    for name, values in rows.columns.items():
        columns[name] = pa.array(values, mask=np.isnan(values))  # unknown is null for every reader
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns), buffer, compression="zstd", row_group_size=ROW_GROUP, write_statistics=True)
    data = buffer.getbuffer()
    target = folder / file
    target.parent.mkdir(parents=True, exist_ok=True)
    write_durably(target, lambda stream: stream.write(data))
    return described(file, hashlib.sha256(data).hexdigest(), len(data), rows, origins, bar_seconds)


def described(
    file: str, sha256: str, size: int, rows: Rows, origins: Mapping[str, Sequence[Provenance]], bar_seconds: int
) -> Segment:
    """What the manifest will say of a file with these rows."""
    starts = np.flatnonzero(np.diff(rows.codes, prepend=-1))
    stops = np.append(starts[1:], len(rows))
    close = rows.columns.get("close")
    known = np.ones(len(rows), dtype=bool) if close is None else ~np.isnan(close)
    spans = {
        rows.symbols[rows.codes[a]]: SymbolSpan(
            int(rows.seconds[a]), int(rows.seconds[b - 1]), int(b - a), int(known[a:b].sum())
        )
        for a, b in zip(starts, stops, strict=True)
    }
    notes = {
        name: ColumnNote(int((~np.isnan(values)).sum()), tuple(origins.get(name, ())))
        for name, values in rows.columns.items()
    }
    opened = rows.seconds[0].astype("datetime64[s]")
    month = int(opened.astype("datetime64[M]").astype("datetime64[s]").astype(np.int64))
    slots = np.unique((rows.seconds[known] - month) // bar_seconds)
    bits = np.zeros(int(slots[-1]) + 1 if slots.size else 0, dtype=bool)
    bits[slots] = True
    bars = int.from_bytes(np.packbits(bits, bitorder="little").tobytes(), "little")
    return Segment(file, sha256, size, len(rows), spans, notes, bars)


def read_segment(folder: Path, segment: Segment, columns: Sequence[str] | None = None) -> Rows:
    """The rows of a file, with the given columns of those it has; None: all.

    Raises:
        FileNotFoundError: It is gone.
        DataDefectError: It is not what was written there.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = folder / segment.file
    wanted = [c for c in segment.columns if columns is None or c in columns]
    try:
        size = path.stat().st_size
        if size != segment.size:
            raise DataDefectError(*_damaged(segment, f"has {size:,} bytes, and {segment.size:,} were written"))
        together = threads_fit()
        table = pq.ParquetFile(path, pre_buffer=together).read(["timestamp", "symbol", *wanted], use_threads=together)
        if table.num_rows != segment.rows:
            raise DataDefectError(*_damaged(segment, f"has {table.num_rows:,} rows, and {segment.rows:,} were written"))
        coded = pa.chunked_array(
            [c if pa.types.is_dictionary(c.type) else c.dictionary_encode() for c in table.column("symbol").chunks],
        ).unify_dictionaries()
        names = coded.chunk(0).dictionary.to_pylist()
        codes = np.concatenate([_plain(c.indices, "i4") for c in coded.chunks])
        stamps = table.column("timestamp").cast(pa.int64())
        seconds = np.concatenate([_plain(c, "i8") for c in stamps.chunks]) // 1_000_000
        found = {c: np.concatenate([_figures(k) for k in table.column(c).chunks]) for c in wanted}
    except FileNotFoundError:
        raise
    except (pa.ArrowException, OSError, KeyError, ValueError, IndexError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:160]
        raise DataDefectError(*_damaged(segment, f"cannot be read: {reason}")) from error
    return Rows(tuple(names), codes.astype(np.int64), seconds, found)


def _plain(array: Any, kind: str) -> NDArray[Any]:
    """An array without nulls; pyarrow's own conversion imports pandas where it is installed."""
    rows = slice(array.offset, array.offset + len(array))
    return np.asarray(np.frombuffer(array.buffers()[1], dtype=kind)[rows])


def _figures(array: Any) -> NDArray[np.float64]:
    values = _plain(array, "f8")
    if not array.null_count:
        return values
    rows = slice(array.offset, array.offset + len(array))
    known = np.unpackbits(np.frombuffer(array.buffers()[0], np.uint8), bitorder="little")[rows].astype(bool)
    return np.where(known, values, np.nan)


def _damaged(segment: Segment, what: str) -> tuple[str]:
    return (f"{segment.file} of the store {what}",)


def file_hash(path: Path) -> str:
    """SHA-256 of a file, as `sha256sum` prints it."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
