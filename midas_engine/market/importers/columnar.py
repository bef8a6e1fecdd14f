"""Parquet and Feather files as frames; their size is known from the file's own figures before it is read."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from midas_engine.errors import DataFormatError
from midas_engine.shortage import threads_fit

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd
    import pyarrow as pa

    from midas_engine.market.importers.budget import Budget

_READS = "Midas reads CSV, JSON, Parquet and Feather, also in .zip and .gz"
_CELL_BYTES = 8


def read_columnar(path: Path, budget: Budget) -> pd.DataFrame:
    """The rows of a Parquet or Feather file.

    Raises:
        DataFormatError: It is damaged, empty, or would unpack to more than the budget has.
    """
    import pyarrow as pa
    import pyarrow.feather
    import pyarrow.parquet as pq

    kind = path.suffix[1:].capitalize()
    size = path.stat().st_size
    together = threads_fit()
    try:
        if path.suffix.lower() == ".parquet":
            footer = pq.ParquetFile(path).metadata
            budget.take(path.name, size, footer.num_rows * footer.num_columns * _CELL_BYTES)
            table = pq.read_table(path, partitioning=None, use_threads=together, pre_buffer=together)
        else:
            budget.take(path.name, size, _feather_cells(path, budget.room(size)) * _CELL_BYTES)
            table = pyarrow.feather.read_table(path, use_threads=together)
        for i, column in enumerate(table.schema):
            if pa.types.is_nested(column.type):  # no figure and no word; shown as its text
                texts = pa.array([str(cell)[:80] for cell in table.column(i).to_pylist()], pa.string())
                table = table.set_column(i, column.name, texts)
        # What pandas wrote about itself is not needed, and may be wrong.
        frame: pd.DataFrame = table.replace_schema_metadata(None).to_pandas(use_threads=together)
    except MemoryError:
        raise  # the file is not to blame
    except (pa.ArrowException, OSError, ValueError) as error:
        # Arrow puts the whole path before its reason; the name is in the message already.
        first = str(error).splitlines()[0]
        reason = (first.rpartition("': ")[2] if "input source '" in first else first)[:120]
        raise DataFormatError(f"{path.name} is not a {kind} file that can be read: {reason}", hint=_READS) from error
    twice = frame.columns[frame.columns.duplicated()]
    if len(twice):
        name = str(twice[0])[:40]
        raise DataFormatError(f"{path.name} has two columns called {name!r}", hint="name each column once")
    if not len(frame):
        raise DataFormatError(f"{path.name} has no rows")
    return _without_row_numbers(frame)


def _feather_cells(path: Path, room: int) -> int:
    """Rows x columns of a Feather file, counted over one column batch by batch; stops where they are past the room."""
    import pyarrow as pa

    with pa.memory_map(str(path)) as source:
        try:
            reader: Any = pa.ipc.open_file(source)
        except pa.ArrowInvalid:
            return 0  # the first version of the format does not compress
        columns = len(reader.schema)
        narrow = _narrowest(reader.schema)
        source.seek(0)
        reader = pa.ipc.open_file(source, options=pa.ipc.IpcReadOptions(included_fields=[narrow]))
        rows = 0
        for i in range(reader.num_record_batches):
            rows += reader.get_batch(i).num_rows
            if rows * columns * _CELL_BYTES > room:
                break
        return rows * columns


def _narrowest(schema: pa.Schema) -> int:
    """The column that is least work to unpack."""

    def width(i: int) -> int:
        try:
            return int(schema.field(i).type.bit_width)
        except ValueError:
            return 1 << 20

    return min(range(len(schema)), key=width, default=0)


def _without_row_numbers(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame without the row numbers that pandas stores beside it; levels of times and of texts are kept."""
    import pandas as pd

    for name in [c for c in frame.columns if re.fullmatch(r"__index_level_\d+__|index|level_\d+", str(c))]:
        if pd.api.types.is_datetime64_any_dtype(frame[name]) and "timestamp" not in frame.columns:
            frame = frame.rename(columns={name: "timestamp"})
        elif pd.api.types.is_string_dtype(frame[name]) and str(name) != "index" and "symbol" not in frame.columns:
            frame = frame.rename(columns={name: "symbol"})
        else:
            frame = frame.drop(columns=name)
    return frame
