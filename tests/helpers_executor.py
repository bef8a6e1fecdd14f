"""What workers of the executor's tests do; a worker process imports it."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import time
from pathlib import Path

import numpy as np


class Shop:
    """A workshop that knows its process."""

    def __init__(self, word: str) -> None:
        self.word = word

    def say(self, number: int) -> tuple[str, int]:
        return self.word, number * number

    def spin(self) -> None:
        forever()

    def process(self, number: int) -> int:
        return os.getpid()


class Mapped:
    """A workshop with a file that is mapped, as panels are: it is everyone's, and counts against nobody's limit."""

    def __init__(self, path: str) -> None:
        self.values = np.load(path, mmap_mode="r")

    def total(self) -> float:
        """Every page is touched, and again for a second: who looks at the process now and then sees them."""
        until = time.monotonic() + 1.0
        while time.monotonic() < until:
            total = float(self.values.sum())
        return total


def faults_of_sorting(times: int) -> int:
    """Pages that this process asked the system for while it sorted small arrays again and again."""
    values = np.arange(50_000.0)[::-1]
    np.sort(values)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(times):
        np.sort(values)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def wakes_of_dask() -> dict[str, float]:
    """How often this worker of Dask wakes for itself, by what for, in milliseconds."""
    import distributed

    callbacks = distributed.get_worker().periodic_callbacks
    return {name: float(callback.callback_time) for name, callback in callbacks.items() if callback.is_running()}


def load_blas() -> float:
    """What uses the linear algebra of scipy, loaded in the task."""
    import scipy.linalg

    return float(scipy.linalg.norm(np.ones((4, 4))))


def niceness() -> int:
    return os.nice(0)


def meet(shop: Shop, folder: str, number: int) -> int:
    """Ends once the other of two such tasks runs as well."""
    (Path(folder) / str(number)).touch()
    while not (Path(folder) / str(1 - number)).exists():
        time.sleep(0.002)
    return os.getpid()


def broken_shop(word: str) -> Shop:
    raise ValueError(f"no workshop for {word}")


def deadly_shop(word: str) -> Shop:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError(word)


def die_first(folder: str, number: int, times: int) -> int:
    """Kills its own process the first `times` times; then answers, and notes its turn."""
    marks = Path(folder)
    before = len(list(marks.glob(f"died-{number}-*")))
    if before < times:
        (marks / f"died-{number}-{before}").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    with (marks / "order.txt").open("a") as file:
        file.write(f"{number}\n")
    return number


def forever() -> None:
    while True:
        pass


def allocate(megabytes: int) -> float:
    return float(np.ones(megabytes * 125_000).sum())


def fail(word: str) -> None:
    raise KeyError(word)


def fail_parsing() -> None:
    raise SyntaxError("expected ':'")


def fail_full() -> None:
    """The error of a parser that got no memory, in a process that has none left."""
    held = []
    for size in (8_000_000, 1_000_000):
        with contextlib.suppress(MemoryError):
            while True:
                held.append(np.ones(size // 8))
    fail_parsing()


def give_lambda() -> object:
    return lambda: 1


def process() -> int:
    return os.getpid()


def hanging_shop(folder: str, times: int) -> Shop:
    """Hangs the first `times` times it is opened, as a share does that answers no more."""
    marks = Path(folder)
    before = len(list(marks.glob("hung-*")))
    if before < times:
        (marks / f"hung-{before}").touch()
        time.sleep(3600)
    return Shop("open at last")


def process_to_load() -> None:
    """What a worker that begins early loads in these tests: nothing."""
