"""`Task`, the `Workshop` it is done in, and `TaskExecutor`, who has it done."""

from __future__ import annotations

import math
import reprlib
from abc import abstractmethod
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from midas_engine.errors import MidasError, TimeLimitError, WorkerLostError, WorkersGoneError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

TRIES = 3
"""Workers that a task may cost before it is called the fault: one may fall to chance, three in a row do not."""
OPENING_SECONDS = 300.0
"""What a worker may take from its start until its workshop is made: 19 GB are read in that from a slow shared disk."""


@dataclass(frozen=True, slots=True)
class Task:
    """One piece of work.

    Attributes:
        function: A function that a worker can import; a workshop's takes what was made there first.
        args: What it is given: words and numbers, never arrays.
        kwargs: Likewise.
        name: For messages; empty names the function and its arguments.
        seconds: Time it may take once a worker that is ready has it; then that worker is given up.
    """

    function: Callable[..., Any]
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    name: str = ""
    seconds: float = math.inf

    @property
    def title(self) -> str:
        """What it is called in messages."""
        if self.name:
            return self.name
        given = ", ".join(reprlib.repr(value) for value in self.args)
        return f"{getattr(self.function, '__qualname__', 'a task')}({given})"[:160]

    def run(self, made: Any) -> Any:
        """Do it here; `made` is the workshop's, `NOTHING` without one."""
        first = () if made is NOTHING else (made,)
        return self.function(*first, *self.args, **self.kwargs)


class _Nothing:
    """The type of `NOTHING`; it stays itself on its way to a worker."""

    def __reduce__(self) -> str:
        return "NOTHING"


NOTHING = _Nothing()


@dataclass(frozen=True, slots=True)
class Workshop:
    """What every worker makes once, before its first task.

    Attributes:
        make: A function that a worker can import; gives what tasks take as their first argument.
        args: What it is given: paths, content hashes, settings.
    """

    make: Callable[..., Any]
    args: tuple[Any, ...] = ()

    def open(self) -> Any:
        """Make it."""
        return self.make(*self.args)


class TaskExecutor(Executor):
    """An executor whose workers share a kind of workshop.

    Attributes:
        workers: How many work at a time.
    """

    workers: int

    @abstractmethod
    def start(self, task: Task) -> Future[Any]:
        """Have a task done.

        The future raises what the task raised; `WorkerLostError` when it cost `TRIES` workers; `TimeLimitError` when it
        took longer than it may.

        Raises:
            RuntimeError: The executor was shut down.
        """

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """`start`, as of `concurrent.futures.Executor`."""
        return self.start(Task(fn, args, kwargs))

    @abstractmethod
    def close(self) -> None:
        """End everything at once, what runs included; twice is fine."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait for what runs; after an error end it."""
        if kind is None:
            self.shutdown(wait=True)
        self.close()


def worker_lost(title: str, tries: int) -> WorkerLostError:
    """What is said of a task that no worker survived."""
    return WorkerLostError(
        f"{title} cost {tries} workers: each died while it had this task",
        hint="it may need more memory than a worker has: give it less to do, or see executor.memory_mb",
    )


def stillborn(count: int) -> WorkersGoneError:
    """What is said when workers die before they could begin."""
    return WorkersGoneError(
        f"{count} workers in a row died before they could begin",
        hint="they may have run out of memory: fewer workers, or a smaller panel",
    )


def never_open(seconds: float, who: str = "a worker") -> WorkersGoneError:
    """What is said when what a worker opens first never opens."""
    return WorkersGoneError(
        f"{who} did not open its data within {seconds:g} s",
        hint="does the disk or the share that it is on answer? Data that takes longer to read needs a larger "
        "executor.opening_seconds",
    )


def ended() -> WorkersGoneError:
    """What is said of a task that was not done when the workers were ended."""
    return WorkersGoneError("the workers were ended before this task was done")


def unfit(error: BaseException) -> WorkersGoneError:
    """What is said when a worker cannot make its workshop."""
    if isinstance(error, WorkersGoneError):
        return error
    if isinstance(error, MidasError):
        return WorkersGoneError(f"no worker can begin: {error.message}", hint=error.hint, reason=error)
    hint = "fewer workers, a smaller panel, or a larger executor.memory_mb" if isinstance(error, MemoryError) else ""
    return WorkersGoneError(f"no worker can begin: {type(error).__name__}: {error}"[:600], hint=hint)


def took_too_long(title: str, seconds: float) -> TimeLimitError:
    """What is said of a task whose time is over."""
    return TimeLimitError(f"{title} took longer than {seconds:g} s", hint="give it less to do, or more time")
