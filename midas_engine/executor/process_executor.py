"""`ProcessExecutor`: tasks in processes of this machine, each watched on its own.

The pool of the standard library ends as a whole when one process dies, with every task of every process. Here a worker
that dies is replaced, its task goes back to its place in the queue, and the others notice nothing.
"""

from __future__ import annotations

import atexit
import contextlib
import heapq
import itertools
import threading
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, Any

from midas_engine.alive import sweep_scratch
from midas_engine.clock import Clock, WallClock
from midas_engine.errors import WorkersGoneError
from midas_engine.executor import inside, spare
from midas_engine.executor.task import (
    OPENING_SECONDS,
    TRIES,
    Task,
    TaskExecutor,
    Workshop,
    ended,
    never_open,
    stillborn,
    took_too_long,
    unfit,
    worker_lost,
)

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.context import SpawnProcess

    from midas_engine.errors import WorkersGoneError

FIRST_TASK_SECONDS = 60.0
"""What a worker's first task may take beyond its time: it waits for code that is compiled and for caches."""
_LEAVING_SECONDS = 2.0


@dataclass(slots=True)
class _Job:
    """A task on its way."""

    number: int
    task: Task
    future: Future[Any]
    deaths: int = 0

    def __lt__(self, other: _Job) -> bool:
        return self.number < other.number


@dataclass(slots=True)
class _Hand:
    """A worker process as this side knows it."""

    process: SpawnProcess
    connection: Connection[Any, Any]
    ready: bool = False
    warm: bool = False
    job: _Job | None = None
    until: float = field(default=float("inf"))


