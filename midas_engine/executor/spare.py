"""A worker that loads its libraries while this process still loads its own: a first verdict needs both."""

from __future__ import annotations

import contextlib
import threading
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any

from midas_engine.executor import inside

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection
    from multiprocessing.context import SpawnProcess

    from midas_engine.executor.task import Workshop
    from midas_engine.settings import Settings

_LOCK = threading.Lock()
_WAITING: list[tuple[SpawnProcess, Connection[Any, Any]]] = []


def prepare(settings: Settings, load: Callable[[], None]) -> None:
    """Have one worker process begin before anyone knows what it is to open; the first that is hired is that one.

    Where the settings ask for no processes, or give each a limit of memory that counts from its first byte, nothing is
    done. A process that nobody takes ends with this one.

    Args:
        settings: As for `open_executor`.
        load: A function that a worker can import; loads what the work will need.
    """
    asked = (
        settings.executor.kind == "processes" and settings.evaluation.workers > 0 and not settings.executor.memory_mb
    )
    with _LOCK:
        if not asked or _WAITING:
            return
        context = get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=inside.wait_for_work, args=(theirs, load), name="midas-worker", daemon=True)
        try:
            process.start()
        except OSError:  # the executor says it, where it cannot have one either
            ours.close()
            return
        finally:
            theirs.close()
        _WAITING.append((process, ours))


def take(workshop: Workshop | None, memory_mb: int) -> tuple[SpawnProcess, Connection[Any, Any]] | None:
    """The process that waits, told what to open; None where there is none."""
    with _LOCK:
        if not _WAITING or memory_mb:
            return None
        process, connection = _WAITING.pop()
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        connection.send(workshop)
        return process, connection
    connection.close()  # it died
    process.join()
    return None
