"""Money and time: what the book or one feature earned bar by bar, in which regime, and what happened when."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

from midas_engine.market.instants import all_utc, as_utc
from midas_engine.models import Estimate, FeatureMetrics, Severity
from midas_engine.monitor.figures.chart_history import FIGURES, REGIMES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    from midas_engine.book.figures import Path
    from midas_engine.models import Alert, FeatureRecord
    from midas_engine.monitor.figures.engine import MonitorEngine

DAY_SECONDS = 86_400
# Moves of the pipeline that a reader looks for on the axis.
MOVES = {"promote": "promotion", "redeploy": "promotion", "shadow": "promotion", "demote": "demotion", "kill": "kill"}


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened.

    Attributes:
        kind: promotion, demotion, alert, warning, diagnosis or kill.
    """

    at: datetime
    kind: str
    feature: str
    text: str


@dataclass(frozen=True, slots=True)
class Timeline:
    """Bars on one axis, oldest first; NaN where nothing is known.

    Attributes:
        name: The feature; empty for the book of all that count.
        at: Open time of each bar.
        net_bps: Sum of the net paper returns so far, after costs: of the feature by itself, or of the book.
        drawdown_bps: How far it lies below its highest so far, at most 0.
        regimes: Label of each bar, empty where it was not known.
        marks: What happened, oldest first.
    """

    name: str
    at: tuple[datetime, ...] = ()
    net_bps: tuple[float, ...] = ()
    drawdown_bps: tuple[float, ...] = ()
    regimes: tuple[str, ...] = ()
    marks: tuple[Mark, ...] = ()


def timeline(engine: MonitorEngine, name: str, marks: Iterable[Mark]) -> Timeline:
    """The axis of feature `name`, or of the book when it is empty; MonitorError for a name that is not watched."""
    ring = engine.history_ring
    places = ring.order()
    if name:
        earned = ring.figure("net_bps", places, engine.row(name))
    else:
        earned = book_returns(ring.figure("net_bps", places), ring.figure("share", places))
    level, fallen = _level(earned)
    times = tuple(all_utc(ring.at[places]))
    kept: list[Mark] = []
    if times:
        # What was done by today's clock to recorded bars belongs nowhere on their axis.
        until = times[-1] + timedelta(seconds=max(2 * engine.config.bar_seconds, DAY_SECONDS))
        kept = sorted((m for m in marks if times[0] <= m.at <= until and name in ("", m.feature)), key=_when)
    labels = tuple(REGIMES[code] for code in ring.regime[places])
    return Timeline(name, times, tuple(level.tolist()), tuple(fallen.tolist()), labels, tuple(kept))


def path_timeline(path: Path, marks: Iterable[Mark]) -> Timeline:
    """The axis of a book's daily path; days have no regime."""
    at = tuple(datetime.fromisoformat(x).replace(tzinfo=UTC) for x in path.at)
    level = np.array(path.net_bps)
    fallen = level - np.fmax.accumulate(np.fmax(level, 0.0)) if at else level
    kept = sorted((m for m in marks if at and at[0] <= m.at <= at[-1]), key=_when)
    return Timeline("", at, path.net_bps, tuple(fallen.tolist()), ("",) * len(at), tuple(kept))


def book_returns(net_bps: NDArray[np.float64], share: NDArray[np.float64]) -> NDArray[np.float64]:
    """What the book earned at each bar, [bars]: net returns, by the shares of what counts, both [bars, F]."""
    held = np.where(share > 0.0, net_bps * share, np.nan)
    return np.where(np.isfinite(held).any(axis=1), np.nansum(held, axis=1), np.nan)


def _when(mark: Mark) -> tuple[datetime, str, str]:
    return mark.at, mark.kind, mark.feature


