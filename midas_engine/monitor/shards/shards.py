"""`Shards`: a stream of values whose windows live in several processes; to who uses it, a `StreamEngine`.

The values do not depend on the cut: a feature is computed by the same functions from the same bars wherever it lives,
and the values are put together in the features' order before anybody sees them. So what the monitor makes of them,
alerts, kills and signals, is that of one process to the byte.

Every shard writes all it remembers into a file of its own now and then, two in turn; the bars since the older of them
are kept here. A process that ends, by whatever, is started again, takes up the file and goes through those bars: it
then is what it was, to the bit. Until all shards have answered, the bar is not seen by anybody.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import threading
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from midas_engine.dsl.stream import CHUNK_BARS
from midas_engine.errors import ExpressionError, MonitorError, UnknownNameError
from midas_engine.monitor.shards.blocks import Block, nameless_file
from midas_engine.monitor.shards.worker_process import ShardEndedError, ShardProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy.typing as npt

    from midas_engine.dsl.expression import Expression
    from midas_engine.monitor.shards.plan import ShardPlan
    from midas_engine.settings import DslLimits

    Floats = npt.NDArray[np.float64]

SAVE_BARS = 64
"""Bars between two savings of a shard: what one that died must go through again at most twice."""
_LOG_BYTES = 64 * 2**20  # bars kept while a history is replayed: more, and the shards are saved
_VALUE_BYTES = 128 * 2**20  # shared for values: as many bars at once as fit, one at least
_TRIES = 3  # starts of one shard within one bar before it is given up


@dataclass(frozen=True, slots=True)
class ShardNews:
    """A shard went down, or is back.

    Attributes:
        shard: Which, from 1.
        shards: Of how many.
        features: Its features.
        down: It is down; else it is back.
        why: How it ended; empty when it is back. Of shard 0: why what they remember could not be written.
    """

    shard: int
    shards: int
    features: tuple[str, ...]
    down: bool
    why: str = ""


class Shards:
    """Computes features bar by bar in several processes, which start with the first bar.

    Calls wait, so they belong in a thread; one at a time.

    Args:
        expressions: The features.
        columns: Columns every bar brings.
        symbols: The symbols, in the order of the arrays.
        limits: Size limits, of the bars' length.
        plan: Which feature goes where.
        tell: Told when a shard goes down and when it is back; from any thread.
        folder: Where the shards' states are kept on disk, without a name; None: where temporary files are.
        patience: Seconds a shard may take for one answer before it is ended and started again.
    """

    def __init__(
        self,
        expressions: Mapping[str, Expression],
        columns: Sequence[str],
        symbols: Sequence[str],
        *,
        limits: DslLimits,
        plan: ShardPlan,
        tell: Callable[[ShardNews], None] = lambda news: None,
        folder: str | None = None,
        patience: float = 600.0,
    ) -> None:
        self.expressions, self.columns, self.symbols = dict(expressions), tuple(columns), tuple(symbols)
        self.bars, self.plan = 0, plan
        self._tell, self._patience, self._limits = tell, patience, limits
        names = list(self.expressions)
        self._names = [tuple(names[row] for row in rows) for rows in plan.rows]
        self._order = np.array([row for rows in plan.rows for row in rows])
        self._turn, self._closed = threading.RLock(), False
        self._processes: list[ShardProcess | None] = [None] * len(plan.rows)
        self._down: dict[int, str] = {}
        self._log: deque[Floats] = deque()  # the bars since the older saving, [C, S] each
        self._slot = self._saving = -1  # the saving that stands, the one under way
        self._since_save, self._unsaved, self._folder = 0, False, folder
        self._news = threading.Lock()

    # -- what a stream does ------------------------------------------------------------------------

    def update(self, bar_values: Mapping[str, npt.ArrayLike]) -> dict[str, Floats]:
        """One closed bar; see `StreamEngine.update`.

        Raises:
            UnknownNameError: A column is missing.
            ExpressionError: An array of the wrong length.
            MonitorError: A shard ends again and again, or cannot compute its features.
        """
        size = len(self.symbols)
        rows = {}
        for name in self.columns:
            if name not in bar_values:
                raise UnknownNameError(
                    f"the bar has no column {name!r}", hint="there are: " + ", ".join(sorted(bar_values))
                )
            row = np.asarray(bar_values[name], dtype=np.float64)
            if row.shape != (size,):
                raise ExpressionError(f"column {name!r} of the bar has shape {row.shape}, expected ({size},)")
            rows[name] = row[None, :]
        out = np.empty((1, len(self.expressions), size))
        self.advance(rows, out)
        self._since_save += 1
        if self._since_save >= SAVE_BARS:
            self.save()
        return {name: out[0, place] for place, name in enumerate(self.expressions)}

    def advance(self, columns: Mapping[str, npt.ArrayLike], out: Floats | None = None) -> None:
        """Several closed bars in one go; see `StreamEngine.advance`."""
        given = np.stack([np.asarray(columns[name], np.float64) for name in self.columns], axis=1)
        with self._turn:
            try:
                self._start()
                piece = CHUNK_BARS if out is None else len(self._values.array)
                for first in range(0, len(given), piece):
                    self._take(given[first : first + piece], None if out is None else out[first : first + piece])
            except BaseException:
                self.close()  # some took the bars and some did not: nobody goes on from there
                raise

    def save(self) -> None:
        """Have every shard write what it remembers, while the caller goes on; the next bar waits for it."""
        with self._turn:
            self._start()
            self._settle()
            slot = 1 - self._slot if self._slot >= 0 else 0
            self._ask(range(len(self._processes)), {"do": "save", "slot": slot})
            self._saving, self._since_save = slot, 0

    @property
    def down(self) -> frozenset[str]:
        """Features whose shard is down now."""
        return frozenset(name for shard in list(self._down) for name in self._names[shard])

    @property
    def closed(self) -> bool:
        """It is over: no process is started again."""
        return self._closed

    @property
    def pids(self) -> tuple[int, ...]:
        """The processes that run."""
        return tuple(p.pid for p in self._processes if p is not None)

    @property
    def resident_mb(self) -> tuple[float, ...]:
        """Megabytes each process held at its last answer, without what is shared."""
        return tuple(p.resident_mb for p in self._processes if p is not None)

    def close(self) -> None:
        """End the processes, also while another thread waits for them."""
        self._closed = True
        for process in list(self._processes):
            if process is not None:
                process.stop()
        with self._turn:
            for process in self._processes:
                if process is not None:
                    process.close()
            self._processes = [None] * len(self._processes)
            if hasattr(self, "_bars"):
                for block in (self._bars, self._values):
                    block.close()
                for descriptors in self._files:
                    for descriptor in descriptors:
                        with contextlib.suppress(OSError):
                            os.close(descriptor)
                del self._bars, self._values

    # -- one piece of bars -------------------------------------------------------------------------

    def _take(self, bars: Floats, out: Floats | None) -> None:
        self._settle()
        self._mend()
        self._bars.array[: len(bars)] = bars
        command = {"do": "advance", "bars": len(bars), "wanted": out is not None}
        everyone = range(len(self._processes))
        self._ask(everyone, command)
        for lost in self._hear_all(everyone):
            self._rebuild(lost, bars, command)
        if out is not None:
            out[:, self._order] = self._values.array[: len(bars)]
        self._log.extend(bars.copy())
        self.bars += len(bars)
        if len(self._log) * bars[0].nbytes > _LOG_BYTES:
            self.save()
        if self._down:
            self._are_back()

    def _ask(self, shards: Sequence[int], command: Mapping[str, Any]) -> None:
        for shard in shards:
            process = self._processes[shard]
            if process is not None:
                with contextlib.suppress(ShardEndedError):  # seen when its answer does not come
                    process.say(command)

    def _hear_all(self, shards: Sequence[int]) -> list[int]:
        """Wait for the answers of `shards`; those that are gone."""
        lost = []
        for shard in shards:
            process = self._processes[shard]
            try:
                if process is None:
                    raise ShardEndedError("it was gone")
                process.hear_all(self._patience)
            except ShardEndedError as error:
                self._is_down(shard, error.message)
                lost.append(shard)
        return lost

    def _settle(self) -> None:
        """Wait for a saving that is under way; then the bars before the other one are needed no more."""
        if self._saving < 0:
            return
        slot, self._saving = self._saving, -1
        lost = self._hear_all(range(len(self._processes)))
        if lost:
            return  # the other file of each stands, and the bars since
        unsaved = [p.unsaved for p in self._processes if p is not None and p.unsaved]
        if not unsaved:
            self._slot = slot
            self._log.clear()
        elif not self._unsaved:
            self._tell(ShardNews(0, len(self._names), (), down=False, why=unsaved[0]))
        self._unsaved = bool(unsaved)

    # -- a shard that ended ------------------------------------------------------------------------

    def _mend(self) -> None:
        for shard in sorted(self._down):
            process = self._processes[shard]
            if process is None or not process.alive:
                self._rebuild(shard)

    def _rebuild(self, shard: int, bars: Floats | None = None, command: Mapping[str, Any] | None = None) -> None:
        """Start a shard again and bring it to where it was; then let it take the piece that it did not finish."""
        for tries in range(1, _TRIES + 1):
            if self._closed:
                raise MonitorError("the shards were closed")
            try:
                self._begin(shard).hear_all(self._patience)
                if self._slot >= 0:
                    self._go(shard, {"do": "restore", "slot": self._slot})
                for first in range(0, len(self._log), CHUNK_BARS):
                    piece = [self._log[k] for k in range(first, min(first + CHUNK_BARS, len(self._log)))]
                    self._bars.array[: len(piece)] = piece
                    self._go(shard, {"do": "advance", "bars": len(piece), "wanted": False})
                if bars is not None and command is not None:
                    self._bars.array[: len(bars)] = bars
                    self._go(shard, command)
                return
            except ShardEndedError as error:
                self._is_down(shard, error.message)
                if tries == _TRIES:
                    raise MonitorError(
                        f"shard {shard + 1} of {len(self._names)} ended {tries} times in a row: {error.message}; the "
                        f"bar waits",
                        hint="is there memory for it? monitor.memory_mb bounds what is reckoned, see the log",
                    ) from error

    def _go(self, shard: int, command: Mapping[str, Any]) -> None:
        process = self._processes[shard]
        assert process is not None
        process.say(command)
        process.hear_all(self._patience)

    def _is_down(self, shard: int, why: str) -> None:
        with self._news:
            first = shard not in self._down
            self._down[shard] = why
        if first and not self._closed:
            self._tell(ShardNews(shard + 1, len(self._names), self._names[shard], down=True, why=why))

    def _are_back(self) -> None:
        for shard in sorted(self._down):
            process = self._processes[shard]
            if process is None or not process.alive:
                continue
            del self._down[shard]
            self._tell(ShardNews(shard + 1, len(self._names), self._names[shard], down=False))

    def _ended(self, process: ShardProcess) -> None:
        """In a thread: one ended between bars. It is told at once, and built anew before the next bar comes."""
        shard = next((k for k, known in enumerate(self._processes) if known is process), None)
        if shard is None or self.closed:
            return
        self._is_down(shard, process.how_it_ended())
        with self._turn:
            if self._closed:
                return  # meanwhile
            with contextlib.suppress(MonitorError):  # the next bar tries again, and says so
                if self._processes[shard] is process:
                    self._settle()
                    self._mend()
            self._are_back()

    # -- the start ---------------------------------------------------------------------------------

    def _start(self) -> None:
        if self._closed:
            raise MonitorError("the shards were closed")
        if hasattr(self, "_bars"):
            return
        count, size = len(self.expressions), len(self.symbols)
        at_once = max(1, min(CHUNK_BARS, _VALUE_BYTES // max(1, 8 * count * size)))
        self._bars = Block((CHUNK_BARS, len(self.columns), size))
        self._values = Block((at_once, count, size))
        self._files = [[nameless_file(self._folder) for _ in range(2)] for _ in self._names]
        for shard in range(len(self._names)):
            self._begin(shard)
        for lost in self._hear_all(range(len(self._names))):
            self._rebuild(lost)
        if self._down:
            self._are_back()

    def _begin(self, shard: int) -> ShardProcess:
        old = self._processes[shard]
        self._processes[shard] = None
        if old is not None:
            old.close()
        told = {
            "features": [(name, self.expressions[name].standalone) for name in self._names[shard]],
            "columns": self.columns,
            "symbols": self.symbols,
            "limits": dataclasses.asdict(self._limits),
            "compact": True,
            "bars_shape": self._bars.array.shape,
            "bars_fd": self._bars.descriptor,
            "values_shape": self._values.array.shape,
            "values_fd": self._values.descriptor,
            "first": sum(len(names) for names in self._names[:shard]),
            "saved_fds": self._files[shard],
        }
        self._processes[shard] = process = ShardProcess(told, self._ended)
        return process
