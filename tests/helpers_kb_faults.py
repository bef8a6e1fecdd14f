"""Faults at the system-call boundary: stop the process, or make a call fail, at the n-th call that touches the disk."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Iterator
from typing import Any

CALLS = ("open", "write", "fsync", "rename", "link", "unlink", "mkdir", "close")

Fault = Callable[[str, tuple[Any, ...], Callable[..., Any]], Any]


class Counter:
    """How many calls were seen, and which one the fault hit."""

    def __init__(self) -> None:
        self.seen = 0
        self.hit = ""


@contextlib.contextmanager
def at_call(number: int, fault: Fault, calls: tuple[str, ...] = CALLS) -> Iterator[Counter]:
    """Let the `number`-th call of `calls` (from 1) meet `fault`; number 0 only counts."""
    counter = Counter()
    originals = {name: getattr(os, name) for name in calls}

    def wrap(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            counter.seen += 1
            if counter.seen == number:
                counter.hit = name
                return fault(name, args, lambda *a: original(*(a or args), **kwargs))
            return original(*args, **kwargs)

        return call

    for name, original in originals.items():
        setattr(os, name, wrap(name, original))
    try:
        yield counter
    finally:
        for name, original in originals.items():
            setattr(os, name, original)


def die(name: str, args: tuple[Any, ...], original: Callable[..., Any]) -> Any:
    """The process ends before the call; a write gets half of its bytes out first."""
    if name == "write" and len(args[1]) > 1:
        original(args[0], bytes(args[1])[: len(args[1]) // 2])
    os._exit(99)


def fail(code: int) -> Fault:
    """The call fails with an error number; a close still closes, as the kernel does."""

    def fault(name: str, args: tuple[Any, ...], original: Callable[..., Any]) -> Any:
        if name == "close":
            original()
        raise OSError(code, os.strerror(code))

    return fault


def short(name: str, args: tuple[Any, ...], original: Callable[..., Any]) -> Any:
    """A write takes at most 7 bytes; other calls go through."""
    return original(args[0], bytes(args[1])[:7]) if name == "write" else original()


ERRORS = {"ENOSPC": errno.ENOSPC, "EIO": errno.EIO, "EXDEV": errno.EXDEV, "EACCES": errno.EACCES, "EROFS": errno.EROFS}