class ProcessExecutor(TaskExecutor):
    """Tasks in processes that are started anew, never forked: each imports what it needs.

    Tasks are handed out in the order they were started in, one a worker at a time; one whose worker died is handed out
    again before those that came after it. Nothing that a worker holds outlives this process.

    Args:
        workers: Processes.
        workshop: What each makes before its first task.
        memory_mb: Megabytes of its own data that each may have; an allocation beyond that is a `MemoryError` of its
            task. 0: no limit.
        tries: Workers that one task may cost.
        opening_seconds: What each may take from its start until its workshop is made.
        clock: Measures what a task takes.
    """

    def __init__(
        self,
        workers: int = 1,
        workshop: Workshop | None = None,
        *,
        memory_mb: int = 0,
        tries: int = TRIES,
        opening_seconds: float = OPENING_SECONDS,
        clock: Clock | None = None,
    ) -> None:
        self.workers = workers
        self._workshop, self._memory_mb, self._tries = workshop, memory_mb, tries
        self._clock: Clock = clock or WallClock()
        self._opening_seconds = opening_seconds
        self._context = get_context("spawn")
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self._waiting: list[_Job] = []
        self._hands: list[_Hand] = []
        self._stillborn = 0
        self._no_more = self._ended = False
        self._ear, self._mouth = self._context.Pipe(duplex=False)
        self._thread: threading.Thread | None = None

    @property
    def processes(self) -> tuple[int, ...]:
        """Process numbers of the workers that live now."""
        return tuple(h.process.pid for h in tuple(self._hands) if h.process.pid is not None)

    def start(self, task: Task) -> Future[Any]:
        """See `TaskExecutor.start`."""
        future: Future[Any] = Future()
        with self._lock:
            if self._no_more:
                raise RuntimeError("this executor was shut down and takes no more tasks")
            heapq.heappush(self._waiting, _Job(next(self._numbers), task, future))
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="midas-executor", daemon=True)
                self._thread.start()
                atexit.register(
                    self.close
                )  # before multiprocessing ends what it knows of, which would look like deaths
        self._wake()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """See `concurrent.futures.Executor.shutdown`."""
        with self._lock:
            self._no_more = True
            if cancel_futures:
                for job in self._waiting:
                    job.future.cancel()
                self._waiting.clear()
        self._wake()
        if wait and self._thread is not None:
            self._thread.join()

    def close(self) -> None:
        """See `TaskExecutor.close`."""
        with self._lock:
            self._no_more = self._ended = True
        self._wake()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()

    # -- the thread that hands out -----------------------------------------------------------------

    def _work(self) -> None:
        try:
            while self._goes_on():
                self._hand_out()
                self._listen()
        except BaseException as error:  # no process can be started, say
            self._give_up(error)
        finally:
            with self._lock:
                self._no_more = True
            self._give_up(ended())
            self._leave()
            atexit.unregister(self.close)

    def _goes_on(self) -> bool:
        with self._lock:
            busy = bool(self._waiting) or any(h.job is not None for h in self._hands)
            return not self._ended and (busy or not self._no_more)

    def _hand_out(self) -> None:
        with self._lock:
            wanted = min(self.workers, len(self._waiting) + sum(h.job is not None for h in self._hands))
        while len(self._hands) < wanted:
            self._hire()
        for hand in [h for h in self._hands if h.ready and h.job is None]:
            while hand.job is None and (job := self._next()) is not None:
                self._give(hand, job)

    def _next(self) -> _Job | None:
        with self._lock:
            while self._waiting:
                job = heapq.heappop(self._waiting)
                # One that was handed out before runs already, for whoever waits for it.
                if job.deaths or job.future.set_running_or_notify_cancel():
                    return job
        return None

    def _give(self, hand: _Hand, job: _Job) -> None:
        try:
            hand.connection.send((job.number, job.task))
        except (BrokenPipeError, ConnectionResetError):
            with self._lock:
                job.deaths += 1  # it has to be marked as handed out; the worker it did not reach counts as one
                heapq.heappush(self._waiting, job)
            hand.ready = False  # its end is heard next
        except Exception as error:  # what cannot travel; nothing was sent
            _settle(job, error)
        else:
            extra = 0.0 if hand.warm else FIRST_TASK_SECONDS
            hand.job, hand.until = job, self._clock.monotonic() + job.task.seconds + extra

    def _hire(self) -> None:
        until = self._clock.monotonic() + self._opening_seconds
        if (begun := spare.take(self._workshop, self._memory_mb)) is not None:
            self._hands.append(_Hand(*begun, until=until))
            return
        ours, theirs = self._context.Pipe()
        process = self._context.Process(
            target=inside.serve, args=(theirs, self._workshop, self._memory_mb), name="midas-worker", daemon=True
        )
        try:
            process.start()
        finally:
            theirs.close()
        self._hands.append(_Hand(process, ours, until=until))

    def _listen(self) -> None:
        soonest = min((h.until for h in self._hands), default=float("inf"))
        left = None if soonest == float("inf") else max(0.0, soonest - self._clock.monotonic())
        heard = wait(
            [self._ear, *(h.connection for h in self._hands), *(h.process.sentinel for h in self._hands)], left
        )
        if self._ear in heard:
            while self._ear.poll():
                self._ear.recv_bytes()
        for hand in list(self._hands):
            if hand.connection in heard:
                self._hear(hand)
            elif hand.process.sentinel in heard:
                self._bury(hand)
            elif self._clock.monotonic() >= hand.until:
                self._end(hand)

    def _hear(self, hand: _Hand) -> None:
        try:
            word, number, value = hand.connection.recv()
        except (EOFError, OSError):
            self._bury(hand)
            return
        except Exception as error:  # what it sent cannot be read here
            word, number, value = inside.FAILED, -1, error
        if word == inside.READY:
            hand.ready, hand.until, self._stillborn = True, float("inf"), 0
        elif word == inside.UNFIT:
            self._part(hand)
            self._give_up(unfit(value))
        elif hand.job is not None and number in (hand.job.number, -1):
            job, hand.job, hand.warm, hand.until = hand.job, None, True, float("inf")
            _settle(job, value if word == inside.FAILED else None, value)

    def _bury(self, hand: _Hand) -> None:
        """A worker died: its task goes back to its place, or is named."""
        job, hand.job = hand.job, None
        self._part(hand)
        if job is not None:
            job.deaths += 1
            if job.deaths >= self._tries:
                _settle(job, worker_lost(job.task.title, job.deaths))
            else:
                with self._lock:
                    heapq.heappush(self._waiting, job)
        elif not hand.ready:
            self._could_not_begin(stillborn(self._tries))

    def _end(self, hand: _Hand) -> None:
        """A worker's time is over: that of its task, or that for being ready for one."""
        job, hand.job = hand.job, None
        self._part(hand)
        if job is not None:
            _settle(job, took_too_long(job.task.title, job.task.seconds))
        else:
            self._could_not_begin(never_open(self._opening_seconds, f"each of {self._tries} workers in a row"))

    def _could_not_begin(self, error: WorkersGoneError) -> None:
        """Another is hired in its place, unless so many before it came to the same end."""
        self._stillborn += 1
        if self._stillborn >= self._tries:
            self._give_up(error)
            self._stillborn = 0

    def _part(self, hand: _Hand) -> None:
        self._hands.remove(hand)
        hand.connection.close()
        with contextlib.suppress(Exception):
            hand.process.kill()
            hand.process.join(_LEAVING_SECONDS)

    def _give_up(self, error: BaseException) -> None:
        """Nothing that is asked for can be done: whoever waits hears why."""
        with self._lock:
            jobs, self._waiting = self._waiting, []
        for hand in self._hands:
            if hand.job is not None:
                jobs.append(hand.job)
                hand.job = None
        for job in sorted(jobs):
            if job.future.running() or job.future.set_running_or_notify_cancel():
                _settle(job, error)

    def _leave(self) -> None:
        for hand in self._hands:
            hand.connection.close()  # a worker that waits for a task ends by that
            if self._ended:
                with contextlib.suppress(Exception):
                    hand.process.kill()
        for hand in list(self._hands):
            hand.process.join(_LEAVING_SECONDS)
            if hand.process.is_alive():
                hand.process.kill()
                hand.process.join(_LEAVING_SECONDS)
        self._hands.clear()
        if self._ended:
            sweep_scratch()  # of those that were killed at their work

    def _wake(self) -> None:
        with contextlib.suppress(OSError):
            if not self._ear.poll() or self._ended:
                self._mouth.send_bytes(b"!")


def _settle(job: _Job, error: BaseException | None, value: Any = None) -> None:
    with contextlib.suppress(InvalidStateError):
        if error is not None:
            job.future.set_exception(error)
        else:
            job.future.set_result(value)
