"""Memory that two processes share and nobody else can open: it has no name, and ends with the last of them."""

from __future__ import annotations

import mmap
import os
import tempfile
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


class Block:
    """An array of floats that a child process sees too, over a file descriptor that it is handed.

    Args:
        shape: The array's shape.
        descriptor: Of a block that another process made; None makes one.
    """

    def __init__(self, shape: tuple[int, ...], descriptor: int | None = None) -> None:
        size = max(8, 8 * int(np.prod(shape)))
        made = descriptor is None
        self.descriptor = _nameless() if descriptor is None else descriptor
        if made:
            os.ftruncate(self.descriptor, size)
        self._memory = mmap.mmap(self.descriptor, size)
        self.array: Floats = np.frombuffer(self._memory, np.float64, int(np.prod(shape))).reshape(shape)

    def close(self) -> None:
        """Let go of the descriptor; the array lives for as long as somebody holds it."""
        os.close(self.descriptor)


def _nameless() -> int:
    """A descriptor of memory without a name; where the system has none, of a file that is deleted already."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("midas-shard")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def nameless_file(folder: str | None = None) -> int:
    """A descriptor of a file on disk that is deleted already: it takes no room once nobody holds it."""
    with tempfile.TemporaryFile(dir=folder) as file:
        return os.dup(file.fileno())
