"""Where work is done: part of the settings, in a file of its own."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ExecutorSettings:
    """Who does the work of sessions, calibrations and campaigns; how many there are says `evaluation.workers`.

    Attributes:
        kind: processes (each watched, a dead one replaced) or threads.
        memory_mb: Megabytes of its own data that a worker may have, beside the panel that all share; 0: no limit.
    """

    kind: str = "processes"
    memory_mb: int = 0
