"""Calling what a user gave us: in a thread that a hang keeps neither the loop nor the exit of the process from."""

from __future__ import annotations

import asyncio
import inspect
import threading
from typing import TYPE_CHECKING, Any

from midas_engine.errors import MonitorError

if TYPE_CHECKING:
    from collections.abc import Callable

MOST_HANGING = 3


class Callback:
    """A user's function of one name, plain or async.

    A plain one runs in a daemon thread. One that hangs is called again later by whoever supervises it, but no
    more than three of its calls may hang at once; a call that comes back after all is told to `late`.

    Args:
        function: What to call.
        late: Told the name when a call returned although nobody waits for it any more; on the event loop.
    """

    def __init__(self, function: Callable[[str], Any], late: Callable[[str], None] | None = None) -> None:
        self._function, self._late = function, late
        self._hanging: dict[str, int] = {}

    async def __call__(self, name: str) -> None:
        """Call it with `name`; its exception is the caller's."""
        if inspect.iscoroutinefunction(self._function):
            await self._function(name)
            return
        if self._hanging.get(name, 0) >= MOST_HANGING:
            raise MonitorError(f"{MOST_HANGING} earlier calls for {name} still hang", hint="see what they wait for")
        outcome = await self._in_thread(name)
        if inspect.isawaitable(outcome):
            await outcome

    async def _in_thread(self, name: str) -> Any:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        self._hanging[name] = self._hanging.get(name, 0) + 1

        def settle(result: Any, error: BaseException | None) -> None:
            self._hanging[name] -= 1
            if future.done():
                if error is None and self._late is not None and not inspect.isawaitable(result):
                    self._late(name)
            elif error is None:
                future.set_result(result)
            else:
                future.set_exception(error)

        def work() -> None:
            result, error = None, None
            try:
                result = self._function(name)
            except Exception as caught:
                error = caught
            except BaseException as caught:  # a callback that exits its thread must not look like one that hangs
                error = RuntimeError(f"{type(caught).__name__}: {caught}")
            try:
                loop.call_soon_threadsafe(settle, result, error)
            except RuntimeError:
                return  # the loop closed while the callback hung

        threading.Thread(target=work, name=f"midas-callback-{name}"[:60], daemon=True).start()
        return await future
