"""Where work is done that need not be done here: threads, processes or a Dask cluster, behind one interface.

Shaped like `concurrent.futures.Executor`: `submit` gives a future, `map` keeps the order, `shutdown` ends it. Beyond
that, workers make their workshop once (a panel that is opened by path and content hash, and what judges on it), so that
a task is a function and a few words, and a worker that dies costs the time of its task only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from midas_engine.lazy import lazy_face

if TYPE_CHECKING:
    from midas_engine.executor.dask_executor import DaskExecutor, Scheduler
    from midas_engine.executor.opening import open_executor, worker_count
    from midas_engine.executor.process_executor import ProcessExecutor
    from midas_engine.executor.task import Task, TaskExecutor, Workshop
    from midas_engine.executor.thread_executor import ThreadExecutor

__all__ = [
    "DaskExecutor",
    "ProcessExecutor",
    "Scheduler",
    "Task",
    "TaskExecutor",
    "ThreadExecutor",
    "Workshop",
    "open_executor",
    "worker_count",
]

__getattr__, __dir__ = lazy_face(
    __name__,
    {
        "DaskExecutor": ".dask_executor",
        "Scheduler": ".dask_executor",
        "ProcessExecutor": ".process_executor",
        "Task": ".task",
        "TaskExecutor": ".task",
        "ThreadExecutor": ".thread_executor",
        "Workshop": ".task",
        "open_executor": ".opening",
        "worker_count": ".opening",
    },
)
