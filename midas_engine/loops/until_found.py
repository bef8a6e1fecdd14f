"""Sessions one after another in one base, until one leaves a candidate."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from midas_engine.clock import Clock
    from midas_engine.events import SessionEnded
    from midas_engine.settings import Settings

MOST_SESSIONS = 1000


class UntilFound:
    """Says what the next session is given, while the one before came to its end and left nothing.

    A later session of a base asks nothing that an earlier one asked. Each has a seed and a session's error of its own;
    the sealed part is charged over the base's lifetime, however many there are.

    Args:
        settings: Of the first one; `model.session_minutes` are the minutes of all of them.
        most: Sessions at most.
        clock: Counts the minutes.

    Example: `while (given := chain.next()) is not None: chain.heard(await one(given))`
    """

    def __init__(self, settings: Settings, most: int, clock: Clock) -> None:
        self._settings, self.most, self._clock = settings, most, clock
        self._began = clock.monotonic()
        self._ended = False
        self.begun = 0

    def next(self) -> Settings | None:
        """Settings of the next session; None when there is to be none."""
        if self._ended or self.begun >= self.most or self.out_of_time:
            return None
        self.begun += 1
        settings, minutes = self._settings, self._settings.model.session_minutes
        left = minutes - self._spent() if minutes else 0.0
        model = dataclasses.replace(settings.model, session_minutes=left)
        return dataclasses.replace(settings, model=model, seed=settings.seed + self.begun - 1)

    def heard(self, ended: SessionEnded | None) -> None:
        """How it ended: who found something, was cancelled or failed is not followed by another."""
        self._ended = ended is None or ended.result != "failed"

    @property
    def out_of_time(self) -> bool:
        """Whether the minutes of all sessions are over, with some of them still to come."""
        minutes = self._settings.model.session_minutes
        return bool(minutes) and self._spent() >= minutes and not self._ended and self.begun < self.most

    def _spent(self) -> float:
        return (self._clock.monotonic() - self._began) / 60.0
