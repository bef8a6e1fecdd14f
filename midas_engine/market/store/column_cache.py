"""Decoded columns, mapped into memory: a cache beside the Parquet files that can be thrown away at any time."""

from __future__ import annotations

import contextlib
import hashlib
import mmap
import os
import struct
from typing import IO, TYPE_CHECKING

import numpy as np

from midas_engine.market.durable import write_durably

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from numpy.typing import NDArray

    Matrix = NDArray[np.float64]

CACHE = "cache"
_MAGIC = b"midascol"
_TAIL = struct.Struct("<8sQ16s")  # magic, bytes before it, their hash


def cache_name(column: str, mark: str) -> str:
    """The file of a column with that content: names of columns may be odd, names of files are not.

    Example:
        >>> cache_name("close", "f00d")
        '3654ada0606cdab8-f00d.f8'
    """
    return f"{hashlib.blake2b(column.encode(), digest_size=8).hexdigest()}-{mark}.f8"


def write_column(path: Path, blocks: Iterable[Matrix]) -> None:
    """Write rows of a column, block by block, with a seal at the end.

    Raises:
        OSError: The disk refused.
    """
    digest, size = hashlib.blake2b(digest_size=16), 0

    def write(stream: IO[bytes]) -> None:
        nonlocal size
        for block in blocks:
            data = np.ascontiguousarray(block).reshape(-1).view(np.uint8).data
            digest.update(data)
            size += len(data)
            stream.write(data)
        stream.write(_TAIL.pack(_MAGIC, size, digest.digest()))

    path.parent.mkdir(parents=True, exist_ok=True)
    write_durably(path, write)
    prefix = path.name.partition("-")[0]
    for name in os.listdir(path.parent):  # what this column was before; whoever has it mapped keeps it
        if name != path.name and name.startswith(prefix + "-") and name.endswith(".f8"):
            with contextlib.suppress(OSError):
                (path.parent / name).unlink()


def map_column(path: Path, shape: tuple[int, int]) -> Matrix | None:
    """The column in `path` mapped read-only; None when there is none, or it is not whole."""
    size = shape[0] * shape[1] * 8
    try:
        with open(path, "rb") as stream:
            if os.fstat(stream.fileno()).st_size != size + _TAIL.size or not size:
                return None
            stream.seek(size)
            magic, said, _ = _TAIL.unpack(stream.read(_TAIL.size))
            if magic != _MAGIC or said != size:
                return None
            mapped = mmap.mmap(stream.fileno(), size, access=mmap.ACCESS_READ)
    except (OSError, ValueError, struct.error):
        return None
    return np.frombuffer(mapped, dtype=np.float64).reshape(shape)


def column_sound(path: Path) -> bool:
    """Whether a cached column is, byte for byte, what was written."""
    try:
        with open(path, "rb") as stream:
            size = os.fstat(stream.fileno()).st_size - _TAIL.size
            digest = hashlib.blake2b(digest_size=16)
            left = size
            while left > 0 and (piece := stream.read(min(left, 1 << 20))):
                digest.update(piece)
                left -= len(piece)
            return stream.read() == _TAIL.pack(_MAGIC, max(size, 0), digest.digest())
    except (OSError, struct.error):
        return False
