"""The book a feature implies: normal scores clipped at 3, scaled to unit gross."""

from __future__ import annotations

import numpy as np

from midas_engine.stats._jit import Floats, kernel

CLIP = 3.0


@kernel
def _positions(z: Floats, cross: bool, out: Floats) -> None:
    """Clip, then scale: every bar to gross 1 (cross), or every symbol to mean gross 1 / symbols held (series)."""
    rows, n = z.shape
    for i in range(rows):
        gross = 0.0
        count = 0
        for j in range(n):
            v = z[i, j]
            if v == v:
                gross += min(abs(v), 3.0)
                count += 1
        if not cross and count > 0:
            gross /= count
        for j in range(n):
            v = z[i, j]
            if v == v and gross > 0.0:
                p = min(max(v, -3.0), 3.0) / gross
                if cross:
                    out[i, j] = p
                else:
                    out[j, i] = p
            elif cross:
                out[i, j] = 0.0
            else:
                out[j, i] = 0.0
    if cross:
        return
    for j in range(n):
        held = 0
        for i in range(rows):
            if z[i, j] == z[i, j]:
                held += 1
        for i in range(rows):
            if held > 1:
                out[j, i] /= held


def positions(z: Floats, cross: bool) -> Floats:
    """Signed holdings at each bar's close. Shapes: rows [R, N] -> [T, S]; 0 where the feature is unknown."""
    out = np.empty(z.shape if cross else (z.shape[1], z.shape[0]))
    _positions(z, cross, out)
    return out
