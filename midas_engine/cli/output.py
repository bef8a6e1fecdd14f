"""What leaves the program as text: one sanitiser, one JSON form, one redaction, small tables.

Names, errors, documents and model output are untrusted. Every character that can move a cursor,
change a title, reverse a line or hide is replaced before it reaches a terminal; what is stored
stays as it was.
"""

from __future__ import annotations

import errno
import json
import os
import re
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from midas_engine.jsonable import plain
from midas_engine.redaction import REDACTOR
from midas_engine.text import UNSAFE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_CONTROL = re.compile(f"[{UNSAFE}]")
_BREAKS = re.compile(r"[\r\n\t\x0b\x0c\x85\u2028\u2029]+")


def clean(text: object) -> str:
    """`text` on one line: line breaks become spaces, control characters become visible marks.

    Example:
        >>> clean("bell" + chr(7) + " next" + chr(10) + "line")
        'bell� next line'
    """
    return _CONTROL.sub(REPLACEMENT, _BREAKS.sub(" ", str(text)))


def clean_block(text: object) -> str:
    """`text` with its lines and tabs kept and everything else as `clean`. Safe chunk by chunk."""
    return _CONTROL.sub(REPLACEMENT, str(text).replace("\r\n", "\n"))


def redact(text: str, extra: Iterable[str] = ()) -> str:
    """`text` without secrets: what the process knows as one, `extra`, and what looks like a key."""
    for secret in extra:
        REDACTOR.register(secret)
    return REDACTOR.clean(text)


class RedactedStream:
    """Standard output or error of a command: every text that is written loses its secrets on the way.

    Where it is a terminal that is closed, what nobody can read is dropped: whatever runs has still to end well.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._terminal = stream.isatty()

    def write(self, text: str) -> int:
        """Write `text` without secrets; the count is of what was given."""
        with self._gone():
            self._stream.write(REDACTOR.clean(text) if isinstance(text, str) else text)
        return len(text)

    def flush(self) -> None:
        """Have what was written shown."""
        with self._gone():
            self._stream.flush()

    @contextmanager
    def _gone(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if not self._terminal or error.errno != errno.EIO:
                raise
            point_away(self._stream)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write each of `lines`."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def point_away(stream: Any) -> None:
    """Have nobody hear what is written to a stream from now on, and what is still in it."""
    nobody = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nobody, stream.fileno())
    os.close(nobody)


def to_json(document: Any) -> str:
    """One JSON document. ASCII only, so that no character of it can act on a terminal."""
    return json.dumps(plain(document), indent=2, allow_nan=False, ensure_ascii=True)


def moment(at: datetime | None) -> str:
    """`at` to the minute, UTC; a dash where it is unknown."""
    return "-" if at is None else f"{at:%Y-%m-%d %H:%M}"


def table(rows: Sequence[Sequence[object]], head: Sequence[str] = (), *, indent: str = "  ", right: str = "") -> str:
    """Aligned columns. Cells are cleaned; the last column is not padded.

    Args:
        rows: Cells; every row has the same length.
        head: Column titles.
        indent: What stands before every line.
        right: Letters by column, "r" aligns to the right; missing letters align to the left.
    """
    cells = [[clean(c) for c in row] for row in rows]
    if head:
        cells.insert(0, list(head))
    if not cells:
        return ""
    widths = [max(len(row[i]) for row in cells) for i in range(len(cells[0]))]
    lines = []
    for row in cells:
        parts = [
            text.rjust(width) if right[i : i + 1] == "r" else text.ljust(width)
            for i, (text, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append((indent + "  ".join(parts)).rstrip())
    return "\n".join(lines)


def ask(question: str) -> str:
    """One line from the person at the keyboard; the question goes to standard error.

    Raises:
        EOFError: There is nobody: the input ended before a line came.
    """
    click.echo(f"{question}: ", nl=False, err=True)
    line = sys.stdin.readline()
    if not line:
        click.echo(err=True)
        raise EOFError
    return line.rstrip("\n")


def verdict(passed: bool) -> str:
    """PASS or FAIL, coloured on a terminal that wants colour."""
    return paint("PASS", "green") if passed else paint("FAIL", "red")


def paint(text: str, colour: str) -> str:
    """`text` in colour; click takes the colour off when the output is no terminal."""
    return text if os.environ.get("NO_COLOR") else click.style(text, fg=colour)
