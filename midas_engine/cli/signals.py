"""Ctrl-C, SIGTERM or a closing terminal while something long runs: the first asks it to end well, a second ends it."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}


class Stopped(KeyboardInterrupt):
    """A signal asked the program to end: it unwinds as after Ctrl-C, so that whatever closes at an end is closed.

    Attributes:
        code: The exit code.
    """

    def __init__(self, number: signal.Signals) -> None:
        super().__init__()
        self.code = CODES[number]


@contextmanager
def stoppable() -> Iterator[None]:
    """Inside the block SIGTERM and a closing terminal raise `Stopped`; by default they leave everything as it lies.

    The next SIGTERM ends at once. A terminal that closes is told by the kernel and by the shell, and is one.
    """
    heard = [number for number in CODES if number is not signal.SIGINT and _heard(number)]
    if threading.current_thread() is not threading.main_thread():
        heard = []

    def stop(number: int, frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_IGN if number == signal.SIGHUP else signal.SIG_DFL)
        raise Stopped(signal.Signals(number))

    before = {number: signal.signal(number, stop) for number in heard}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _heard(number: signal.Signals) -> bool:
    """Whether a signal means anything here: under `nohup` the closing terminal is ignored, and stays so.

    Not so Ctrl-C's: a shell that starts a job behind `&` ignores it there, and who sends it with `kill` means it.
    """
    return number is not signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN


@contextmanager
def cancelling(cancel: Callable[[], bool]) -> Iterator[list[int]]:
    """Inside the block a signal calls `cancel`; where that says False, or is asked twice, the task is cancelled.

    Args:
        cancel: Asks the work to end well; False when there is nothing to ask.

    Yields:
        The exit codes of the signals that came, oldest first; empty when none did.

    Raises:
        click.exceptions.Exit: The task was cancelled; with the signal's exit code.
    """
    import asyncio  # 40 ms that `midas --help` need not pay

    came: list[int] = []
    loop, task = asyncio.get_running_loop(), asyncio.current_task()

    def stop(number: signal.Signals) -> None:
        if number is signal.SIGHUP and CODES[number] in came:
            return  # a terminal that closes is told by the kernel and by the shell
        came.append(CODES[number])
        if (len(came) > 1 or not cancel()) and task is not None:
            task.cancel()

    heard = {number: signal.getsignal(number) for number in CODES if _heard(number)}
    for number in heard:
        loop.add_signal_handler(number, stop, number)
    try:
        yield came
    except asyncio.CancelledError:
        if not came:
            raise
        raise click.exceptions.Exit(came[0]) from None
    finally:
        for number, handler in heard.items():
            loop.remove_signal_handler(number)
            signal.signal(number, handler)
