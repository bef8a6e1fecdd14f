"""A shard: a process that computes some of the features, bar by bar, for the one that watches them.

It is told what to do by lines of JSON on its standard input, answers each on its standard output, and ends when its
input does, however the other process went. Bars and values pass through shared memory.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from typing import TYPE_CHECKING, Any, TextIO

from midas_engine.dsl import StreamEngine
from midas_engine.dsl.stream import parsed
from midas_engine.errors import MidasError
from midas_engine.monitor.shards.blocks import Block
from midas_engine.settings import DslLimits

if TYPE_CHECKING:
    from collections.abc import Mapping

    from midas_engine.dsl.expression import Expression


class Shard:
    """The features of one shard.

    Args:
        told: What `Shards` says of it: features, columns, symbols, limits, the shapes and descriptors of what is
            shared, and which features of all are its own.
    """

    def __init__(self, told: Mapping[str, Any]) -> None:
        limits = DslLimits(**told["limits"])
        columns = tuple(told["columns"])
        features: dict[str, Expression] = {}
        for name, text in told["features"]:
            features.update(parsed({name: text}, columns, limits))
        self._engine = StreamEngine(features, columns, told["symbols"], limits=limits, compact=bool(told["compact"]))
        self._bars = Block(tuple(told["bars_shape"]), told["bars_fd"])
        self._values = Block(tuple(told["values_shape"]), told["values_fd"])
        self._own = slice(told["first"], told["first"] + len(features))
        self._saved: list[int] = told["saved_fds"]

    def advance(self, bars: int, wanted: bool) -> None:
        """Take the first `bars` of the shared bars; with `wanted` leave the values where all see them."""
        columns = {name: self._bars.array[:bars, place] for place, name in enumerate(self._engine.columns)}
        self._engine.advance(columns, self._values.array[:bars, self._own] if wanted else None)

    def save(self, slot: int) -> None:
        """Write everything that is remembered into one of the two files."""
        with open(self._saved[slot], "r+b", closefd=False) as file:
            file.seek(0)
            self._engine.write(file)
            file.truncate()

    def restore(self, slot: int) -> None:
        """Take up what `save` wrote."""
        with open(self._saved[slot], "rb", closefd=False) as file:
            file.seek(0)
            self._engine.read(file)

    @property
    def bars(self) -> int:
        """How many bars it has seen."""
        return int(self._engine.bars)


def answer(shard: Shard, command: Mapping[str, Any]) -> None:
    """Do one thing."""
    if command["do"] == "advance":
        shard.advance(command["bars"], command["wanted"])
    elif command["do"] == "save":
        shard.save(command["slot"])
    elif command["do"] == "restore":
        shard.restore(command["slot"])


def serve(given: TextIO, told: TextIO) -> None:
    """Do what is said until nobody says anything any more."""
    shard: Shard | None = None
    for line in given:
        command = json.loads(line)
        reply: dict[str, Any] = {}
        try:
            if shard is None:
                shard = Shard(command)
            else:
                answer(shard, command)
            reply["bars"] = shard.bars
        except OSError as error:  # of a file it writes to: it goes on without
            reply["unsaved"] = f"what it remembers could not be written: {error}"
        except MidasError as error:
            reply["error"] = f"{error.message} ({error.hint})" if error.hint else error.message
        usage = resource.getrusage(resource.RUSAGE_SELF)
        reply["cpu"] = usage.ru_utime + usage.ru_stime
        reply["resident_mb"] = resident_mb()
        told.write(json.dumps(reply) + "\n")
        told.flush()


def resident_mb(process: int | None = None) -> float:
    """Megabytes of memory that a process, or this one, holds now, what it shares with others left out; NaN: unknown."""
    try:
        with open(f"/proc/{process or os.getpid()}/statm", encoding="ascii") as file:
            fields = [int(v) for v in file.read().split()]
    except (OSError, ValueError):
        return float("nan")
    return (fields[1] - fields[2]) * os.sysconf("SC_PAGE_SIZE") / 2**20


if __name__ == "__main__":
    try:
        serve(sys.stdin, sys.stdout)
    except (BrokenPipeError, KeyboardInterrupt):
        os._exit(0)  # the one that watches has gone
