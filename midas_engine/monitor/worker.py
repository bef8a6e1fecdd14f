"""A thread for calls that may hang: in order, waited for no longer than the caller wants, never at the exit."""

from __future__ import annotations

import asyncio
import queue
import threading
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
_IDLE_SECONDS = 2.0


class Worker:
    """Runs calls one after another in a daemon thread, which ends when it has been idle for a while.

    The event loop's own pool has few threads: calls that wait for a journal which another process sits on would take
    them all, and the process would wait for them at its exit.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._jobs: queue.Queue[Callable[[], None]] = queue.Queue()
        self._lock = threading.Lock()
        self._running = False

    def submit(self, call: Callable[[], T]) -> asyncio.Future[T]:
        """Queue `call`; the future is the running loop's. Giving it up does not stop the call."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        future.add_done_callback(_looked_at)

        def settle(result: Any, error: BaseException | None) -> None:
            if future.done():
                return
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error)

        def job() -> None:
            result, error = None, None
            try:
                result = call()
            except BaseException as caught:  # whatever it is, it is the caller's
                error = caught
            try:
                loop.call_soon_threadsafe(settle, result, error)
            except RuntimeError:
                return  # the loop closed while the call hung

        with self._lock:
            self._jobs.put(job)
            if not self._running:
                self._running = True
                threading.Thread(target=self._run, name=self._name, daemon=True).start()
        return future

    def _run(self) -> None:
        while True:
            try:
                job = self._jobs.get(timeout=_IDLE_SECONDS)
            except queue.Empty:
                with self._lock:
                    if self._jobs.empty():
                        self._running = False
                        return
                continue
            job()


def _looked_at(future: asyncio.Future[Any]) -> None:
    if not future.cancelled():
        future.exception()  # one that nobody waits for any more is not a forgotten one


async def within(future: asyncio.Future[T], seconds: float) -> T:
    """The future's result, or TimeoutError after `seconds`; the call behind it goes on."""
    done, _ = await asyncio.wait({future}, timeout=seconds)
    if not done:
        raise TimeoutError(f"no answer within {seconds:g} s")
    return future.result()
