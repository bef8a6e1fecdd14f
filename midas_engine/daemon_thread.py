"""Calling what may hang: in a daemon thread, so that neither the loop nor the end of the process waits for it."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


async def call_in_thread(call: Callable[..., T], *args: Any, name: str = "midas-call") -> T:
    """`call(*args)` in a thread of its own; when the awaiting task gives up, the thread is left to its fate.

    `asyncio.to_thread` would not do: its threads are joined when the loop ends, and a user's function that hangs
    would keep the process alive for ever.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)  # type: ignore[arg-type]

    def work() -> None:
        result: T | None = None
        failure: BaseException | None = None
        try:
            result = call(*args)
        except StopIteration as error:  # a future cannot carry it
            failure = RuntimeError(f"StopIteration: {error}")
        except BaseException as error:
            failure = error
        try:
            loop.call_soon_threadsafe(settle, result, failure)
        except RuntimeError:
            return  # the loop closed meanwhile

    threading.Thread(target=work, name=name, daemon=True).start()
    return await future
