"""SQLite's pages read without SQLite: every record of a damaged file, wherever its page lies.

A page of records needs neither the file's header nor the tables' roots to be read. What a record is worth is for its
own checksum to say; see https://www.sqlite.org/fileformat2.html for the format.
"""

from __future__ import annotations

import contextlib
import os
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from midas_engine.regular import open_regular

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Value = int | float | str | bytes | None
LEAF, INDEX_LEAF, INDEX_INNER = 13, 10, 2  # kinds of page that hold records
_WAL_HEAD, _FRAME_HEAD = 32, 24
_WAL_MAGIC = 0x377F0682
_MAX_COLUMNS = 16
_MAX_RECORD = 256_000_000


@dataclass(frozen=True, slots=True)
class Record:
    """One record as it lies in its page; `rowid` is 0 in an index page (a table without row ids)."""

    rowid: int
    values: tuple[Value, ...]


class Image:
    """The pages of a database file, with what its write-ahead log says about them.

    Args:
        path: The database file; `<path>-wal` is its log.
        page_size: Bytes of a page.

    Attributes:
        count: Pages there are.
        log_fault: What is wrong with the log, which SQLite would cut there without a word; empty when nothing is. A
            frame that is not whole is none: its writer died.
    """

    def __init__(self, path: Path, page_size: int) -> None:
        self.size = page_size
        self._main = open_regular(path, os.O_RDONLY)
        self._log = -1
        self._frames: dict[int, int] = {}
        self._beyond: list[tuple[int, int]] = []
        self._overlay: dict[int, int] = {}
        self.log_fault = ""
        with contextlib.suppress(OSError):
            self._log = open_regular(path.with_name(path.name + "-wal"), os.O_RDONLY)
            self._read_log()
        # A page cut off at the end of the file is read as far as it goes.
        self.count = max([-(-os.fstat(self._main).st_size // page_size), *self._frames])

    def close(self) -> None:
        """Close the files."""
        for handle in (self._main, self._log):
            if handle >= 0:
                os.close(handle)
        self._main = self._log = -1

    def page(self, number: int) -> bytes:
        """A page's newest committed content, filled up with zeros; empty when there is none."""
        offset = self._overlay.get(number, self._frames.get(number))
        if offset is not None:
            return os.pread(self._log, self.size, offset)
        data = os.pread(self._main, self.size, (number - 1) * self.size) if number > 0 else b""
        return data.ljust(self.size, b"\0") if data else b""

    def records(self, number: int) -> list[Record]:
        """The records of a page that can be read; none when it holds no records."""
        return list(self._records(self.page(number), 100 if number == 1 else 0))

    def records_beyond(self) -> Iterator[list[Record]]:
        """Records, page by page, that the log holds behind its first damaged frame: append-only rows may be among."""
        for number, offset in self._beyond:
            self._overlay = dict(self._beyond)
            try:
                yield list(self._records(os.pread(self._log, self.size, offset), 100 if number == 1 else 0))
            finally:
                self._overlay = {}

    def free_pages(self) -> set[int]:
        """Pages on the list of free ones; empty when that list cannot be right."""
        trunk, count = struct.unpack(">II", self.page(1)[32:40]) if self.count else (0, 0)
        found: set[int] = set()
        while trunk:
            data = self.page(trunk)
            if trunk in found or len(data) < 8:
                return set()
            found.add(trunk)
            trunk, leaves = struct.unpack(">II", data[:8])
            if leaves > (self.size - 8) // 4:
                return set()
            found.update(struct.unpack(f">{leaves}I", data[8 : 8 + 4 * leaves]))
        return found if len(found) == count and all(0 < n <= self.count for n in found) else set()

    def _records(self, data: bytes, start: int) -> Iterator[Record]:
        if len(data) != self.size or data[start] not in (LEAF, INDEX_LEAF, INDEX_INNER):
            return
        kind = data[start]
        cells = int.from_bytes(data[start + 3 : start + 5], "big")
        first = start + (12 if kind == INDEX_INNER else 8)
        for at in range(first, min(first + 2 * cells, self.size - 1), 2):
            pointer = int.from_bytes(data[at : at + 2], "big")
            with contextlib.suppress(IndexError, ValueError, struct.error, OverflowError):
                yield self._cell(data, pointer, kind)

    def _cell(self, data: bytes, at: int, kind: int) -> Record:
        if kind == INDEX_INNER:
            at += 4
        size, at = _varint(data, at)
        rowid = 0
        if kind == LEAF:
            rowid, at = _varint(data, at)
        if size > _MAX_RECORD:
            raise ValueError("a record claims too many bytes")
        most = self.size - 35 if kind == LEAF else (self.size - 12) * 64 // 255 - 23
        local = size
        if size > most:
            least = (self.size - 12) * 32 // 255 - 23
            local = least + (size - least) % (self.size - 4)
            local = local if local <= most else least
        payload = data[at : at + local]
        if size > local:
            payload += self._overflow(int.from_bytes(data[at + local : at + local + 4], "big"), size - local)
        if len(payload) != size:
            raise ValueError("a record is cut short")
        return Record(rowid - (1 << 64) if rowid >> 63 else rowid, _values(payload))

    def _overflow(self, number: int, size: int) -> bytes:
        pieces: list[bytes] = []
        while size > 0:
            data = self.page(number)
            if not data:
                raise ValueError("a record's further page is gone")
            piece = data[4 : 4 + size]
            pieces.append(piece)
            size -= len(piece)
            number = int.from_bytes(data[:4], "big")
        return b"".join(pieces)

    def _read_log(self) -> None:
        """Where the newest committed content of each page lies in the log, and what lies behind its first fault."""
        head = os.pread(self._log, _WAL_HEAD, 0)
        first = os.pread(self._log, _FRAME_HEAD + self.size, _WAL_HEAD)
        if len(head) < _WAL_HEAD or len(first) < _FRAME_HEAD + self.size:
            return  # nothing was committed to it
        magic = int.from_bytes(head[:4], "big")
        good = _sums(head[:24], ">" if magic & 1 else "<", (0, 0))
        sound = magic & ~1 == _WAL_MAGIC and good == struct.unpack(">II", head[24:32])
        salts = head[16:24] if sound else first[8:16]
        order = ">" if magic & 1 else "<"
        self.log_fault = "" if sound else "its log's header is damaged"
        waiting: dict[int, int] = {}
        offset, index = _WAL_HEAD, 0
        while len(frame := os.pread(self._log, _FRAME_HEAD + self.size, offset)) == _FRAME_HEAD + self.size:
            index += 1
            number, committed = struct.unpack(">II", frame[:8])
            ours = frame[8:16] == salts
            if ours and sound:
                good = _sums(frame[24:], order, _sums(frame[:8], order, good))
                sound = good == struct.unpack(">II", frame[16:24])
                if sound:
                    waiting[number] = offset + _FRAME_HEAD
                    if committed:
                        self._frames |= waiting
                        waiting = {}
            elif not ours:
                sound = False
            # What a log held before it was begun anew lies behind, under salts of which both differ.
            if not sound and (frame[8:12] == salts[:4] or frame[12:16] == salts[4:]):
                self.log_fault = self.log_fault or f"its log is damaged at frame {index}"
                self._beyond.append((number, offset + _FRAME_HEAD))
            offset += _FRAME_HEAD + self.size


def _sums(data: bytes, order: str, start: tuple[int, int]) -> tuple[int, int]:
    one, two = start
    words = struct.unpack(f"{order}{len(data) // 4}I", data)
    for first, second in zip(words[::2], words[1::2], strict=True):
        one = (one + first + two) & 0xFFFFFFFF
        two = (two + second + one) & 0xFFFFFFFF
    return one, two


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for step in range(8):
        byte = data[at + step]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, at + step + 1
    return value << 8 | data[at + 8], at + 9


def _values(payload: bytes) -> tuple[Value, ...]:
    head, at = _varint(payload, 0)
    if head > len(payload):
        raise ValueError("a record's head is longer than the record")
    kinds: list[int] = []
    while at < head:
        kind, at = _varint(payload, at)
        kinds.append(kind)
        if len(kinds) > _MAX_COLUMNS:
            raise ValueError("a record has too many columns")
    found: list[Value] = []
    at = head
    for kind in kinds:
        size = (0, 1, 2, 3, 4, 6, 8, 8, 0, 0)[kind] if kind < 10 else (kind - 12) // 2
        piece = payload[at : at + size]
        if len(piece) != size or kind in (10, 11):
            raise ValueError("a record's column is cut short")
        at += size
        if kind == 0:
            found.append(None)
        elif kind <= 6:
            found.append(int.from_bytes(piece, "big", signed=True))
        elif kind == 7:
            found.append(float(struct.unpack(">d", piece)[0]))
        elif kind <= 9:
            found.append(kind - 8)
        else:
            found.append(piece.decode("utf-8", "surrogateescape") if kind % 2 else piece)
    return tuple(found)
