"""Lines that show when they are damaged: each carries its length and checksum, is appended with one write and synced.

A line that a dying writer left unfinished is told apart from damage. No lock is needed: several processes may append.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import stat
from typing import TYPE_CHECKING, Any

from midas_engine.kb.atomic import FILE_MODE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_SOUND = re.compile(rb"K1 ([0-9]{1,6}) ([0-9a-f]{24}) (.*)", re.DOTALL)
_BEGUN = re.compile(rb"(K(1( ([0-9]{1,6}( [0-9a-f]{0,24})?)?)?)?)?")


def sealed(line: Mapping[str, Any]) -> bytes:
    """A line as it is written."""
    body = json.dumps(line, separators=(",", ":")).encode()  # ASCII, no line breaks
    # the break before it keeps it whole when it lands behind a line that a dying writer left unfinished
    return b"\nK1 %d %s %s\n" % (len(body), _checksum(body), body)


def _checksum(body: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=12).hexdigest().encode()


def opened(data: bytes) -> Iterator[tuple[int, dict[str, Any] | str | None]]:
    """Every line with its number: what it says, or what is wrong with it, or None when it was never finished."""
    for number, chunk in enumerate(data.split(b"\n"), 1):
        if chunk:
            yield number, _open(chunk)


def _open(chunk: bytes) -> dict[str, Any] | str | None:
    match = _SOUND.fullmatch(chunk)
    if match is None or len(match[3]) < int(match[1]):
        begun = chunk.rstrip(b"\0")  # a power cut may leave the length of a line without its bytes
        if _BEGUN.fullmatch(begun) or _SOUND.fullmatch(begun):
            return None
        return "it is no line of a sealed file"
    if len(match[3]) != int(match[1]) or _checksum(match[3]) != match[2]:
        return "its checksum does not fit"
    try:
        line = json.loads(match[3])
    except ValueError as error:
        return f"it cannot be read: {error}"
    return line if isinstance(line, dict) else "it is no line of a sealed file"


def append_synced(path: Path, data: bytes) -> bool:
    """Write `data` at the end of the file and sync it; False when the file was replaced meanwhile.

    Raises:
        FileNotFoundError: There is no file.
        OSError: The disk refused, or something else than a file is there.
    """
    flags = os.O_WRONLY | os.O_APPEND
    for extra in ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC"):
        flags |= getattr(os, extra, 0)
    handle = os.open(path, flags, FILE_MODE)
    try:
        info = os.fstat(handle)
        if not stat.S_ISREG(info.st_mode):
            raise OSError(errno.ENXIO, "it is not a regular file")
        if os.write(handle, data) != len(data):
            raise OSError(errno.ENOSPC, "the disk took only a part of it")
        os.fsync(handle)
    finally:
        os.close(handle)
    return os.lstat(path).st_ino == info.st_ino
