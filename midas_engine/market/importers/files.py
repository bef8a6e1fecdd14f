"""Bytes to tables: CSV, JSON, Parquet and Feather files, plain, gzipped or in a zip; sizes are bounded."""

from __future__ import annotations

import gzip
import io
import json
import re
import stat
import zipfile
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from midas_engine.errors import DataFormatError
from midas_engine.shortage import threads_fit

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pandas as pd

# A year of one-minute klines of one symbol is 70 MB of text.
MAX_BYTES = 1_000_000_000
MAX_MEMBERS = 10_000
SUFFIXES = (".csv", ".json", ".parquet", ".feather", ".zip", ".gz")
_READS = "Midas reads CSV, JSON, Parquet and Feather, also in .zip and .gz"


@dataclass(frozen=True, slots=True)
class Table:
    """Cells of one file, before anybody asked what they mean. Columns are names, or 0, 1, 2... where it had none."""

    source: str
    path: str
    frame: pd.DataFrame
    headless: bool
    written_ns: int | None


def find_files(path: Path) -> list[Path]:
    """The file itself, or every data file below a folder, by name.

    Raises:
        DataFormatError: Nothing is there, it is no regular file, or the folder holds no data.
    """
    if path.is_dir():
        if (path / "panel.parquet").is_file():
            return [path / "panel.parquet"]
        found = sorted(p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file() and p.name[0] != ".")
        if not found:
            raise DataFormatError(f"no data file in {path}", hint=_READS)
        return found
    try:
        kind = path.stat().st_mode
    except OSError as error:
        raise DataFormatError(f"{path} cannot be read: {error.strerror}", hint="check the path") from error
    if not stat.S_ISREG(kind):
        raise DataFormatError(f"{path} is not a regular file", hint="give a file or a folder")
    return [path]


