"""The demo's monitoring session: the year's last months, bar by bar, with an operator who confirms kills."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from midas_engine.events import AlertRaised, DiagnosisFinished, KillProposed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import date

    from midas_engine.clock import ManualClock
    from midas_engine.demo.world import World
    from midas_engine.events import Event
    from midas_engine.models import Alert, DailyReport, DiagnoseResult, FeatureMetrics
    from midas_engine.monitor import OnlineMonitor


@dataclass(slots=True)
class Moment:
    """Something that happened, and on which bar: an alert, or a kill."""

    bar: int
    feature: str
    alert: Alert | None = None

    @property
    def killed(self) -> bool:
        """A kill was carried out."""
        return self.alert is None

    @property
    def called(self) -> bool:
        """The sequential test called the feature dead: the only alert with a stated false-alarm rate."""
        return self.alert is not None and self.alert.rule == "detector"


@dataclass(slots=True)
class Story:
    """What a monitoring session saw.

    Attributes:
        bars: How many bars were watched.
        moments: Alerts and kills, in order.
        told: Features whose kill reached the `on_kill` callback.
        diagnoses: In order.
        metrics: Of every feature after the last bar.
        report: Of the day with the first kill, or of the last day.
    """

    bars: int = 0
    moments: list[Moment] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    diagnoses: list[DiagnoseResult] = field(default_factory=list)
    metrics: list[FeatureMetrics] = field(default_factory=list)
    report: DailyReport | None = None

    @property
    def killed(self) -> list[str]:
        """Features that were killed, in order."""
        return [m.feature for m in self.moments if m.killed]


async def live(
    world: World,
    monitor: OnlineMonitor,
    features: dict[str, str],
    clock: ManualClock,
    story: Story,
    on_event: Callable[[Event], None],
) -> None:
    """Hand every bar of the live part to the monitor and write down what it says.

    Args:
        world: The market.
        monitor: Fresh, watching `features`.
        features: Name -> expression.
        clock: The monitor's; moved to each bar's close.
        story: Filled as things happen.
        on_event: Told of alerts, diagnoses and kills.
    """
    from midas_engine.market.forward import forward_returns

    values = {name: world.values(expression) for name, expression in features.items()}
    returns = forward_returns(world.panel, (1,))[1]
    heard = monitor.bus.subscribe("demo", AlertRaised, KillProposed, DiagnosisFinished)
    hour = timedelta(seconds=world.panel.bar_seconds)
    day: date | None = None
    for bar in range(world.searched, world.panel.T):
        at = world.opens(bar)
        clock.set(at + hour)
        if day is not None and at.date() != day:
            _end_of_day(monitor, story, day)
        day = at.date()
        await monitor.process_update(
            timestamp=at,
            feature_values={name: matrix[bar] for name, matrix in values.items()},
            forward_return=returns[bar],
            fills={"slippage_bps": float(world.slippage[bar])},
            regime=str(world.regimes[bar]),
            market_context={"source": f"synthetic:{world.market.seed}"},
        )
        story.bars += 1
        if monitor.diagnostics is not None and monitor.diagnostics.running:
            await monitor.diagnostics.settle()  # live bars never wait; here the story must be the same every time
        await _listen(monitor, heard.take(), bar, story, on_event)
    await monitor.kills.settle()
    story.metrics = monitor.all_metrics()
    if story.report is None and day is not None:
        story.report = monitor.generate_daily_report(day)


async def _listen(
    monitor: OnlineMonitor, events: Sequence[Event], bar: int, story: Story, on_event: Callable[[Event], None]
) -> None:
    for event in events:
        on_event(event)
        if isinstance(event, AlertRaised):
            story.moments.append(Moment(bar, event.alert.feature, event.alert))
        elif isinstance(event, KillProposed) and event.source == "detector":
            # The policy is "confirm": the detector proposes, an operator decides. The demo plays the operator,
            # who does not act on a diagnosis alone.
            if await monitor.kill(event.feature, reason=f"confirmed by the demo's operator: {event.reason}"):
                story.moments.append(Moment(bar, event.feature))
        elif isinstance(event, DiagnosisFinished) and event.result is not None:
            story.diagnoses.append(event.result)


def _end_of_day(monitor: OnlineMonitor, story: Story, day: date) -> None:
    """The daily report of the day on which the first feature was killed."""
    killed_at = {record.at[:10] for record in monitor.kills.records.values()}
    if story.report is None and day.isoformat() in killed_at:
        story.report = monitor.generate_daily_report(day)
