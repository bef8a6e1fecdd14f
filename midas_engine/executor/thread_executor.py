"""`ThreadExecutor`: tasks in threads of this process; each thread makes a workshop of its own."""

from __future__ import annotations

import contextlib
import math
import threading
from concurrent.futures import Future, InvalidStateError, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from midas_engine.executor.task import NOTHING, Task, TaskExecutor, Workshop, took_too_long, unfit

if TYPE_CHECKING:
    from collections.abc import Callable


class ThreadExecutor(TaskExecutor):
    """Tasks in threads. A thread cannot be ended: one that takes too long is left behind with what it does.

    Args:
        workers: Threads.
        workshop: What each makes before its first task.

    Example:
        >>> with ThreadExecutor(2) as executor:
        ...     list(executor.map(abs, (-1, -2, -3)))
        [1, 2, 3]
    """

    def __init__(self, workers: int = 1, workshop: Workshop | None = None) -> None:
        self.workers = workers
        self._workshop = workshop
        self._own = threading.local()
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="midas-worker")

    def start(self, task: Task) -> Future[Any]:
        """See `TaskExecutor.start`."""
        future: Future[Any] = Future()
        self._pool.submit(self._do, task, future)
        return future

    def _do(self, task: Task, future: Future[Any]) -> None:
        if not future.set_running_or_notify_cancel():
            return
        try:
            made = self._made()
            with _timer(task, future):
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
                self._own.made = self._workshop.open()
            except Exception as error:
                raise unfit(error) from error
        return self._own.made

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """See `concurrent.futures.Executor.shutdown`."""
        self._pool.shutdown(wait=wait, cancel_futures=cancel_futures)

    def close(self) -> None:
        """Take no more; what runs is left behind."""
        self._pool.shutdown(wait=False, cancel_futures=True)


@contextlib.contextmanager
def _timer(task: Task, future: Future[Any]) -> Any:
    if math.isinf(task.seconds):
        yield
        return
    late = took_too_long(task.title, task.seconds)
    timer = threading.Timer(task.seconds, _settle, (future.set_exception, late))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _settle(give: Callable[[Any], None], value: Any) -> None:
    with contextlib.suppress(InvalidStateError):  # its time was over, and that was said
        give(value)
