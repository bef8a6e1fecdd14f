"""Compiling the kernels ahead of need."""

from __future__ import annotations

from typing import TYPE_CHECKING

from midas_engine.dsl.jit import KERNELS
from midas_engine.dsl.registry import OPERATORS

if TYPE_CHECKING:
    from collections.abc import Callable


def warm_kernels(progress: Callable[[int, int, str], None] | None = None) -> int:
    """Compile every kernel into the cache on disk, or load it from there.

    Args:
        progress: Called with (done, total, name) before each kernel and once at the end.

    Returns:
        How many kernels there are.
    """
    len(OPERATORS)  # loads the families
    total = len(KERNELS)
    for done, kernel in enumerate(KERNELS):
        if progress is not None:
            progress(done, total, kernel.name)
        kernel.compile()
    if progress is not None:
        progress(total, total, "")
    return total
