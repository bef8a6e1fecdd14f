"""What should be watched and is not, and what left the watch today: the rows that must not be missing in silence."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from midas_engine.promoter.rules import ACTIONS

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import date

    from midas_engine.models import FeatureRecord, PipelineSummary

LIVE_STATES = ("deployed", "shadow")


@dataclass(frozen=True, slots=True)
class Unwatched:
    """A live feature that nobody watches here.

    Attributes:
        why: The reason, in one line.
        damaged: Its file cannot be used; False: this data or this process cannot watch it.
    """

    name: str
    why: str
    damaged: bool


@dataclass(frozen=True, slots=True)
class Left:
    """A feature that left the watch today.

    Attributes:
        how: "killed", "demoted", "rejected" ...
        at: When, by the wall's clock.
    """

    name: str
    how: str
    at: datetime
    reason: str = ""


@dataclass(frozen=True, slots=True)
class WatchReport:
    """The watch as it differs from the pipeline."""

    unwatched: tuple[Unwatched, ...] = ()
    left: tuple[Left, ...] = ()


def watch_report(
    summary: PipelineSummary, watched: Collection[str], problems: Mapping[str, str], today: date
) -> WatchReport:
    """Compare the pipeline with what is watched.

    Args:
        summary: Every feature, damaged ones included.
        watched: Names that are watched.
        problems: Why a feature cannot be watched, by name.
        today: The day of the wall's clock, UTC.
    """
    known = set(watched)
    unwatched = [
        Unwatched(r.name, _why(r, problems), bool(r.damaged))
        for r in (*summary.deployed, *summary.shadow)
        if r.damaged or r.name not in known
    ]
    left = [found for r in summary.archived if r.name not in known and (found := _left(r, today)) is not None]
    left.sort(key=lambda one: one.at, reverse=True)
    return WatchReport(tuple(unwatched), tuple(left))


def _why(record: FeatureRecord, problems: Mapping[str, str]) -> str:
    return record.damaged or problems.get(record.name) or "not yet: its past is being computed"


def _left(record: FeatureRecord, today: date) -> Left | None:
    last = record.history[-1] if record.history else {}
    if last.get("from") not in LIVE_STATES:
        return None
    try:
        at = datetime.fromisoformat(str(last["at"]))
    except (KeyError, ValueError):
        return None
    if at.tzinfo is None or at.date() != today:
        return None
    action = str(last.get("action", ""))
    return Left(record.name, _how(record, action), at, record.reason)


def _how(record: FeatureRecord, action: str) -> str:
    if record.killed or action not in ACTIONS:
        return "killed" if record.killed else action
    return "replaced" if action == "redeploy" else ACTIONS[action].done  # what left is the version before
