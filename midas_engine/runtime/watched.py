"""`Watched`: what is watched now, shared by the runtime's parts: two of them fill it, the others read it."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from midas_engine.errors import MonitorError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from midas_engine.clock import Clock
    from midas_engine.market import Panel
    from midas_engine.models import Alert
    from midas_engine.monitor.online import OnlineMonitor
    from midas_engine.runtime.live import LiveWatch
    from midas_engine.runtime.recorded_bars import FleetStage

# Alerts that ended because their feature left the watch, kept for the feed.
CLOSED_KEPT = 200
MOST_NAMED = 5


@dataclass(slots=True)
class Watched:
    """What is watched now.

    Attributes:
        mode: LIVE, OFFLINE or REPLAY.
        source: Where the bars come from.
        clock: Time of the bars: of the replay in a replay, of the end of a recording, else the wall's.
        panel: The data; None until it is loaded.
        stage: What runs the bars; None when nothing is watched.
        live: The stage again, on a feed.
        problems: Why a feature cannot be watched, by name.
        frozen_at: When each feature came to where it stands.
        closed: Alerts that ended because their feature left.
        held: Who has the watch of the base, where this process does not.
        blind: The feed is silent: no figure is about now.
    """

    mode: str
    source: str
    clock: Clock
    panel: Panel | None = None
    stage: FleetStage | LiveWatch | None = None
    live: LiveWatch | None = None
    problems: dict[str, str] = field(default_factory=dict)
    frozen_at: dict[str, datetime] = field(default_factory=dict)
    closed: deque[Alert] = field(default_factory=lambda: deque(maxlen=CLOSED_KEPT))
    held: str = ""
    blind: bool = False

    @property
    def replaying(self) -> bool:
        """Whether it is a replay, which changes nothing."""
        return self.mode == "REPLAY"

    @property
    def market(self) -> Panel | None:
        """The data, from the moment a feed has answered: bars are caught up with before `panel` is there."""
        return self.panel if self.panel is not None else self.live.panel if self.live is not None else None

    @property
    def monitor(self) -> OnlineMonitor | None:
        """The live monitor; None where there is none, or none yet."""
        return self.live.monitor if self.live is not None and self.live.begun else None

    @property
    def names(self) -> tuple[str, ...]:
        """Features that are watched."""
        return tuple(self.stage.fleet.names) if self.stage is not None else ()

    @property
    def needed(self) -> FleetStage | LiveWatch:
        """The stage; MonitorError when nothing is watched."""
        if self.stage is None:
            raise MonitorError("nothing is watched", hint="promote a candidate first")
        return self.stage

    @property
    def expressions(self) -> dict[str, str]:
        """Formula of every watched feature."""
        return dict(self.stage.expressions) if self.stage is not None else {}

    def now(self) -> datetime:
        """Time of the bars."""
        return self.clock.now()

    def take_problems(self, problems: Mapping[str, str], hint: str, fault: Callable[[str, str, str], None]) -> None:
        """Say which features cannot be watched: each once, and many as one."""
        fresh = {name: why for name, why in problems.items() if self.problems.get(name) != why}
        self.problems = dict(problems)
        for name, why in list(fresh.items())[:MOST_NAMED]:
            fault("monitor", f"{name} {why}", hint)
        if len(fresh) > MOST_NAMED:
            fault("monitor", f"{len(fresh) - MOST_NAMED} more features cannot be watched", hint)
