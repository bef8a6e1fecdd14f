"""Running numpy ufuncs so that no result is infinite."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from midas_engine.dsl.registry import Array


class _Flag:
    """Remembers that numpy raised a floating-point flag."""

    __slots__ = ("raised",)

    def __init__(self) -> None:
        self.raised = False

    def __call__(self, kind: str, flag: int) -> None:
        self.raised = True


class _Watch(threading.local):
    flag: _Flag | None = None


_WATCH = _Watch()


class watching:
    """Watch the processor's flags for many calls of `finite`: setting numpy up costs more than a short ufunc."""

    __slots__ = ("_state",)

    def __enter__(self) -> None:
        self._state: np.errstate | None = None
        if _WATCH.flag is None:
            flag = _WATCH.flag = _Flag()
            self._state = np.errstate(over="call", divide="call", invalid="ignore", under="ignore", call=flag)
            self._state.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._state is not None:
            _WATCH.flag = None
            self._state.__exit__(kind, error, trace)


def finite(function: Callable[..., Any], args: tuple[Any, ...], out: Array) -> None:
    """`function(*args, out=out)`, infinities replaced by NaN.

    The processor's own overflow and division flags tell whether there are any, so the usual case
    costs no second pass.
    """
    flag = _WATCH.flag
    if flag is None:
        with watching():
            finite(function, args, out)
        return
    flag.raised = False
    function(*args, out=out)
    if flag.raised:
        out[np.isinf(out)] = np.nan
