"""Small positive-definite systems in one thread.

The linear algebra library spreads even a 50 x 50 system over every core and waits for them, which costs more
than the arithmetic and makes the last digit depend on the machine. These kernels do neither.
"""

from __future__ import annotations

import numpy as np

from midas_engine.stats._jit import Floats, fast_kernel


@fast_kernel
def factorise(a: Floats) -> bool:
    """Replace a by its lower Cholesky factor in place; False when it is not positive definite."""
    n = a.shape[0]
    for i in range(n):
        for j in range(i + 1):
            x = a[i, :j]
            y = a[j, :j]
            total = a[i, j]
            for k in range(j):
                total -= x[k] * y[k]
            if i == j:
                if not total > 0.0:
                    return False
                a[i, i] = np.sqrt(total)
            else:
                a[i, j] = total / a[j, j]
    return True


@fast_kernel
def forward(lower: Floats, b: Floats) -> None:
    """Replace the columns b [n, m] by lower^-1 b in place."""
    n, m = b.shape
    for i in range(n):
        row = b[i]
        for k in range(i):
            factor = lower[i, k]
            other = b[k]
            for j in range(m):
                row[j] -= factor * other[j]
        scale = 1.0 / lower[i, i]
        for j in range(m):
            row[j] *= scale


@fast_kernel
def solve(lower: Floats, b: Floats) -> None:
    """Replace the vector b by (lower lower^T)^-1 b in place."""
    n = b.size
    for i in range(n):
        total = b[i]
        for k in range(i):
            total -= lower[i, k] * b[k]
        b[i] = total / lower[i, i]
    for i in range(n - 1, -1, -1):
        total = b[i]
        for k in range(i + 1, n):
            total -= lower[k, i] * b[k]
        b[i] = total / lower[i, i]