def read_tables(path: Path) -> Iterator[Table]:
    """Every table of one file.

    Raises:
        DataFormatError: It is none of the formats, too large, damaged, or has no rows.
    """
    info = path.stat()
    if info.st_size > MAX_BYTES:
        raise DataFormatError(f"{path.name} has {info.st_size:,} bytes, more than {MAX_BYTES:,}", hint="split the file")
    if not info.st_size:
        raise DataFormatError(f"{path.name} is empty")
    written = info.st_mtime_ns
    if path.suffix.lower() in (".parquet", ".feather"):
        yield Table(path.name, path.as_posix(), _columnar(path), False, written)
        return
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataFormatError(f"{path.name} cannot be read: {error.strerror}") from error
    if data[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        yield from _archive(path, data)
    elif data[:2] == b"\x1f\x8b":
        yield _text(path.name, path.as_posix().removesuffix(".gz"), _gunzip(path.name, data), written)
    else:
        yield _text(path.name, path.as_posix(), data, written)


def _columnar(path: Path) -> pd.DataFrame:
    import pyarrow as pa
    import pyarrow.feather
    import pyarrow.parquet as pq

    together = threads_fit()
    try:
        if path.suffix.lower() == ".parquet":
            table = pq.read_table(path, use_threads=together, pre_buffer=together)
        else:
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
        kind = path.suffix[1:].capitalize()
        raise DataFormatError(f"{path.name} is not a {kind} file that can be read: {reason}", hint=_READS) from error
    twice = frame.columns[frame.columns.duplicated()]
    if len(twice):
        name = str(twice[0])[:40]
        raise DataFormatError(f"{path.name} has two columns called {name!r}", hint="name each column once")
    return _index_as_column(frame)


def _index_as_column(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame without the row numbers that pandas stores beside it; an index of times is its time column."""
    import pandas as pd

    for name in [c for c in frame.columns if re.fullmatch(r"__index_level_\d+__|index", str(c))]:
        if pd.api.types.is_datetime64_any_dtype(frame[name]) and "timestamp" not in frame.columns:
            frame = frame.rename(columns={name: "timestamp"})
        else:
            frame = frame.drop(columns=name)
    return frame


def _archive(path: Path, data: bytes) -> Iterator[Table]:
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise DataFormatError(f"{path.name} is a damaged zip: {error}", hint="download it again") from error
    with archive:
        members = [m for m in archive.infolist() if not m.is_dir() and not m.filename.endswith(".CHECKSUM")]
        if any(m.filename == "[Content_Types].xml" for m in members):
            raise DataFormatError(f"{path.name} is a spreadsheet", hint="save the sheet as CSV")
        if not members:
            raise DataFormatError(f"{path.name} holds no file")
        if len(members) > MAX_MEMBERS:
            raise DataFormatError(f"{path.name} holds {len(members):,} files, more than {MAX_MEMBERS:,}")
        for member in members:
            name = f"{path.name}/{member.filename}"
            if member.file_size > MAX_BYTES:
                raise DataFormatError(f"{name} would have {member.file_size:,} bytes, more than {MAX_BYTES:,}")
            try:
                # The member's own size bounds what comes out, whatever the stream would inflate to.
                with archive.open(member) as stream:
                    content = stream.read(MAX_BYTES + 1)
            except (zipfile.BadZipFile, zlib.error, OSError, RuntimeError, NotImplementedError, EOFError) as error:
                raise DataFormatError(f"{name} cannot be unpacked: {error}", hint="download it again") from error
            # The folders around an archive speak for what is in it.
            yield _text(name, (path.parent / member.filename).as_posix(), content, None)


def _gunzip(name: str, data: bytes) -> bytes:
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as stream:
            content = stream.read(MAX_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise DataFormatError(f"{name} is a damaged gzip: {error}", hint="download it again") from error
    if len(content) > MAX_BYTES:
        raise DataFormatError(f"{name} inflates to more than {MAX_BYTES:,} bytes", hint="split the file")
    return content


def _text(source: str, path: str, data: bytes, written_ns: int | None) -> Table:
    if b"\0" in data[:65_536]:
        raise DataFormatError(f"{source} is no text: it holds NUL bytes", hint=_READS)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise DataFormatError(
            f"{source} is not UTF-8 text: line {line}, byte {error.start + 1}", hint="save it as UTF-8"
        ) from error
    head = text.lstrip()[:1]
    if not head:
        raise DataFormatError(f"{source} is empty")
    if head == "<":
        raise DataFormatError(
            f"{source} is a web page, not data", hint="the download failed and saved the error page; fetch it again"
        )
    if head in "[{":
        rows = _json(source, text)
        return Table(source, path, rows, 0 in rows.columns, written_ns)
    frame, headless = _csv(source, text)
    return Table(source, path, frame, headless, written_ns)


def _csv(source: str, text: str) -> tuple[pd.DataFrame, bool]:
    import pandas as pd

    first = text.lstrip().split("\n", 1)[0]
    separator = max(",;\t", key=first.count)
    if not first.count(separator):
        raise DataFormatError(f"{source} is no table: its first line has no comma, semicolon or tab", hint=_READS)
    headless = _is_number(first.split(separator)[0])
    try:
        frame = pd.read_csv(
            io.StringIO(text), sep=separator, header=None if headless else 0, skipinitialspace=True, low_memory=False
        )
    except (pd.errors.ParserError, pd.errors.EmptyDataError, ValueError) as error:
        reason = str(error).splitlines()[0].removeprefix("Error tokenizing data. C error: ")[:160]
        raise DataFormatError(
            f"{source} is no regular table: {reason}", hint="every line needs as many cells"
        ) from error
    if not isinstance(frame.index, pd.RangeIndex):
        raise DataFormatError(f"{source}: its rows have more cells than its header", hint="name every column")
    if frame.empty:
        raise DataFormatError(f"{source} has a header and no rows")
    return frame, headless


def _is_number(cell: str) -> bool:
    try:
        float(cell.strip().strip('"'))
    except ValueError:
        return False
    return True


def _json(source: str, text: str) -> pd.DataFrame:
    import pandas as pd

    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataFormatError(f"{source} is no JSON: {str(error)[:120]}", hint=_READS) from error
    symbol = None
    # Exchanges wrap their rows: Bybit in result.list, OKX in data.
    for key in ("result", "data", "list"):
        if isinstance(document, dict):
            symbol = document.get("symbol", symbol)
            document = document.get(key, document)
    rows = document if isinstance(document, list) else None
    if not rows or not all(isinstance(r, list | dict) for r in rows) or len({type(r) for r in rows}) > 1:
        raise DataFormatError(
            f"{source} holds no list of rows", hint="give the exchange's answer with its klines in it"
        )
    lengths = {len(row) for row in rows}
    if isinstance(rows[0], list) and (len(lengths) > 1 or lengths == {0}):
        raise DataFormatError(f"{source} is no regular table: its rows have {min(lengths)} to {max(lengths)} cells")
    frame = pd.DataFrame(rows)
    for column in [c for c in frame if frame[c].dtype.kind == "O"]:
        # A cell holds a figure or a word; a list or an object in one is shown as its text.
        frame[column] = [str(cell)[:80] if isinstance(cell, list | dict) else cell for cell in frame[column]]
    if isinstance(symbol, str) and "symbol" not in frame:
        frame["symbol"] = symbol
    return frame
