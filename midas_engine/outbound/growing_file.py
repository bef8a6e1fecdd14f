"""`GrowingFile`: whole lines of a file that somebody else adds to, while it is rotated, truncated or replaced."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from midas_engine.regular import open_regular

if TYPE_CHECKING:
    from pathlib import Path

PIECE = 1_000_000
_MARK_BYTES = 4096
_LOOKS = 4
"""Looks at which a file that was moved away must have said nothing new: its writer may still have it open."""


class GrowingFile:
    """Reads on from where it was.

    The file is held open, so that one that was moved away is read to its end before the new one is begun. One that was
    truncated, or written anew in place, is known by its length and by the bytes before the place, and read again from
    its beginning.

    Args:
        path: The file; it may come later.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._handle = -1
        self._mark, self._next, self._silent = b"", (0, b""), 0
        self.offset = 0

    def read(self) -> tuple[bytes, bool]:
        """The next whole lines, the same again until `keep`; and whether a file begins with them. Blocking.

        Raises:
            OSError: It cannot be read, or is no regular file.
        """
        if self._handle < 0 and not self._open():
            return b"", False
        if self._is_another():
            self.offset, self._mark = 0, b""
        data = os.pread(self._handle, PIECE, self.offset)
        whole = data[: data.rfind(b"\n") + 1]
        if not whole and len(data) == PIECE:
            whole = data  # a line without an end: whoever reads refuses it piece by piece
        if whole or not self._moved_away():
            self._silent = 0 if whole else self._silent
            self._next = (self.offset + len(whole), (self._mark + whole)[-_MARK_BYTES:])
            return whole, self.offset == 0
        self._silent += 1
        if self._silent < _LOOKS:
            return b"", False
        if data:  # the last line of a file that is over needs no end
            self._next = (self.offset + len(data), data[-_MARK_BYTES:])
            return data + b"\n", self.offset == 0
        self.close()
        return self.read()

    def keep(self) -> None:
        """What `read` gave was taken: go on behind it."""
        self.offset, self._mark = self._next

    def close(self) -> None:
        """Let go of the file; the next `read` begins with what is there then."""
        if self._handle >= 0:
            os.close(self._handle)
        self._handle, self.offset, self._mark, self._silent = -1, 0, b"", 0

    def _open(self) -> bool:
        try:
            self._handle = open_regular(self._path, os.O_RDONLY)
        except FileNotFoundError:
            return False
        return True

    def _is_another(self) -> bool:
        """Whether what was read is no longer what stands there."""
        before = os.pread(self._handle, len(self._mark), self.offset - len(self._mark))
        return os.fstat(self._handle).st_size < self.offset or before != self._mark

    def _moved_away(self) -> bool:
        """Whether the path names another file by now; while it names none, the old one may still grow."""
        try:
            there = os.stat(self._path, follow_symlinks=False)
        except OSError:
            return False
        held = os.fstat(self._handle)
        return (there.st_dev, there.st_ino) != (held.st_dev, held.st_ino)
