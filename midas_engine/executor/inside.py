"""What runs inside a worker process: it makes its workshop, then does task after task until nobody asks any more."""

from __future__ import annotations

import contextlib
import os
import signal
import traceback
from functools import cache
from typing import TYPE_CHECKING, Any

from midas_engine.allocator import give_back
from midas_engine.errors import EvaluationError, MidasError, WorkersGoneError
from midas_engine.executor.parent import end_with_parent
from midas_engine.executor.task import NOTHING

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection

    from midas_engine.executor.task import Task, Workshop

READY, UNFIT, DONE, FAILED = "ready", "unfit", "done", "failed"
_NICENESS = 5
_ROOM_MB = 32
"""What a worker has to work in at least, beside its libraries."""
_FULL_MB = 8


def serve(connection: Connection[Any, Any], workshop: Workshop | None, memory_mb: int) -> None:
    """The main function of a worker process.

    Args:
        connection: Tasks come in as (number, task); (word, number, value) goes back.
        workshop: Made first; None for none.
        memory_mb: Megabytes of its own data that the process may have; 0: no limit.
    """
    _belong()
    _serve(connection, workshop, memory_mb)


def wait_for_work(connection: Connection[Any, Any], load: Callable[[], None]) -> None:
    """The main function of a worker that begins before it is known what it will open.

    Args:
        connection: The workshop comes first; then as in `serve`.
        load: Called before that.
    """
    _belong()
    with contextlib.suppress(Exception):  # what fails here fails again where it is needed, and is told there
        load()
    try:
        workshop = connection.recv()
    except (EOFError, OSError):
        return
    _serve(connection, workshop, 0)


def _belong() -> None:
    with contextlib.suppress(ValueError):
        for number in (signal.SIGINT, signal.SIGHUP):  # they come to all of a terminal's processes at once
            signal.signal(number, signal.SIG_IGN)  # the parent is asked, and ends its workers itself
    end_with_parent()


def _serve(connection: Connection[Any, Any], workshop: Workshop | None, memory_mb: int) -> None:
    try:
        settle(memory_mb)
        made: Any = NOTHING if workshop is None else workshop.open()
    except BaseException as error:
        _answer(connection, UNFIT, 0, _told(error))
        return
    connection.send((READY, 0, None))
    while True:
        try:
            number, task = connection.recv()
        except (EOFError, OSError):
            return
        except Exception as error:  # what was sent cannot be made here: a function that is not importable
            number, word, value = -1, FAILED, _told(error)
        else:
            word, value = _done(task, made)
        _answer(connection, word, number, value)
        del value


def settle(memory_mb: int) -> None:
    """Be a polite process: give way to a terminal that must stay quick, and hold no more memory than is in use.

    Raises:
        WorkersGoneError: So little memory is allowed that nothing could be done in it.
    """
    _give_way()
    give_back()
    if memory_mb > 0:
        limit_memory(memory_mb)


@cache
def _give_way() -> None:
    """Once a process: a worker of a cluster that stays is settled for run after run, and each would slow it further."""
    with_nice = getattr(os, "nice", None)
    if with_nice is not None:
        with_nice(_NICENESS)


def limit_memory(memory_mb: int) -> None:
    """An allocation beyond `memory_mb` fails here as a `MemoryError`, instead of the machine ending some process.

    Only private data counts: files that are mapped, as panels are, belong to everyone. Where the system knows no such
    limit (it is Linux's) there is none.

    Raises:
        WorkersGoneError: The limit leaves less than `_ROOM_MB` beside what the libraries hold. In too little, what
            fails first is Python's own parser or the loading of a module, with words that name no memory.
    """
    with contextlib.suppress(ImportError, ValueError, OSError, AttributeError):
        import resource

        # OpenBLAS asks for its first buffers when it is loaded, and again and again without end where it gets none.
        import scipy.linalg
        import scipy.special  # noqa: F401

        if (held := _own_mb()) + _ROOM_MB > memory_mb:
            raise WorkersGoneError(
                f"a worker may have {memory_mb} MB and needs {held} for what it loads, with {_ROOM_MB} to work in",
                hint=f"set executor.memory_mb to {held + _ROOM_MB} at least, or to 0 for no limit",
            )
        size = memory_mb * 1_000_000
        resource.setrlimit(resource.RLIMIT_DATA, (size, size))


def _own_mb() -> int:
    """Megabytes of data of its own that this process holds, as the limit counts them."""
    with open("/proc/self/status") as file:
        held = next(line for line in file if line.startswith("VmData:"))
    return int(held.split()[1]) * 1024 // 1_000_000 + 1


def _for_want_of_memory(error: BaseException) -> bool:
    """Whether `error` is what a full process says when it has no words for it: a module half read, a parser's error."""
    with contextlib.suppress(ImportError, OSError, StopIteration):
        import resource

        limit = resource.getrlimit(resource.RLIMIT_DATA)[0]
        full = limit != resource.RLIM_INFINITY and _own_mb() + _FULL_MB > limit // 1_000_000
        return full and isinstance(error, (SyntaxError, ImportError, SystemError, OSError))
    return False


def _done(task: Task, made: Any) -> tuple[str, Any]:
    try:
        return DONE, task.run(made)
    except BaseException as error:
        return FAILED, _told(error)


def _told(error: BaseException) -> BaseException:
    """The error as it can travel: one of ours as it is, another with the lines it came from."""
    if _for_want_of_memory(error):
        full = MemoryError(f"the worker's memory is full: {type(error).__name__}: {error}")
        error = full.with_traceback(error.__traceback__)
    if not isinstance(error, MidasError):
        error.add_note("".join(traceback.format_exception(error)).rstrip())
    # What the frames it came through held is let go of: it would be in the next task's way.
    error.__context__ = error.__cause__ = None
    return error.with_traceback(None)


def _answer(connection: Connection[Any, Any], word: str, number: int, value: Any) -> None:
    try:
        connection.send((word, number, value))
    except (BrokenPipeError, ConnectionResetError):
        os._exit(0)  # nobody asks any more
    except Exception as error:
        kind = "what it gave back" if word == DONE else f"its error ({type(value).__name__}: {value})"
        refused = EvaluationError(f"{kind} cannot leave the worker: {type(error).__name__}: {error}"[:500])
        connection.send((FAILED if word == DONE else word, number, refused))
