"""Ctrl-C, SIGTERM or a closing terminal while something long runs: the first asks it to end well, a second ends it."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}


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
        came.append(CODES[number])
        if (len(came) > 1 or not cancel()) and task is not None:
            task.cancel()

    # Under `nohup` the closing terminal is ignored, and stays so.
    ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    heard = [number for number in CODES if number is not signal.SIGHUP or not ignored]
    for number in heard:
        loop.add_signal_handler(number, stop, number)
    try:
        yield came
    except asyncio.CancelledError:
        if not came:
            raise
        raise click.exceptions.Exit(came[0]) from None
    finally:
        for number in heard:
            loop.remove_signal_handler(number)
