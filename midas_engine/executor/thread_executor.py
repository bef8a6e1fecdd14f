"""`ThreadExecutor`: tasks in threads of this process; each thread makes a workshop of its own."""

from __future__ import annotations

import contextlib
import math
import threading
from concurrent.futures import Future, InvalidStateError, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from midas_engine.executor.task import (
    NOTHING,
    OPENING_SECONDS,
    Task,
    TaskExecutor,
    Workshop,
    never_open,
    took_too_long,
    unfit,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from midas_engine.errors import WorkersGoneError


class ThreadExecutor(TaskExecutor):
    """Tasks in threads. A thread cannot be ended: one that takes too long is left behind with what it does.

    Args:
        workers: Threads.
        workshop: What each makes before its first task.
        opening_seconds: What that may take; whose takes longer does nothing any more, and no other may stand in.

    Example:
        >>> with ThreadExecutor(2) as executor:
        ...     list(executor.map(abs, (-1, -2, -3)))
        [1, 2, 3]
    """

    def __init__(
        self, workers: int = 1, workshop: Workshop | None = None, *, opening_seconds: float = OPENING_SECONDS
    ) -> None:
        self.workers = workers
        self._opening_seconds = opening_seconds
        self._lock = threading.Lock()
        self._left: set[Future[Any]] = set()
        self._lost: WorkersGoneError | None = None
        self._workshop = workshop
        self._own = threading.local()
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="midas-worker")

    def start(self, task: Task) -> Future[Any]:
        """See `TaskExecutor.start`."""
        future: Future[Any] = Future()
        with self._lock:
            if self._lost is not None:
                raise self._lost
            self._pool.submit(self._do, task, future)
            self._left.add(future)
        future.add_done_callback(self._forget)
        return future

    def _forget(self, future: Future[Any]) -> None:
        with self._lock:
            self._left.discard(future)

    def _do(self, task: Task, future: Future[Any]) -> None:
        if not future.set_running_or_notify_cancel():
            return
        try:
            made = self._made()
            with _timer(task.seconds, lambda: _settle(future.set_exception, took_too_long(task.title, task.seconds))):
                value = task.run(made)
        except BaseException as error:
            _settle(future.set_exception, error)
        else:
            _settle(future.set_result, value)

    def _made(self) -> Any:
        if self._workshop is None:
            return NOTHING
        if not hasattr(self._own, "made"):
            try:
                with _timer(self._opening_seconds, self._never_open):
                    self._own.made = self._workshop.open()
            except Exception as error:
                raise unfit(error) from error
        return self._own.made

    def _never_open(self) -> None:
        """A thread hangs while it opens what all of them open: what waits behind it would wait for ever."""
        with self._lock:
            self._lost, left = never_open(self._opening_seconds), tuple(self._left)
        for future in left:
            if future.running() or future.set_running_or_notify_cancel():
                _settle(future.set_exception, self._lost)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """See `concurrent.futures.Executor.shutdown`."""
        self._pool.shutdown(wait=wait, cancel_futures=cancel_futures)

    def close(self) -> None:
        """Take no more; what runs is left behind."""
        self._pool.shutdown(wait=False, cancel_futures=True)


@contextlib.contextmanager
def _timer(seconds: float, late: Callable[[], None]) -> Iterator[None]:
    """Have `late` called if what is done inside takes longer."""
    if math.isinf(seconds):
        yield
        return
    timer = threading.Timer(seconds, late)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _settle(give: Callable[[Any], None], value: Any) -> None:
    with contextlib.suppress(InvalidStateError):  # its time was over, and that was said
        give(value)
