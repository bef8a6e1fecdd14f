"""What the report of a day says, copied out of the running monitor."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, Protocol

from midas_engine.errors import MonitorError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from midas_engine.models import FeatureMetrics
    from midas_engine.monitor.days import Day
    from midas_engine.monitor.fleet import Fleet
    from midas_engine.monitor.kill.records import KillRecord

PLOTTED = 8


class Move(Protocol):
    """A move in the pipeline, as the journal keeps it."""

    @property
    def at(self) -> datetime: ...  # noqa: D102
    @property
    def feature(self) -> str: ...  # noqa: D102
    @property
    def action(self) -> str: ...  # noqa: D102
    @property
    def actor(self) -> str: ...  # noqa: D102
    @property
    def reason(self) -> str: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class DayFacts:
    """Everything the report of a day says, copied out of the running monitor.

    Attributes:
        ledger: What the day brought.
        metrics: Figures of every feature after the last bar.
        kills: Kills of the day.
        moves: Moves in the pipeline on that day, as (time, feature, action, actor, reason).
        history: Recent bars of a few features, for the plots.
        book: The section on the book of all deployed features, in Markdown; empty where nobody measures one.
        earlier: What whole days before it earned after costs, bps, oldest first.
    """

    day: date
    ledger: Day
    metrics: tuple[FeatureMetrics, ...]
    kills: tuple[KillRecord, ...]
    moves: tuple[tuple[str, ...], ...] = ()
    history: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    book: str = ""
    earlier: tuple[float, ...] = ()


def gather(fleet: Fleet, kills: Iterable[KillRecord], day: date | str, moves: Iterable[Move] = ()) -> DayFacts:
    """Copy what the report of `day` needs; MonitorError for text that is no date."""
    when = as_day(day)
    ledger = copy.deepcopy(fleet.days.of(when))
    metrics: list[FeatureMetrics] = []
    history: dict[str, Mapping[str, Any]] = {}
    if fleet.built and fleet.stream.last is not None:
        metrics = [fleet.metrics(name, fleet.last_bar) for name in fleet.names]
        history = {name: fleet.engine.history(name) for name in fleet.names[:PLOTTED]}
    fallen = tuple(r for r in kills if r.at[:10] == when.isoformat())
    kept = sorted(d for d in fleet.days.days if d < when.isoformat())
    # the first day that is kept may have begun before the monitor did
    before = tuple(day.net_bps for day in (fleet.days.of(date.fromisoformat(d)) for d in kept[1:]) if day.bars)
    return with_moves(DayFacts(when, ledger, tuple(metrics), fallen, history=history, earlier=before), moves)


def with_moves(facts: DayFacts, moves: Iterable[Move]) -> DayFacts:
    """The facts with the pipeline's moves of that day."""
    rows = tuple(
        (f"{m.at.astimezone(UTC):%H:%M}", m.feature, m.action, m.actor, m.reason)
        for m in moves
        if m.at.astimezone(UTC).date() == facts.day
    )
    return replace(facts, moves=rows)


def as_day(day: date | str) -> date:
    """A date from a date, a datetime (its UTC day) or ISO text; MonitorError for anything else."""
    if isinstance(day, datetime):
        return day.astimezone(UTC).date()
    if isinstance(day, date):
        return day
    try:
        return date.fromisoformat(str(day))
    except ValueError:
        raise MonitorError(f"{day!r} is not a day", hint="write it as 2025-01-15") from None