def _level(earned: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    known = np.isfinite(earned)
    level = np.where(np.maximum.accumulate(known), np.cumsum(np.where(known, earned, 0.0)), np.nan)
    highest = np.fmax.accumulate(np.fmax(level, 0.0)) if len(level) else level
    return level, level - highest


def marks_of(
    alerts: Iterable[Alert], records: Iterable[FeatureRecord], kills: Mapping[str, tuple[datetime, str]]
) -> list[Mark]:
    """What happened, as alerts, the features' own histories and the kills tell it."""
    found: list[Mark] = []
    for alert in alerts:
        kind = "alert" if (alert.worst or alert.severity) is Severity.CRITICAL else "warning"
        found.append(Mark(alert.raised_at, kind, alert.feature, alert.message))
        if alert.diagnosis:
            found.append(Mark(alert.last_seen_at, "diagnosis", alert.feature, alert.diagnosis))
    killed = set(kills)
    found += [Mark(at, "kill", name, why) for name, (at, why) in kills.items()]
    for record in records:
        for entry in record.history:
            kind = MOVES.get(str(entry.get("action", "")), "")
            at = _moment(entry.get("at"))
            if kind and at is not None and not (kind == "kill" and record.name in killed):
                found.append(Mark(at, kind, record.name, str(entry.get("reason") or entry.get("action", ""))))
    return found


def _moment(text: object) -> datetime | None:
    try:
        at = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return at if at.tzinfo is not None else None


def moment(
    engine: MonitorEngine,
    at: datetime,
    now: Mapping[str, FeatureMetrics],
    marks: Iterable[Mark],
    alerts: Iterable[Alert],
) -> dict[str, FeatureMetrics]:
    """Figures of every feature as they were at a past bar; what was not kept is unknown, never today's.

    Args:
        engine: Has the last bars of what the charts draw.
        at: The moment; the last bar that was open then counts.
        now: Newest figures: names, promises and gates are taken from them.
        marks: Kills among them say who was stopped by then.
        alerts: Those that ran then say who was healthy.
    """
    ring = engine.history_ring
    places = ring.order()
    times = ring.at[places]
    place = int(np.searchsorted(times, np.datetime64(at.replace(tzinfo=None), "ns"), side="right")) - 1
    if place < 0:
        return {}
    closed = as_utc(times[place]) + timedelta(seconds=engine.config.bar_seconds)
    day = max(1, round(DAY_SECONDS / engine.config.bar_seconds))
    stopped = {m.feature for m in marks if m.kind == "kill" and m.at <= closed}
    loud = _running(alerts, closed)
    then = {key: ring.figure(key, places[place : place + 1])[0] for key in FIGURES}
    last = places[max(0, place + 1 - day) : place + 1]
    net = ring.figure("net_bps", last) * ring.figure("share", last)
    earned = np.where(np.isfinite(net).any(axis=0), np.nansum(net, axis=0), np.nan)
    regime = REGIMES[int(ring.regime[places[place]])]
    found: dict[str, FeatureMetrics] = {}
    for name, m in now.items():
        row = engine.row(name)

        def figure(key: str, row: int = row) -> float:
            return float(then[key][row])

        blind = "warming" if not math.isfinite(figure("ic_5d")) else "uncalibrated"
        calm = "healthy" if m.expected_score is not None and math.isfinite(figure("log_s")) else blind
        found[name] = FeatureMetrics(
            feature=name,
            at=as_utc(times[place]),
            regime=regime,
            status="killed" if name in stopped else loud.get(name, calm),
            bars=place + 1,
            ic_5d=Estimate(figure("ic_5d")),
            ic_30d=Estimate(figure("ic_30d")),
            ic_ratio=figure("ic_5d") / figure("ic_30d") if figure("ic_30d") > 0.0 else math.nan,
            slippage_ratio=figure("slippage_ratio"),
            score=figure("score"),
            pnl_bps=figure("pnl_bps"),
            pnl_net_1d_bps=float(earned[row]),
            expected_score=m.expected_score,
            decay_log_s=figure("log_s"),
            decay_threshold=m.decay_threshold,
            # what follows from the promise alone was so then
            days_to_detect_drop=m.days_to_detect_drop,
            days_to_detect_flip=m.days_to_detect_flip,
            false_alarms_per_year=m.false_alarms_per_year,
        )
    return found


def _running(alerts: Iterable[Alert], at: datetime) -> dict[str, str]:
    """The loudest alert of each feature that ran at `at`."""
    found: dict[str, str] = {}
    for alert in alerts_at(alerts, at):
        if found.get(alert.feature) != "critical":
            found[alert.feature] = alert.severity.value
    return {name: severity for name, severity in found.items() if severity in ("critical", "warning")}


def alerts_at(alerts: Iterable[Alert], at: datetime) -> list[Alert]:
    """Alerts as far as they were known at `at`: what was raised later is not there, what ended later runs."""
    return [
        a if a.resolved_at is None or a.resolved_at <= at else _reopened(a, at) for a in alerts if a.raised_at <= at
    ]


def _reopened(alert: Alert, at: datetime) -> Alert:
    from midas_engine.models import AlertStatus

    return dataclasses.replace(alert, status=AlertStatus.OPEN, resolved_at=None, closed="", last_seen_at=at)
