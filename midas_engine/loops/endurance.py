"""What a session survives: a step of its researcher that failed costs that step, until nothing goes any more."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

from midas_engine.errors import (
    BudgetError,
    MidasError,
    ModelError,
    ModelReplyError,
    ModelSetupError,
    ModelTruncatedError,
    SessionError,
)
from midas_engine.shortage import is_shortage

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from midas_engine.clock import Clock
    from midas_engine.settings import ModelSettings

T = TypeVar("T")


class Endurance:
    """Runs a session's steps within its wall time and counts those that failed.

    A step that fails is said, and the session goes on with the next one. It ends when going on is pointless: the key
    or the model is refused before any step went well, a budget is spent, memory is short, the base cannot be read, or
    `session_failures` steps failed in a row. A model that answered before and is refused now may be behind a gateway
    that refused one prompt: that costs the step, as any other fault.

    Args:
        settings: `session_minutes` and `session_failures`.
        clock: Measures the wall time.
        say: Told of each step that failed.
    """

    def __init__(self, settings: ModelSettings, clock: Clock, say: Callable[[str], None]) -> None:
        self._settings, self._clock, self._say = settings, clock, say
        self._began = clock.monotonic()
        self._in_a_row = 0
        self._went_well = False
        self.failed: list[str] = []
        self.over = False

    @property
    def left_seconds(self) -> float | None:
        """Wall time that is left; None without a limit."""
        limit = 60.0 * self._settings.session_minutes
        return max(0.0, self._began + limit - self._clock.monotonic()) if limit > 0 else None

    def check(self) -> None:
        """Refuse to go on past the session's wall time.

        Raises:
            BudgetError: It is over.
        """
        if self.left_seconds == 0.0:
            self.over = True
            raise BudgetError(
                f"the session's wall time of {self._settings.session_minutes:g} min is over",
                hint="raise model.session_minutes, or give --minutes",
            )

    async def step(self, what: str, call: Callable[[], Awaitable[T]], *, optional: bool = False) -> T | None:
        """What `call` gives; None when it failed and the session goes on.

        Args:
            what: The step, in a word.
            call: The researcher's work.
            optional: An answer that cannot be used is passed over: it does not count towards the end.

        Raises:
            BudgetError: The wall time or another budget is spent.
            SessionError: Too many steps failed in a row.
            MidasError: Going on is pointless.
        """
        self.check()
        scope = asyncio.timeout(self.left_seconds)
        try:
            async with scope:
                found = await call()
        except BudgetError as error:
            self.over = self.over or error.of_day
            raise
        except Exception as error:
            if isinstance(error, ModelSetupError) and not self._went_well:
                raise
            if scope.expired():
                self.over = True
                raise BudgetError(f"the session's wall time ended in mid-{what}") from error
            if is_shortage(error) or (isinstance(error, MidasError) and not isinstance(error, ModelError)):
                raise
            self._note(what, error, counts=not (optional and isinstance(error, ModelReplyError | ModelTruncatedError)))
            return None
        self._in_a_row, self._went_well = 0, True
        return found

    def _note(self, what: str, error: Exception, *, counts: bool) -> None:
        told = error.message if isinstance(error, MidasError) else f"{type(error).__name__}: {error}"[:500]
        self.failed.append(f"{what}: {told}")
        self._in_a_row += counts
        if self._in_a_row >= self._settings.session_failures:
            raise SessionError(
                f"{self._in_a_row} steps failed in a row, the last: {told}",
                hint=error.hint if isinstance(error, MidasError) and error.hint else "try another model, or try later",
            ) from error
        self._say(f"\n({what} failed: {told}; the session goes on)\n")

    def told(self) -> str:
        """What failed on the way, for the learning; empty when nothing did."""
        if not self.failed:
            return ""
        word = "step" if len(self.failed) == 1 else "steps"
        return f"{len(self.failed)} {word} failed on the way, the last: {self.failed[-1]}"
