"""Columns of a panel that lie in files: opened when they are asked for, their pages given back when they are not."""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import numpy as np
    from numpy.typing import NDArray

    Matrix = NDArray[np.float64]


class LazyColumns(Mapping[str, "Matrix"]):
    """Columns that are opened when they are asked for, and kept.

    Args:
        names: Which there are.
        opened: Opens one.
    """

    def __init__(self, names: Iterable[str], opened: Callable[[str], Matrix]) -> None:
        self._found: dict[str, Matrix | None] = dict.fromkeys(names)
        self._open = opened

    def __getitem__(self, name: str) -> Matrix:
        values = self._found[name]
        if values is None:
            values = self._found[name] = self._open(name)
        return values

    def let_go(self) -> None:
        """Give back the pages of the columns that are mapped; they come from the file again when they are read."""
        for values in self._found.values():
            base: object = values
            while base is not None and not isinstance(base, mmap.mmap):
                base = base.obj if isinstance(base, memoryview) else getattr(base, "base", None)
            if isinstance(base, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
                base.madvise(mmap.MADV_DONTNEED)

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)

    def __contains__(self, name: object) -> bool:
        return name in self._found
