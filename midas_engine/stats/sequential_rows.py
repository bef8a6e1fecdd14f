"""Rows of per-feature arrays: keep some, add fresh ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_T = TypeVar("_T", bound=np.generic)


def select_rows(array: NDArray[_T], rows: Sequence[int], fill: float = 0.0) -> NDArray[_T]:
    """`array` with the first axis cut to `rows`, in that order; -1 stands for a new row full of `fill`.

    Example:
        >>> select_rows(np.array([10.0, 20.0]), [1, -1]).tolist()
        [20.0, 0.0]
    """
    out = np.full((len(rows), *array.shape[1:]), fill, array.dtype)
    for place, row in enumerate(rows):
        if row >= 0:
            out[place] = array[row]
    return out
