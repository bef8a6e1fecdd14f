"""Work that no cancellation cuts short: a second Ctrl-C must not keep a learning from the disk."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Coroutine


async def to_the_end(work: Coroutine[object, object, None]) -> None:
    """Await `work` whatever cancellations come meanwhile.

    Example:
        >>> asyncio.run(to_the_end(asyncio.sleep(0)))
    """
    task = asyncio.ensure_future(work)
    while not task.done():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.shield(task)
    task.result()
