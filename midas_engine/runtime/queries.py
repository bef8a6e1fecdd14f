"""What is asked about live features, and the answers of an operator to their alerts."""

from __future__ import annotations

import contextlib
import dataclasses
import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from midas_engine.errors import MonitorError
from midas_engine.market.instants import all_utc, as_utc
from midas_engine.runtime.book_money import BookMoney, feature_money
from midas_engine.runtime.timeline import Mark, Timeline, marks_of, moment, timeline
from midas_engine.runtime.watch_report import WatchReport, watch_report

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from midas_engine.events import Event
    from midas_engine.models import Alert, FeatureMetrics, PipelineSummary
    from midas_engine.runtime.open_base import OpenBase
    from midas_engine.runtime.supervisor import Supervisor
    from midas_engine.runtime.watched import Watched
    from midas_engine.sentence import Money

CHART_FIGURES = ("ic_5d", "ic_30d", "slippage_ratio", "pnl_bps", "score", "log_s")
LEAST_RECORD_BARS = 2
STALE_AFTER_BARS = 3
# These are the operator's word, whatever the feed does.
_SAID = ("killed", "paused")


@dataclass(frozen=True, slots=True)
class ChartData:
    """Recent bars of one feature: a series of floats per figure, oldest first, NaN where unknown; `at` their times."""

    series: Mapping[str, Sequence[float]]
    at: Sequence[datetime] = ()


@dataclass(frozen=True, slots=True)
class Portfolio:
    """The test on the mean score of all live features.

    Attributes:
        log_s: ln of its statistic; NaN with fewer than two promised features.
        threshold: Where it calls.
        features: How many features it watches.
    """

    log_s: float
    threshold: float
    features: int


@dataclass(frozen=True, slots=True)
class ForwardRecord:
    """What a feature did on the bars it was watched.

    Attributes:
        since: Open time of the first bar counted.
        bars: How many bars have a score.
        score: Mean causal score.
        se: Its standard error, from bars taken as independent.
        pnl_bps: Paper return of the fleet that is this feature's, summed, gross, bps.
        forward: The bars came after the feature was frozen; False: recorded data, seen in hindsight.
        graduation: How far one in shadow is that fell short at its sealed look, in words; empty where none did.
        proposed: "promote" or "reject" where its evidence crossed a line; an operator decides.
    """

    since: datetime
    bars: int
    score: float
    se: float
    pnl_bps: float
    forward: bool
    graduation: str = ""
    proposed: str = ""

    @property
    def t(self) -> float:
        """Score over its standard error; NaN where there is none."""
        return self.score / self.se if self.se > 0 else math.nan


