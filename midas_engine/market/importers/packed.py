"""Single files that are packed: gzip, Zstandard, bzip2, xz; what comes out is bounded."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zlib
from typing import IO, TYPE_CHECKING, Any

from midas_engine.errors import DataFormatError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from midas_engine.market.importers.budget import Budget

_STARTS: Mapping[bytes, str] = {
    b"\x1f\x8b": "gzip",
    b"\x28\xb5\x2f\xfd": "Zstandard",
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
}
_TAR = slice(257, 262)


def packing_of(data: bytes) -> str:
    """How a file is packed, by its first bytes; empty where it is not.

    Example:
        >>> packing_of(gzip.compress(b"a,b")), packing_of(b"a,b")
        ('gzip', '')
    """
    return next((name for start, name in _STARTS.items() if data.startswith(start)), "")


def unpacked(name: str, data: bytes, packing: str, budget: Budget, most_bytes: int) -> bytes:
    """What is in it.

    Raises:
        DataFormatError: It is damaged, too large, or an archive of several files.
    """
    most = min(most_bytes, max(0, budget.room(len(data))))
    try:
        with _opened(data, packing) as stream:
            content = bytes(stream.read(most + 1))
    except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError) as error:
        raise DataFormatError(f"{name} is a damaged {packing}: {error}", hint="download it again") from error
    if len(content) > most_bytes:
        raise DataFormatError(f"{name} inflates to more than {most_bytes:,} bytes", hint="split the file")
    budget.take(name, len(data), len(content))
    if content[_TAR] == b"ustar":
        raise DataFormatError(f"{name} is an archive of several files (tar)", hint="unpack it, and import the folder")
    return content


def _opened(data: bytes, packing: str) -> IO[bytes] | Any:
    if packing == "gzip":
        return gzip.GzipFile(fileobj=io.BytesIO(data))
    if packing == "bzip2":
        return bz2.BZ2File(io.BytesIO(data))
    if packing == "xz":
        return lzma.LZMAFile(io.BytesIO(data))
    import pyarrow as pa

    return pa.CompressedInputStream(pa.BufferReader(data), "zstd")
