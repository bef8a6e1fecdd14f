"""`together`: several awaits at once; the first failure ends the others and comes out as itself."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

from midas_engine.errors import FeedError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

T = TypeVar("T")


async def together(work: Sequence[Awaitable[T]]) -> list[T]:
    """The results of `work`, done together; of a group's failures the first, so that callers see a FeedError."""

    async def one(item: Awaitable[T]) -> T:
        return await item

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(item)) for item in work]
    except ExceptionGroup as group_error:
        errors = group_error.exceptions
        raise next((e for e in errors if isinstance(e, FeedError)), errors[0]) from None
    return [task.result() for task in tasks]
