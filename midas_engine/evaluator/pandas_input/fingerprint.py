"""Cheap content fingerprints of pandas objects, so that a cached context never outlives a change in place."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from numpy.typing import NDArray


@lru_cache(maxsize=8)
def _weights(size: int) -> NDArray[np.uint64]:
    rng = np.random.default_rng(20_240_229)
    return rng.integers(0, 2**63, size, dtype=np.uint64) * np.uint64(2) + np.uint64(1)


def array_mark(values: NDArray[Any]) -> int:
    """A number that changes when any element does: a sum of bit patterns with random odd weights, modulo 2^64."""
    bits = np.ascontiguousarray(values, dtype=np.float64).reshape(-1).view(np.uint64)
    mixed = bits ^ (bits >> np.uint64(29))  # else an even number of flipped signs would cancel out
    return int((mixed * _weights(bits.size)).sum())


def frame_mark(frame: pd.DataFrame | pd.Series[Any]) -> tuple[object, ...]:
    """Identity of index and columns, and the mark of the values."""
    columns = id(frame.columns) if isinstance(frame, pd.DataFrame) else frame.name
    return id(frame), id(frame.index), columns, array_mark(frame.to_numpy(dtype=np.float64, na_value=np.nan).T)


def labels_mark(labels: pd.Series[Any] | None) -> tuple[object, ...]:
    """The same for a series of text labels. Arrow-backed text is immutable: a change swaps the array."""
    if labels is None:
        return ()
    array = labels.array
    inner = getattr(array, "_pa_array", None)
    if inner is not None:
        return id(labels), id(labels.index), id(inner)
    return id(labels), id(labels.index), hash(tuple(labels.tolist()))
