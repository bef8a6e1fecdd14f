"""Bytes of a text file to a frame: its encoding, its header and its separator are found out."""

from __future__ import annotations

import codecs
import csv
import io
import re
from typing import TYPE_CHECKING

import numpy as np

from midas_engine.errors import DataFormatError
from midas_engine.market.importers.answers import read_json
from midas_engine.market.instants import DOTTED_DATE

if TYPE_CHECKING:
    import pandas as pd

_READS = "Midas reads CSV, JSON, Parquet and Feather, also in .zip, .gz, .zst, .bz2 and .xz"
_PAGE = re.compile(r"\s*<(?:!doctype|html|head|body|\?xml|script|title)\b", re.IGNORECASE)
# Lines of words that may stand before a table: an address, a licence, a title.
_MOST_LINES_BEFORE = 10
_MARKS = ((codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_TIME = re.compile(r"\d{4}[-./]\d{1,2}[-./]\d{1,2}(?:[T ]\d{1,2}:\d{2}.*)?")


def read_text(source: str, data: bytes) -> tuple[pd.DataFrame, bool]:
    """A frame, and whether its columns have no names.

    Raises:
        DataFormatError: It is no text, a web page, empty, or no table.
    """
    text = _decoded(source, data)
    head = text.lstrip()[:1]
    if not head:
        raise DataFormatError(f"{source} is empty")
    if _PAGE.match(text[:200]):
        raise DataFormatError(
            f"{source} is a web page, not data", hint="the download failed and saved the error page; fetch it again"
        )
    if head in "[{":
        frame = read_json(source, text)
        return frame, 0 in frame.columns
    return _csv(source, text)


def _decoded(source: str, data: bytes) -> str:
    encoding = next((name for mark, name in _MARKS if data.startswith(mark)), None)
    if encoding is None and b"\0" in data[:65_536]:
        # UTF-16 without its mark: every second byte of such text is zero.
        sample = np.frombuffer(data[: 65_536 // 2 * 2][: len(data[:65_536]) // 2 * 2], np.uint8)
        odd, even = (sample[1::2] == 0).mean(), (sample[::2] == 0).mean()
        encoding = "utf-16-le" if odd > 0.9 and even < 0.1 else "utf-16-be" if even > 0.9 and odd < 0.1 else None
        if encoding is None:
            raise DataFormatError(f"{source} is no text: it holds NUL bytes", hint=_READS)
    try:
        return data.decode(encoding or "utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise DataFormatError(
            f"{source} is not {'UTF-16' if encoding else 'UTF-8'} text: line {line}, byte {error.start + 1}",
            hint="save it as UTF-8",
        ) from error


def _csv(source: str, text: str) -> tuple[pd.DataFrame, bool]:
    import pandas as pd

    before, separator = _begins(text)
    body = text.lstrip() if before == 0 else text.lstrip().split("\n", before)[before]
    first = body.split("\n", 1)[0]
    if not first.count(separator):
        raise DataFormatError(f"{source} is no table: its first line has no comma, semicolon, tab or bar", hint=_READS)
    headless = _is_row(first, separator)
    body, cut = _without_cut_line(body, first.count(separator), separator)
    try:
        frame = pd.read_csv(
            io.StringIO(body), sep=separator, header=None if headless else 0, skipinitialspace=True, low_memory=False
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
    if not headless:
        # `<OPEN>`, as trading terminals write a header.
        frame.columns = pd.Index([re.sub(r"^<(.*)>$", r"\1", str(c)) for c in frame.columns])
    frame.attrs["cut"] = cut
    return frame, headless


def _without_cut_line(body: str, separators: int, separator: str) -> tuple[str, str]:
    """The table without a last line that ends inside a row, and that line: its last figure may have lost digits."""
    head, newline, last = body.rpartition("\n")
    if not newline or not last.strip() or last.count(separator) >= separators or head.count("\n") < 1:
        return body, ""
    return head + newline, last[:60]


def _begins(text: str) -> tuple[int, str]:
    """How many lines stand before the table, and what separates its cells."""
    lines = text.lstrip().split("\n", _MOST_LINES_BEFORE + 2)[: _MOST_LINES_BEFORE + 2]
    counts = [(i, *_separator(line)) for i, line in enumerate(lines) if line.strip()]
    if not counts:
        return 0, ","
    # The table's lines have one number of cells; what stands before them has none, or far fewer.
    for (at, separator, cells), (_, other, below) in zip(counts, counts[1:], strict=False):
        if cells and (separator, cells) == (other, below):
            return (at, separator) if all(2 * n < cells for i, _, n in counts if i < at) else (0, counts[0][1])
    return 0, counts[0][1]


def _separator(line: str) -> tuple[str, int]:
    separator = max(",;\t|", key=line.count)
    return separator, line.count(separator)


def _is_row(line: str, separator: str) -> bool:
    """Whether a first line is no header: it begins with a number, or with a time and goes on with numbers."""
    cells = next(csv.reader([line], delimiter=separator), [])
    if not cells:
        return False
    if _is_number(cells[0]):
        return True
    rest = [c for c in cells[1:] if c.strip()]
    figures = sum(_is_number(c) for c in rest)
    return (
        bool(_TIME.fullmatch(cells[0].strip()) or DOTTED_DATE.match(cells[0].strip())) and 2 * figures >= len(rest) > 0
    )


def _is_number(cell: str) -> bool:
    try:
        float(cell.strip().strip('"'))
    except ValueError:
        return False
    return True
