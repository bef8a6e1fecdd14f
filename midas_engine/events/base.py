"""What every event has in common."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Base of all events. `at` is engine time (replay time in replay), UTC."""

    at: datetime
    version: ClassVar[int] = SCHEMA_VERSION

    @property
    def replace_key(self) -> object | None:
        """Events of one type and key replace one another while they wait; None: never replaced."""
        return None
