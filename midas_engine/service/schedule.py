"""Discovery on a schedule: cron lines in UTC, one session at a time."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from midas_engine.errors import MidasError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Mapping

    from midas_engine.clock import Clock

# The longest sleep without a look at the clock: one that was set anew is obeyed within a minute.
SLICE_SECONDS = 60.0
_LATE_SECONDS = 3600.0
_KNOWN = 1000  # instants that were begun: a clock that is set back does not begin them again


@dataclass(frozen=True, slots=True)
class Due:
    """A session that is to start."""

    at: datetime
    goal: str


class Schedule:
    """The cron lines of `service.sessions`.

    What was due while the service was not running is not made up for.

    Args:
        lines: Goal to cron line, five fields, UTC.

    Raises:
        SettingsError: A line is none, or the extra is missing.
    """

    def __init__(self, lines: Mapping[str, str]) -> None:
        self._lines = dict(lines)
        if not lines:
            return
        try:
            from croniter import croniter
        except ImportError:
            raise SettingsError("service.sessions needs croniter", hint="pip install 'midas-alpha[service]'") from None
        for goal, line in lines.items():
            # croniter takes more than five fields, words such as @daily and hashed ones; a cron line has five.
            if len(line.split()) != 5 or len(line) > 100 or "h" in line.lower() or not croniter.is_valid(line):
                raise SettingsError(
                    f"service.sessions: {line!r} of {goal!r} is no cron line", hint='five fields, UTC: "0 3 * * *"'
                )
            if not goal.strip():
                raise SettingsError("service.sessions: a goal is empty", hint='"momentum" = "0 3 * * *"')

    def next(self, after: datetime) -> Due | None:
        """The first session due after an instant; None when there is none."""
        if not self._lines:
            return None
        from croniter import croniter

        found = [Due(croniter(line, after).get_next(datetime).astimezone(UTC), g) for g, line in self._lines.items()]
        return min(found, key=lambda due: due.at)

    async def run(
        self, clock: Clock, start: Callable[[str], Awaitable[object]], refused: Callable[[str, str], None]
    ) -> None:
        """Start sessions as they fall due, until cancelled.

        Args:
            clock: Says when that is.
            start: Starts a session for a goal.
            refused: Told (message, hint) of one that could not start.
        """
        begun: deque[Due] = deque(maxlen=_KNOWN)
        before = clock.now()
        waiting = {goal: self._next(goal, before, begun) for goal in self._lines}
        while waiting:
            now = clock.now()
            if now < before:  # set back, perhaps from years ahead: what is due is judged anew
                waiting = {goal: self._next(goal, now, begun) for goal in waiting}
            before = now
            for due in sorted((d for d in waiting.values() if d.at <= now), key=lambda d: d.at):
                if (now - due.at).total_seconds() < _LATE_SECONDS:  # else the clock jumped: its own hour may still come
                    begun.append(due)
                waiting[due.goal] = self._next(due.goal, now, begun)
                try:
                    await start(due.goal)
                except asyncio.CancelledError:
                    raise
                except MidasError as error:
                    refused(f"the session {due.goal!r} was due and did not start: {error.message}", error.hint)
            soonest = min(due.at for due in waiting.values())
            await clock.sleep(max(0.0, min((soonest - clock.now()).total_seconds(), SLICE_SECONDS)))

    def _next(self, goal: str, after: datetime, begun: Collection[Due]) -> Due:
        """The first instant after `after` at which a goal is due and was not begun yet: a clock may come by twice."""
        from croniter import croniter

        due = Due(after, goal)
        while due.at <= after or due in begun:
            due = Due(croniter(self._lines[goal], due.at).get_next(datetime).astimezone(UTC), goal)
        return due