class Queries:
    """Answers about what is watched. Live, an operator's answer to an alert is on disk before it is confirmed.

    Args:
        watched: What is watched.
        base: Its journal has the bars that the charts no longer hold.
        supervisor: In which phase the program is, and where alert events go.
        proposed: Kills that diagnoses propose, by feature.
    """

    def __init__(
        self,
        watched: Watched,
        base: OpenBase,
        supervisor: Supervisor,
        *,
        proposed: Callable[[], Mapping[str, str]],
    ) -> None:
        self._watched, self._base, self._supervisor = watched, base, supervisor
        self._proposed = proposed
        self._older: dict[str, tuple[Any, ...]] = {}
        self._money = BookMoney()

    # -- queries ---------------------------------------------------------------------------------

    def metrics(self) -> Mapping[str, FeatureMetrics]:
        """Newest figures of every watched feature; none is healthy while no bars come."""
        stage = self._watched.stage
        if stage is None or not stage.fleet.names:
            return {}
        fleet = stage.fleet
        with contextlib.suppress(MonitorError):
            found = {name: fleet.metrics(name, fleet.last_bar) for name in fleet.names}
            if not self.stale and not self._watched.blind:
                return found
            return {n: m if m.status in _SAID else dataclasses.replace(m, status="stale") for n, m in found.items()}
        return {}

    def chart(self, name: str) -> ChartData | None:
        """Recent bars of a feature for the charts; None when it is not watched."""
        stage = self._watched.stage
        if stage is None or name not in stage.fleet.names:
            return None
        arrays = stage.fleet.engine.history(name)
        series = {figure: arrays[figure].tolist() for figure in CHART_FIGURES}
        return ChartData(series, all_utc(arrays["at"]))

    def timeline(self, name: str = "", summary: PipelineSummary | None = None) -> Timeline | None:
        """Money and time of a feature, or of the book when `name` is empty; None when it is not watched.

        Args:
            name: The feature.
            summary: The pipeline, whose features tell when they were moved; None: not asked, as in a replay.
        """
        stage = self._watched.stage
        if stage is None or not stage.fleet.built or (name and name not in stage.fleet.names):
            return None
        return timeline(stage.fleet.engine, name, self._marks(summary))

    def money(self, name: str = "") -> Money | None:
        """The last value of `timeline` with its error, cheap at every bar; None where not known or not watched."""
        stage = self._watched.stage
        if stage is None or not stage.fleet.built or (name and name not in stage.fleet.names):
            return None
        engine = stage.fleet.engine
        return feature_money(engine, name) if name else self._money.at(engine)

    def moment(self, at: datetime, summary: PipelineSummary | None = None) -> Mapping[str, FeatureMetrics]:
        """Figures of every watched feature as they were at `at`; empty before the first bar that is kept."""
        stage = self._watched.stage
        if stage is None or not stage.fleet.built:
            return {}
        alerts = self.alerts(include_resolved=True)
        return moment(stage.fleet.engine, at, self.metrics(), self._marks(summary), alerts)

    def _marks(self, summary: PipelineSummary | None) -> list[Mark]:
        stage = self._watched.needed
        kills = {r.feature: (datetime.fromisoformat(r.at), r.reason) for r in stage.fleet.kills.records.values()}
        records = () if summary is None else (*summary.deployed, *summary.shadow, *summary.archived)
        return marks_of(self.alerts(include_resolved=True), records, kills)

    def portfolio(self) -> Portfolio | None:
        """The portfolio detector; None before anything is watched."""
        stage = self._watched.stage
        if stage is None or not stage.fleet.built:
            return None
        engine = stage.fleet.engine
        promised = np.isfinite(engine.bank.base) & (engine.counted > 0)
        return Portfolio(engine.portfolio.log_s, engine.bank.threshold, int(promised.sum()))

    def forward(self, name: str) -> ForwardRecord | None:
        """What a watched feature did since it was frozen; None when no bar counts."""
        stage = self._watched.stage
        if stage is None or name not in stage.fleet.names:
            return None
        arrays = stage.fleet.engine.history(name)
        at, score, pnl = arrays["at"], arrays["score"].astype(np.float64), arrays["pnl_bps"].astype(np.float64)
        frozen = self._watched.frozen_at.get(name)
        forward = False
        if frozen is not None and len(at):
            after = at >= np.datetime64(frozen.astimezone(UTC).replace(tzinfo=None), "ns")
            forward = bool(after.any())
            if forward:
                at, score, pnl = at[after], score[after], pnl[after]
            if name in stage.fleet.shadow and at[0] == arrays["at"][0]:
                # older than what the charts hold: the journal has the rest
                at, score, pnl = self._with_older(name, frozen, at, score, pnl)
        known = np.isfinite(score)
        if known.sum() < LEAST_RECORD_BARS:
            return None
        found = score[known]
        row = stage.fleet.names.index(name)
        return ForwardRecord(
            since=as_utc(at[known][0]),
            bars=len(found),
            score=float(found.mean()),
            se=float(found.std(ddof=1) / math.sqrt(len(found))),
            pnl_bps=float(np.nansum(pnl)),
            forward=forward,
            graduation=stage.fleet.forward.words(row, stage.fleet.stream.bar_seconds),
            proposed=stage.fleet.forward.proposed(row),
        )

    def _with_older(self, name: str, since: datetime, at: Any, score: Any, pnl: Any) -> tuple[Any, Any, Any]:
        journal = self._base.journal
        if journal is None or not len(at):
            return at, score, pnl
        until = as_utc(at[0])
        key = (name, since, until.date())
        if self._older.get(name, (None,))[0] != key:  # read once a day: it only grows at its end
            from midas_engine.monitor.shadow_record import record_between

            self._older[name] = (key, *record_between(journal, name, since, until))
        _, times, scores, gross = self._older[name]
        kept = [place for place, when in enumerate(times) if when < until]
        stamps = np.array([np.datetime64(times[k].replace(tzinfo=None), "ns") for k in kept], "datetime64[ns]")
        return np.append(stamps, at), np.append(scores[kept], score), np.append(gross[kept], pnl)

    def kill_proposals(self) -> Mapping[str, str]:
        """Features that the e-detector or a diagnosis would stop, and why; an operator decides."""
        stage = self._watched.stage
        if stage is None:
            return {}
        fleet = stage.fleet
        found = {name: f"a diagnosis: {why}" for name, why in self._proposed().items() if name in fleet.names}
        return {n: why for n, why in (found | fleet.kill_wanted).items() if n not in fleet.kills.killed}

    def alerts(self, *, include_resolved: bool = False) -> Sequence[Alert]:
        """Episodes, newest first; with the resolved ones those too that ended because their feature left."""
        stage = self._watched.stage
        found = stage.alerts.alerts(include_resolved=include_resolved) if stage is not None else []
        if not include_resolved:
            return found
        known = {alert.id for alert in found}
        return [*found, *(alert for alert in self._watched.closed if alert.id not in known)]

    @property
    def stale(self) -> bool:
        """No bar of the last two intervals was scored: what the figures say is about the past."""
        stage = self._watched.stage
        if stage is None or not stage.fleet.built or stage.fleet.stream.last is None:
            return False
        fleet = stage.fleet
        # The newest bar is named by its open time: it closed one interval later, and two more may pass.
        return (self._watched.now() - fleet.last_bar).total_seconds() > STALE_AFTER_BARS * fleet.stream.bar_seconds

    def watch_report(self, summary: PipelineSummary) -> WatchReport:
        """What of the pipeline is not watched, and what left the watch today; nothing in a replay."""
        if self._watched.replaying or self._supervisor.phase == "starting":
            return WatchReport()
        return watch_report(summary, self._watched.names, self._watched.problems, self._supervisor.clock.now().date())

    # -- the operator ----------------------------------------------------------------------------

    async def acknowledge(self, alert_id: str) -> str:
        """Mark an episode as seen; MonitorError when it does not run."""
        await self._told(self._watched.needed.alerts.acknowledge(alert_id, self._watched.now()))
        return "acknowledged"

    async def snooze(self, alert_id: str, hours: float) -> str:
        """Silence an episode for `hours`; MonitorError when it does not run."""
        await self._told(self._watched.needed.alerts.snooze(alert_id, hours, self._watched.now()))
        return f"snoozed for {hours:g} h" if hours >= 1.0 else f"snoozed for {hours * 60.0:.0f} minutes"

    async def reopen(self, alert_id: str) -> str:
        """Take an acknowledgement or a snooze back; MonitorError when the episode has ended."""
        await self._told(self._watched.needed.alerts.reopen(alert_id, self._watched.now()))
        return "open again"

    async def _told(self, events: Iterable[Event]) -> None:
        for event in events:
            self._supervisor.bus.publish(event)
        if (monitor := self._watched.monitor) is not None:
            await monitor.save()
