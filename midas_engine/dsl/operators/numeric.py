"""Running numpy ufuncs so that no result is infinite."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from midas_engine.dsl.registry import Array


class _Flag:
    """Remembers that numpy raised a floating-point flag."""

    __slots__ = ("raised",)

    def __init__(self) -> None:
        self.raised = False

    def __call__(self, kind: str, flag: int) -> None:
        self.raised = True


def finite(function: Callable[..., Any], args: tuple[Any, ...], out: Array) -> None:
    """`function(*args, out=out)`, infinities replaced by NaN.

    The processor's own overflow and division flags tell whether there are any, so the usual case
    costs no second pass.
    """
    flag = _Flag()
    with np.errstate(over="call", divide="call", invalid="ignore", under="ignore", call=flag):
        function(*args, out=out)
    if flag.raised:
        out[np.isinf(out)] = np.nan
