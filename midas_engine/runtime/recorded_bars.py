"""Recorded bars through the online loop, one by one: what replay and catching up run."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from midas_engine.bus import EventBus
from midas_engine.evaluator.context.scored_as import watched_across
from midas_engine.events import AlertRaised, BarProcessed, FeatureTicked, KillProposed
from midas_engine.market.instants import all_utc
from midas_engine.monitor.alerts.engine import AlertEngine
from midas_engine.monitor.diagnosis.recorded import follow_up
from midas_engine.monitor.figures.engine import EngineConfig
from midas_engine.monitor.fleet import Fleet
from midas_engine.monitor.kill.switch import KillRecord, KillSwitch
from midas_engine.monitor.state.codec import pack, unpack

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import datetime

    from numpy.typing import NDArray

    from midas_engine.clock import Clock
    from midas_engine.events import Event
    from midas_engine.market.panel import Panel
    from midas_engine.runtime.watchlist import LiveFeature
    from midas_engine.settings import Settings

TICKS_PER_BAR = 256


@dataclass(slots=True)
class Recording:
    """A panel prepared for watching.

    Attributes:
        panel: The market.
        first: Row at which the stage starts, warm-up included.
        shown: Row of the first bar that is shown.
        regimes: Label of every row.
        book: What is watched.
        problems: Features that cannot be, and why, by name.
        slippage: Realised slippage per row and the expected one, bps; None when there were no fills.
    """

    panel: Panel
    first: int
    shown: int
    regimes: NDArray[np.str_]
    book: list[LiveFeature]
    problems: dict[str, str]
    slippage: tuple[NDArray[np.float64], float] | None = None

    @property
    def times(self) -> list[datetime]:
        """Open time of every bar of the stage."""
        return all_utc(self.panel.timestamps[self.first :])

    def stage(
        self,
        settings: Settings,
        clock: Clock,
        thresholds: dict[str, Any] | None = None,
        *,
        kills: bool = False,
        diagnoses: bool = True,
    ) -> FleetStage:
        """A fresh run over the recording; with `kills` what is condemned is stopped in it."""
        return FleetStage(self, settings, clock, alert_thresholds=thresholds, kills=kills, diagnoses=diagnoses)


class FleetStage:
    """Runs the monitor's own `Fleet` over recorded bars, without disk, models or callbacks.

    Critical episodes are diagnosed by the tests and the local templates as they are raised. With `kills` what the
    e-detector condemns is stopped, in the recording only.

    Args:
        recording: The bars, and what is watched over them.
        settings: Costs and run length.
        clock: Engine time.
        alert_thresholds: Overrides of single thresholds.
        kills: Carry kills out in the recording; False leaves them proposals.
        diagnoses: Diagnose new critical episodes; a scan for bars with alerts needs none (2 ms each).
    """

    def __init__(
        self,
        recording: Recording,
        settings: Settings,
        clock: Clock,
        *,
        alert_thresholds: Mapping[str, Any] | None = None,
        kills: bool = False,
        diagnoses: bool = True,
    ) -> None:
        self._kills, self._diagnoses = kills, diagnoses
        panel, first, book = recording.panel, recording.first, recording.book
        self.expressions = {f.name: f.expression for f in book}
        self._panel, self._first, self._times, self._regimes = panel, first, recording.times, recording.regimes
        self._clock = clock
        names = [f.name for f in book]
        self._values = [f.values for f in book]
        self._returns = panel.values("returns")
        self._slippage = recording.slippage
        # One that promised a score of the other mode is watched uncalibrated.
        cross = watched_across((f.across for f in book), panel.S, settings.evaluation.mode, panel)
        config = EngineConfig(
            bar_seconds=panel.bar_seconds,
            one_way_bps=settings.costs.one_way_bps,
            expected_slippage_bps=settings.monitor.expected_slippage_bps,
            arl0_bars=settings.monitor.arl0_bars(panel.bar_seconds),
            cross=cross,
        )
        self.alerts = AlertEngine(alert_thresholds)
        references = {f.name: f.reference for f in book if f.reference is not None and f.across in (None, cross)}
        switch = KillSwitch(bus=EventBus(), clock=clock)
        self.fleet = Fleet(names, references, config, self.alerts, switch, "manual")
        self.fleet.paused = {f.name for f in book if f.paused}
        self.fleet.shadow = {f.name for f in book if f.shadow}
        self.fleet.prepare(panel.S, panel.symbols)

    @property
    def bars(self) -> int:
        """Bars there are."""
        return len(self._times)

    def run_bar(self, index: int, *, shown: bool) -> list[Event]:
        """Process bar `index`: alert events, and with `shown` the ticks and the bar itself."""
        began = self._clock.monotonic()
        row = self._first + index
        fleet, at = self.fleet, self._times[index]
        realised, expected = np.full(len(fleet.names), np.nan), np.full(len(fleet.names), np.nan)
        if self._slippage is not None:
            realised[:] = self._slippage[0][row]
            expected[:] = self._slippage[1]
        regime = str(self._regimes[row])
        meta = {"index": fleet.stream.index(at), "regime": regime, "own": True, "labelled": True}
        arrays = {
            "values": np.array([values[index] for values in self._values]).reshape(len(self._values), self._panel.S),
            "returns": np.array(self._returns[row]),
            "fills": np.stack([realised, expected]),
        }
        arrival = fleet.arrive(meta, arrays)
        for pair in arrival.pairs:
            fleet.score(pair)
        events = fleet.judge(at)
        followed = [e for e in events if self._kills or not isinstance(e, KillProposed)]
        if not self._diagnoses:
            followed = [e for e in followed if not isinstance(e, AlertRaised)]
        events += follow_up(fleet, followed, at, self.expressions, tuple(self._panel.fields))
        if shown:
            events.extend(FeatureTicked(at=at, metrics=m) for m in fleet.ticks(at, TICKS_PER_BAR))
            warnings, criticals = fleet.count_alerts()
            events.append(
                BarProcessed(
                    at=at,
                    bar_at=at,
                    regime=regime,
                    features=len(fleet.names),
                    warnings=warnings,
                    criticals=criticals,
                    seconds=self._clock.monotonic() - began,
                    symbols=int(np.isfinite(arrays["returns"]).sum()),
                )
            )
        return events

    def drop(self, names: Collection[str], at: datetime) -> list[Event]:
        """Let features go at once, without another look at the recording: their alerts close. The rest stays."""
        rows = [row for row, name in enumerate(self.fleet.names) if name not in names]
        kept = [self.fleet.names[row] for row in rows]
        self._values = [self._values[row] for row in rows]
        self.expressions = {name: text for name, text in self.expressions.items() if name not in names}
        self.fleet.shadow -= set(names)
        self.fleet.paused -= set(names)
        for name in names:
            self.fleet.kill_wanted.pop(name, None)
        return self.fleet.resize(kept, {}, at)

    def state(self) -> bytes:
        """Everything needed to go on from here."""
        meta, arrays = self.fleet.state()
        records = [asdict(record) for record in self.fleet.kills.records.values()]
        return pack({**meta, "kills": records}, arrays)

    def restore(self, state: bytes) -> None:
        """Go back to what `state` held."""
        meta, arrays = unpack(state)
        self.fleet.kills.records = {entry["feature"]: KillRecord(**entry) for entry in meta["kills"]}
        self.fleet.restore(meta, arrays)
