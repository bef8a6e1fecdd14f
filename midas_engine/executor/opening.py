"""`open_executor`: the executor that the settings ask for. Every door to workers goes through here."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

# Loaded with whoever opens an executor, not in the middle of a session's event loop.
from midas_engine.executor.process_executor import ProcessExecutor
from midas_engine.executor.thread_executor import ThreadExecutor

if TYPE_CHECKING:
    from midas_engine.executor.task import TaskExecutor, Workshop
    from midas_engine.settings import Settings


def open_executor(settings: Settings, workshop: Workshop | None = None, workers: int | None = None) -> TaskExecutor:
    """Workers as the settings have them. Nothing starts before the first task.

    Args:
        settings: The section `executor`, and `evaluation.workers`.
        workshop: What each worker makes before its first task.
        workers: How many; None takes the settings'. 0 is one thread of this process.

    Raises:
        SettingsError: A cluster is asked for, and cannot be had as the settings stand.
    """
    chosen = settings.executor
    count = settings.evaluation.workers if workers is None else workers
    if count == 0 or chosen.kind == "threads":
        return ThreadExecutor(max(1, count), workshop, opening_seconds=chosen.opening_seconds)
    if chosen.kind == "dask":
        from midas_engine.executor.dask_executor import DaskExecutor, Scheduler

        there = Scheduler(chosen.scheduler, chosen.ca_file, chosen.cert_file, chosen.key_file)
        known = there if chosen.scheduler else None
        seconds = chosen.opening_seconds
        return DaskExecutor(count, workshop, memory_mb=chosen.memory_mb, scheduler=known, opening_seconds=seconds)
    return ProcessExecutor(count, workshop, memory_mb=chosen.memory_mb, opening_seconds=chosen.opening_seconds)


def worker_count() -> int:
    """How many workers this machine has room for: the processors that this process may use."""
    with contextlib.suppress(AttributeError):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
