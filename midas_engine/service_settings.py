"""What `midas run` does beside watching: part of the settings, in a file of its own."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ServiceSettings:
    """The service, `midas run`. Every door and every output is off until it is set.

    Attributes:
        sessions: Discovery on a schedule: a goal to its cron line in UTC, as
            `"momentum that survives costs" = "0 3 * * *"`.
        iterations: Plans of a session on the schedule.
        health: Loopback address that answers /health and /metrics, as 127.0.0.1:9464; empty: none.
        websocket: Loopback address that terminals attach to beside the base's own socket, as 127.0.0.1:8765; empty:
            none.
        record: Keep every run's events in the base, to be replayed.
        runs_mb: Megabytes that recorded runs may take; the oldest go first.
        keep_days: Days after which recorded runs, and the journal's events, model calls and transcripts go; what was
            decided and the trial ledger stay for good. 0: none goes by its age.
        log_mb: Megabytes after which the log is rotated; three older ones are kept. 0: no log.
        clients: Most terminals and commands connected at a time.
    """

    sessions: dict[str, str] = field(default_factory=dict)
    iterations: int = 6
    health: str = ""
    websocket: str = ""
    record: bool = True
    runs_mb: int = 256
    keep_days: int = 0
    log_mb: int = 8
    clients: int = 32
