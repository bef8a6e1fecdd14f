"""A panel on disk: one Parquet file, replaced in one step, read back to the bit."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import numpy as np

from midas_engine.errors import DataFormatError
from midas_engine.market.durable import sweep, write_durably
from midas_engine.shortage import threads_fit

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pyarrow as pa

    from midas_engine.market.panel import Panel

_BAR, _SYMBOLS, _START, _BARS = (b"midas." + n for n in (b"bar_seconds", b"symbols", b"start_ns", b"bars"))
_MOST_CELLS = 500_000_000


def is_panel_file(path: Path) -> bool:
    """Whether Midas wrote this file, so that it needs no examination."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return _BAR in (pq.read_schema(path).metadata or {})
    except (pa.ArrowException, OSError):
        return False


def write_panel(panel: Panel, target: Path) -> Path:
    """See `Panel.save`."""
    return replace_parquet(_table(panel), target)


def replace_parquet(table: pa.Table, target: Path) -> Path:
    """Write a table in one step: temporary file beside it, fsync, rename, fsync of the folder."""
    import pyarrow.parquet as pq

    target.parent.mkdir(parents=True, exist_ok=True)
    sweep(target.parent, target.name)
    write_durably(target, lambda stream: pq.write_table(table, stream, compression="zstd"))
    return target


def _table(panel: Panel) -> pa.Table:
    import pyarrow as pa

    codes = np.tile(np.arange(panel.S, dtype=np.int32), panel.T)
    known = np.zeros(panel.T * panel.S, dtype=bool)
    for values in panel.fields.values():
        known |= ~np.isnan(values.reshape(-1))
    columns: dict[str, Any] = {
        "timestamp": pa.array(np.repeat(panel.timestamps, panel.S)[known], pa.timestamp("ns", "UTC")),
        "symbol": pa.DictionaryArray.from_arrays(codes[known], pa.array(panel.symbols, pa.string())),
    }
    columns |= {name: values.reshape(-1)[known] for name, values in panel.fields.items()}
    start = panel.timestamps[0].astype(np.int64) if panel.T else 0
    meta = {_BAR: panel.bar_seconds, _SYMBOLS: json.dumps(panel.symbols), _START: int(start), _BARS: panel.T}
    return pa.table(columns).replace_schema_metadata({key: str(value).encode() for key, value in meta.items()})


def read_panel(cls: type[Panel], source: Path) -> Panel:
    """See `Panel.load`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not source.is_file():
        raise DataFormatError(f"no file {source}", hint="`midas data import` makes one from exchange dumps")
    try:
        together = threads_fit()
        footer = pq.ParquetFile(source).metadata
        if footer.num_rows * footer.num_columns > _MOST_CELLS:
            raise DataFormatError(
                f"{source.name} holds {footer.num_rows:,} rows of {footer.num_columns} columns, more than "
                f"{_MOST_CELLS:,} cells",
                hint="import fewer symbols, or longer bars",
            )
        table = pq.read_table(source, use_threads=together, pre_buffer=together)
        frame = table.replace_schema_metadata(None).to_pandas(use_threads=together)
    except MemoryError:
        raise  # the file is not to blame
    except (pa.ArrowException, OSError, ValueError) as error:
        reason = str(error).splitlines()[0][:160]
        raise DataFormatError(f"{source} is not a Parquet file Midas can read: {reason}") from error
    meta = table.schema.metadata or {}
    panel = cls.from_frame(frame, _whole(meta, _BAR))
    return _on_its_grid(cls, panel, meta)


def _on_its_grid(cls: type[Panel], panel: Panel, meta: Mapping[bytes, bytes]) -> Panel:
    """The panel with the bars and symbols that had no figure, in the order they had when it was saved."""
    names = _names(meta)
    start, bars = _whole(meta, _START), _whole(meta, _BARS)
    if start is None or bars is None or names is None or not set(panel.symbols) <= set(names):
        return panel
    step = panel.bar_seconds * 1_000_000_000
    offset, rest = divmod(int(panel.timestamps[0].astype(np.int64)) - start, step)
    if rest or offset < 0 or offset + panel.T > bars or bars * len(names) > _MOST_CELLS:
        return panel
    if (offset, bars, tuple(names)) == (0, panel.T, panel.symbols):
        return panel
    columns = [names.index(s) for s in panel.symbols]
    fields = {}
    for name, values in panel.fields.items():
        whole = np.full((bars, len(names)), np.nan)
        whole[offset : offset + panel.T, columns] = values
        fields[name] = whole
    times = np.datetime64(start, "ns") + np.arange(bars) * np.timedelta64(step, "ns")
    return cls(times, names, fields, panel.bar_seconds)


def _whole(meta: Mapping[bytes, bytes], key: bytes) -> int | None:
    text = meta.get(key, b"")
    return int(text) if re.fullmatch(rb"[0-9]{1,19}", text) else None


def _names(meta: Mapping[bytes, bytes]) -> list[str] | None:
    try:
        names = json.loads(meta.get(_SYMBOLS, b""))
    except ValueError:
        return None
    good = isinstance(names, list) and all(isinstance(n, str) for n in names) and len(set(names)) == len(names)
    return names if good else None
