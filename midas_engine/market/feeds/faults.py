"""Whatever goes wrong inside a source, by its name: a `FeedError` that says who, what, what came, and what to do."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING

from midas_engine.errors import FeedError
from midas_engine.market.venues.words import reason_of

if TYPE_CHECKING:
    from collections.abc import Iterator

HINT = "it is asked again; if this stays, look at the network and at what the source answers"


@contextmanager
def as_feed_error(name: str, what: str, *, hint: str = HINT) -> Iterator[None]:
    """Inside the block every failure, of whatever type, becomes a `FeedError`: ``NAME did not give WHAT: ...``.

    A library may raise what it likes: its own errors, those of wrong shapes (KeyError, TypeError, AttributeError), of
    odd numbers, even a cancellation nobody asked for. Only a true cancellation and the end of the program pass.

    Example:
        >>> with as_feed_error("binance", "funding of BTCUSDT"):
        ...     {"code": 0}[0]
        Traceback (most recent call last):
        midas_engine.errors.FeedError: binance did not give funding of BTCUSDT: KeyError: 0
          hint: it is asked again; if this stays, look at the network and at what the source answers
    """
    try:
        yield
    except (FeedError, KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise FeedError(f"{name} did not give {what}: it cancelled itself", hint=hint) from error
    except BaseException as error:
        raise FeedError(f"{name} did not give {what}: {reason_of(error)}", hint=hint) from error
