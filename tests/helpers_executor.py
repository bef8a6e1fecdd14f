"""What workers of the executor's tests do; a worker process imports it."""

from __future__ import annotations

import os
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


def give_lambda() -> object:
    return lambda: 1


def process() -> int:
    return os.getpid()
