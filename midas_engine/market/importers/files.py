"""Files to tables: CSV, JSON, Parquet and Feather, plain, packed or in a zip; sizes are bounded."""

from __future__ import annotations

import io
import stat
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from midas_engine.errors import DataFormatError
from midas_engine.market.importers.archive import refuse_no_bars, verify
from midas_engine.market.importers.columnar import read_columnar
from midas_engine.market.importers.packed import packing_of, unpacked
from midas_engine.market.importers.texts import read_text
from midas_engine.market.importers.unread import READ, files_below, hidden, unread
from midas_engine.market.panel_file import is_panel_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pandas as pd

    from midas_engine.market.importers.budget import Budget

# A year of one-minute klines of one symbol is 70 MB of text.
MAX_BYTES = 1_000_000_000
MAX_MEMBERS = 10_000
_READS = "Midas reads CSV, JSON, Parquet and Feather, also in .zip, .gz, .zst, .bz2 and .xz"


@dataclass(frozen=True, slots=True)
class Table:
    """Cells of one file, before anybody asked what they mean. Columns are names, or 0, 1, 2... where it had none."""

    source: str
    path: str
    frame: pd.DataFrame
    headless: bool
    written_ns: int | None


@dataclass(frozen=True, slots=True)
class NoTable:
    """A file, or a member of an archive, that cannot be read."""

    source: str
    error: DataFormatError


def find_files(path: Path) -> list[Path]:
    """The file itself, or every data file below a folder, by name.

    A panel that Midas wrote is read only where no other file is: it is made of what lies beside it. A market store
    inside the folder is not read.

    Raises:
        DataFormatError: Nothing is there, it is no regular file, or the folder holds no data.
    """
    if path.is_dir():
        found = [p for p in files_below(path) if p.suffix.lower() in READ]
        if not found:
            others = "; ".join(why for _, why, _ in unread(path)[:3])
            raise DataFormatError(f"no data file in {path}" + (f": {others}" if others else ""), hint=_READS)
        own = [p for p in found if p.suffix.lower() == ".parquet" and is_panel_file(p)]
        return [p for p in found if p not in own] or own[:1]
    try:
        kind = path.stat().st_mode
    except OSError as error:
        raise DataFormatError(f"{path} cannot be read: {error.strerror}", hint="check the path") from error
    if not stat.S_ISREG(kind):
        raise DataFormatError(f"{path} is not a regular file", hint="give a file or a folder")
    return [path]


def read_tables(path: Path, budget: Budget) -> Iterator[Table | NoTable]:
    """Every table of one file; members of an archive that are none are named.

    Raises:
        DataFormatError: It is none of the formats, too large, damaged, or has no rows.
    """
    info = path.stat()
    if info.st_size > MAX_BYTES:
        raise DataFormatError(f"{path.name} has {info.st_size:,} bytes, more than {MAX_BYTES:,}", hint="split the file")
    if not info.st_size:
        raise DataFormatError(f"{path.name} is empty")
    refuse_no_bars(path)
    written = info.st_mtime_ns
    if path.suffix.lower() in (".parquet", ".pq", ".feather", ".arrow"):
        yield Table(path.name, path.as_posix(), read_columnar(path, budget), False, written)
        return
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataFormatError(f"{path.name} cannot be read: {error.strerror}") from error
    verify(path, data)
    if data[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        yield from _archive(path, data, budget)
    elif packing := packing_of(data):
        content = unpacked(path.name, data, packing, budget, MAX_BYTES)
        yield Table(path.name, path.as_posix().removesuffix(path.suffix), *read_text(path.name, content), written)
    else:
        budget.take(path.name, len(data), len(data))
        yield Table(path.name, path.as_posix(), *read_text(path.name, data), written)


def _archive(path: Path, data: bytes, budget: Budget) -> Iterator[Table | NoTable]:
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise DataFormatError(f"{path.name} is a damaged zip: {error}", hint="download it again") from error
    with archive:
        members = [
            m
            for m in archive.infolist()
            if not m.is_dir() and not m.filename.endswith(".CHECKSUM") and not hidden(PurePosixPath(m.filename))
        ]
        if any(m.filename == "[Content_Types].xml" for m in members):
            raise DataFormatError(f"{path.name} is a spreadsheet", hint="save the sheet as CSV")
        if not members:
            raise DataFormatError(f"{path.name} holds no file")
        if len(members) > MAX_MEMBERS:
            raise DataFormatError(f"{path.name} holds {len(members):,} files, more than {MAX_MEMBERS:,}")
        for member in members:
            if member.file_size > MAX_BYTES:
                name = f"{path.name}/{member.filename}"
                raise DataFormatError(f"{name} would have {member.file_size:,} bytes, more than {MAX_BYTES:,}")
        budget.take(path.name, len(data), sum(m.file_size for m in members))
        for member in members:
            name = f"{path.name}/{member.filename}"
            try:
                # The member's own size bounds what comes out, whatever the stream would inflate to.
                with archive.open(member) as stream:
                    content = stream.read(MAX_BYTES + 1)
            except (zipfile.BadZipFile, zlib.error, OSError, RuntimeError, NotImplementedError, EOFError) as error:
                raise DataFormatError(f"{name} cannot be unpacked: {error}", hint="download it again") from error
            # The folders around an archive speak for what is in it.
            inside = (path.parent / member.filename).as_posix()
            try:
                yield Table(name, inside, *read_text(name, content), None)
            except DataFormatError as error:
                yield NoTable(name, error)
