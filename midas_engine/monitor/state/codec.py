"""State as bytes: named arrays in one npz, read back without pickle and only when it is whole."""

from __future__ import annotations

import io
import json
import zipfile
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from midas_engine.errors import MonitorError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

_META = "meta.json"


def pack(meta: Mapping[str, Any], arrays: Mapping[str, NDArray[np.generic]]) -> bytes:
    """One npz of `arrays` with `meta` (JSON) beside them."""
    return pack_text(json.dumps(dict(meta)), arrays)


def pack_text(header: str, arrays: Mapping[str, NDArray[np.generic]]) -> bytes:
    """`pack` with a header that is JSON already."""
    buffer = io.BytesIO()
    pack_into(buffer, header, arrays)
    return buffer.getvalue()


def pack_into(file: IO[bytes] | Pieces, header: str, arrays: Mapping[str, NDArray[np.generic]]) -> None:
    """`pack_text`, written as it comes."""
    text = np.frombuffer(header.encode(), np.uint8)
    np.savez(file, **{_META: text}, **dict(arrays))  # type: ignore[arg-type]


class Pieces:
    """A file that is written once, from its start, and handed on in pieces.

    Args:
        take: Given each piece.
        size: Bytes of a piece; the last one is what is left.
    """

    def __init__(self, take: Callable[[bytes], None], size: int) -> None:
        self._take, self._size, self._waiting = take, size, bytearray()

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """Add bytes."""
        view = memoryview(data).cast("B")
        self._waiting += view
        while len(self._waiting) >= self._size:
            self._take(bytes(self._waiting[: self._size]))
            del self._waiting[: self._size]
        return len(view)

    def flush(self) -> None:
        """Nothing: only the end is known to be one."""

    def end(self) -> None:
        """Hand on what is left."""
        if self._waiting:
            self._take(bytes(self._waiting))
            self._waiting.clear()

    def read(self, size: int = -1) -> bytes:
        """Not this file; numpy knows by the method that it is one."""
        raise io.UnsupportedOperation("it is only written")


def unpack(blob: bytes) -> tuple[dict[str, Any], dict[str, NDArray[np.generic]]]:
    """What `pack` wrote; MonitorError when the bytes are damaged or are something else."""
    try:
        with np.load(io.BytesIO(blob), allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        meta = json.loads(arrays.pop(_META).tobytes())
    except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise MonitorError(
            f"the monitor's saved state cannot be read: {error}", hint="without it, it starts fresh"
        ) from error
    if not isinstance(meta, dict):
        raise MonitorError("the monitor's saved state has no header")
    return meta, arrays


def prefixed(prefix: str, arrays: Mapping[str, NDArray[np.generic]]) -> dict[str, NDArray[np.generic]]:
    """`arrays` with names `prefix/name`."""
    return {f"{prefix}/{name}": array for name, array in arrays.items()}


def under(prefix: str, arrays: Mapping[str, NDArray[np.generic]]) -> dict[str, NDArray[np.generic]]:
    """The inverse of `prefixed`."""
    head = f"{prefix}/"
    return {name[len(head) :]: array for name, array in arrays.items() if name.startswith(head)}
