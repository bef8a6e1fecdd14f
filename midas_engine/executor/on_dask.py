"""What runs inside a worker of a Dask cluster."""

from __future__ import annotations

import math
import os
import threading
from typing import TYPE_CHECKING, Any

from distributed import WorkerPlugin

from midas_engine.errors import WorkersGoneError
from midas_engine.executor.inside import settle
from midas_engine.executor.process_executor import FIRST_TASK_SECONDS
from midas_engine.executor.program import differs, program
from midas_engine.executor.task import NOTHING, Task, Workshop, never_open, took_too_long, unfit

if TYPE_CHECKING:
    from collections.abc import Callable

_LEAVING_SECONDS = 1.0
_SHOPS: dict[str, _Shop] = {}
_REFUSED: dict[str, WorkersGoneError] = {}


class _Shop:
    """A workshop of this process: made at its first task, once for all its threads."""

    def __init__(self, workshop: Workshop | None, opening_seconds: float) -> None:
        self._workshop, self.opening_seconds = workshop, opening_seconds
        self._lock = threading.Lock()
        self._made: Any = None
        self.open = self.warm = False

    def made(self) -> Any:
        """What tasks take; made by the first that asks."""
        with self._lock:
            if not self.open:
                try:
                    self._made = NOTHING if self._workshop is None else self._workshop.open()
                except Exception as error:
                    raise unfit(error) from error
                self.open = True
            return self._made


class DaskWorkshop(WorkerPlugin):
    """Puts a workshop on every worker of a cluster, those that come later too: a task then is a few words.

    Args:
        token: Tells it from other workshops of the cluster.
        workshop: What is made.
        memory_mb: As of the executor.
        opening_seconds: Likewise.
    """

    def __init__(self, token: str, workshop: Workshop | None, memory_mb: int, opening_seconds: float) -> None:
        self.name = self._token = token
        self._workshop, self._memory_mb, self._opening_seconds = workshop, memory_mb, opening_seconds
        self._program = program()

    def setup(self, worker: Any) -> None:
        """Called by the cluster in every worker."""
        if difference := differs(self._program):
            # Said at its first task: what is raised here only the log of a worker that comes later would tell.
            _REFUSED[self._token] = WorkersGoneError(
                f"the worker {worker.address} has {difference}: it may compute other figures",
                hint="install the same there, or end that worker; nothing was computed on it",
            )
            return
        try:
            if not _SHOPS:
                settle(self._memory_mb)
        except WorkersGoneError as error:
            _REFUSED[self._token] = error
            return
        _SHOPS[self._token] = _Shop(self._workshop, self._opening_seconds)

    def teardown(self, worker: Any) -> None:
        """Called by the cluster when the workshop is not needed any more."""
        _SHOPS.pop(self._token, None)
        _REFUSED.pop(self._token, None)


def do_task(token: str, task: Task) -> Any:
    """A task in the workshop of this process.

    Raises:
        TimeLimitError: Its time is over. What it does cannot be stopped, so this process ends a moment later.
        WorkersGoneError: This process cannot have the workshop, or not in its time, and then ends likewise.
    """
    shop = _SHOPS.get(token)
    if shop is None:
        if token in _REFUSED:
            raise _REFUSED[token]
        raise WorkersGoneError("this worker has no workshop of that name", hint="the run it was of has ended")
    seconds = shop.opening_seconds
    made = shop.made() if shop.open else _in_time(shop.made, seconds, never_open(seconds))
    extra, shop.warm = 0.0 if shop.warm else FIRST_TASK_SECONDS, True
    return _in_time(lambda: task.run(made), task.seconds + extra, took_too_long(task.title, task.seconds))


def _in_time(work: Callable[[], Any], seconds: float, late: Exception) -> Any:
    if math.isinf(seconds):
        return work()
    outcome: list[Callable[[], Any]] = []
    thread = threading.Thread(target=_do, args=(work, outcome), name="midas-task", daemon=True)
    thread.start()
    thread.join(seconds)
    if outcome:
        return outcome[0]()
    threading.Timer(_LEAVING_SECONDS, os._exit, (1,)).start()
    if thread.is_alive():
        raise late
    raise MemoryError("the worker's memory is full: a thread of it could not run")


def _do(work: Callable[[], Any], outcome: list[Callable[[], Any]]) -> None:
    try:
        value = work()
    except BaseException as error:
        outcome.append(_Raises(error))
    else:
        outcome.append(lambda: value)


class _Raises:
    """An error of another thread, to be raised in this one."""

    def __init__(self, error: BaseException) -> None:
        self._error = error

    def __call__(self) -> Any:
        raise self._error
