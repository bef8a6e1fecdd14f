"""A played case: the demo's market as a runtime in which time passes when it is told to; everything else is real.

The base is a scratch one with two features in it that will die, as an older book would hold them. A session searches
what is known, an operator promotes; then the bars that nobody saw come, fast, and stop where something calls.
"""

from __future__ import annotations

import asyncio
import dataclasses
import math
from bisect import bisect_right
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from midas_engine.clock import ManualClock
from midas_engine.demo.world import SYMBOLS, YEAR_BARS, World, build_world, likeness
from midas_engine.events import AlertRaised, BarProcessed, FeatureTicked
from midas_engine.market.instants import as_utc
from midas_engine.models import Severity
from midas_engine.runtime.pipeline import Pipeline
from midas_engine.runtime.queries import Queries
from midas_engine.runtime.recorded_bars import FleetStage, Recording
from midas_engine.runtime.recording import WARM_HOURS, load_kernels
from midas_engine.runtime.runtime import Runtime
from midas_engine.runtime.sessions import Sessions
from midas_engine.runtime.watch import RECORDING_HINT, Watch
from midas_engine.runtime.watchlist import book_of_records
from midas_engine.text import number

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from midas_engine.clock import Clock
    from midas_engine.market import Panel
    from midas_engine.models import FeatureRecord, PipelineSummary
    from midas_engine.runtime.timeline import Mark
    from midas_engine.settings import Settings

BARS_A_STEP, STEP_SECONDS = 6, 0.1
CATCH_UP_BURST = 24
# What an operator did: told by the wall's clock, which nobody of the case lives by.
BY_HAND = frozenset({"promotion", "demotion", "kill"})


class PlayedWatch(Watch):
    """Watches a market of which only the bars before `position` have happened.

    Attributes:
        world: The market and its truth; None before it is made.
        position: First bar that has not happened.
        moments: When by the wall's clock the market stood where, in order.
    """

    world: World | None = None
    position: int = 0
    moments: list[tuple[datetime, datetime]]

    async def _build(self, panel: Panel, records: list[FeatureRecord]) -> None:
        world, watched = self.world, self._watched
        if world is None:
            return
        self._freeze(records)
        recording = await asyncio.to_thread(self._recording, world, records)
        watched.take_problems(recording.problems, RECORDING_HINT, self._supervisor.fault)
        if not recording.book:
            watched.stage = None
            return
        stage = recording.stage(self._settings, self._supervisor.clock)
        for index in range(self.position - recording.first - 1):
            stage.run_bar(index, shown=False)
            if index % CATCH_UP_BURST == 0:
                await asyncio.sleep(0)
        if watched.stage is not None:
            stage.alerts.take_answers(watched.stage.alerts.alerts())  # what was answered stays answered
        watched.stage = stage
        for event in stage.run_bar(self.position - recording.first - 1, shown=True):
            if isinstance(event, FeatureTicked | BarProcessed):  # what was called and explained was told when it was
                self._supervisor.bus.publish(event)
        self.stand()

    def _recording(self, world: World, records: list[FeatureRecord]) -> Recording:
        first = max(0, world.searched - world.panel.bars(WARM_HOURS))
        book, problems = book_of_records(world.panel, records, self._settings.dsl, first)
        costs = (world.slippage, self._settings.monitor.expected_slippage_bps)
        recording = Recording(world.panel, first, world.searched, world.regimes, book, problems, costs)
        load_kernels(recording, self._settings)
        return recording

    def stand(self) -> None:
        """The clock stands where the last bar closed, and nobody sees a later one."""
        world, watched = self.world, self._watched
        if world is not None:
            self._set_clock(world)
            watched.panel = world.panel.slice(None, self.position)

    def _set_clock(self, world: World) -> None:
        now = world.opens(self.position - 1) + timedelta(seconds=world.panel.bar_seconds)
        self._watched.clock = ManualClock(now)
        self.moments.append((self._supervisor.clock.now(), now))

    async def next_bars(self, count: int) -> list[AlertRaised]:
        """As `pass_bars`, once what is watched is not being built: the old watch must call nothing meanwhile."""
        async with self._turn:
            return self.pass_bars(count)

    def pass_bars(self, count: int) -> list[AlertRaised]:
        """Let bars happen; those calls of the sequential test that came with them, which stop the clock."""
        world, stage = self.world, self._watched.stage
        calls: list[AlertRaised] = []
        if world is None or not isinstance(stage, FleetStage):
            return calls
        first = max(0, world.searched - world.panel.bars(WARM_HOURS))
        for _ in range(count):
            if self.position >= world.panel.T:
                break
            events = stage.run_bar(self.position - first, shown=True)
            self.position += 1
            for event in events:
                self._supervisor.bus.publish(event)
            calls += [e for e in events if isinstance(e, AlertRaised) and e.alert.rule == "detector"]
            if calls:
                break
        self._set_clock(world)
        return calls


class PlayedQueries(Queries):
    """Tells of what was done by hand at the moment where the market stood, not at the wall's.

    Attributes:
        moments: As the watch has them.
    """

    moments: Sequence[tuple[datetime, datetime]] = ()

    def _marks(self, summary: PipelineSummary | None) -> list[Mark]:
        found = super()._marks(summary)
        return [m if m.kind not in BY_HAND else dataclasses.replace(m, at=self._then(m.at)) for m in found]

    def _then(self, at: datetime) -> datetime:
        """Where the market stood at a moment of the wall's clock."""
        place = bisect_right(self.moments, at, key=lambda pair: pair[0])
        return self.moments[max(0, place - 1)][1] if self.moments else at


class PlayedSessions(Sessions):
    """Searches without a model: the case is the same for everybody, and costs nothing."""

    def providers(self) -> Sequence[str]:
        """The local researcher."""
        return ("local",)


class PlayedRuntime(Runtime):
    """The runtime of the played case.

    Args:
        settings: Costs, monitor, seed; its base and data are replaced.
        folder: A scratch folder that the caller removes.
        bars: Hours of the market.
        symbols: Its perpetuals.
        clock: Wall time; injected in tests.

    Attributes:
        called: When the sequential test called each feature, by name.
        lost_bps: What each made from its death to that call, net of costs; NaN where it is not kept.
        bars_a_step: How many bars pass in a tenth of a second.
    """

    def __init__(
        self,
        settings: Settings,
        folder: Path,
        *,
        bars: int = YEAR_BARS,
        symbols: int = SYMBOLS,
        clock: Clock | None = None,
    ) -> None:
        self._folder, self._size = folder, (bars, symbols)
        model = dataclasses.replace(settings.model, provider="local")
        own = dataclasses.replace(settings, model=model, read_only=False, target="")
        own = dataclasses.replace(own, kb=str(folder / "kb"), data=str(folder / "market.parquet"))
        super().__init__(own, clock=clock)
        self.watched.mode = "DEMO"
        self.watch: PlayedWatch = PlayedWatch(
            own, self.base, self.watched, self.supervisor, self.feed, speed=1.0, play=False
        )
        self.watch.moments = []
        self.queries: PlayedQueries = PlayedQueries(
            self.watched, self.base, self.supervisor, proposed=self.diagnosing.proposals
        )
        self.queries.moments = self.watch.moments
        self.pipeline = Pipeline(self.base, self.watched, self.supervisor, watch_again=self.watch.again)
        self.sessions = PlayedSessions(own, self.base, self.watched, self.supervisor)
        self.called: dict[str, int] = {}
        self.lost_bps: dict[str, float] = {}
        self.bars_a_step = BARS_A_STEP
        self._waited: set[str] = set()
        self._player: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Make the market, plant two features that will die, open everything."""
        self.supervisor.change("starting", "making a market")
        await asyncio.to_thread(self._make)
        await super().start()
        self.watched.source = "made-up market"

    def _make(self) -> None:
        from midas_engine.demo.run import plant
        from midas_engine.factory import Midas

        settings = self.settings
        bars, symbols = self._size
        world = build_world(settings.seed, settings.monitor.expected_slippage_bps, bars=bars, symbols=symbols)
        world.history.save(self._folder / "market.parquet")
        self.watch.world, self.watch.position = world, world.searched
        midas = Midas(settings)
        try:
            plant(midas, world)
        finally:
            midas.close()

    # -- time --------------------------------------------------------------------------------------

    @property
    def playing(self) -> bool:
        """Whether bars come."""
        return self._player is not None and not self._player.done()

    @property
    def over(self) -> bool:
        """Whether the last bar came."""
        world = self.watch.world
        return world is not None and self.watch.position >= world.panel.T

    def play(self) -> None:
        """Let time pass until a test calls a feature dead, or the year is over."""
        if not self.playing and not self.over:
            self._player = self.supervisor.background(self._play(), "time")

    async def _play(self) -> None:
        while not self.over:
            calls = await self.watch.next_bars(self.bars_a_step)
            for call in calls:
                name = call.alert.feature
                if name not in self.called:
                    self.called[name], self.lost_bps[name] = self.watch.position - 1, self._since_its_death(name)
            # Until a kill has reached the watch, it may call what is killed once more: that is nothing to wait for.
            new = {c.alert.feature for c in calls if c.alert.severity is Severity.CRITICAL} - self._waited
            self._waited |= new
            if new:
                break
            await self.supervisor.clock.sleep(STEP_SECONDS)
        self.watch.stand()

    def _since_its_death(self, name: str) -> float:
        world, found = self.watch.world, self.queries.timeline(name)
        planted = next((f for f in world.mortal() if f.name == name), None) if world is not None else None
        if world is None or found is None or planted is None:
            return math.nan
        died = as_utc(world.panel.timestamps[planted.changes_at or 0])
        known = [(at, net) for at, net in zip(found.at, found.net_bps, strict=True) if math.isfinite(net)]
        before, after = [net for at, net in known if at < died], [net for at, net in known if at >= died]
        return after[-1] - before[-1] if before and after else math.nan

    # -- the truth ---------------------------------------------------------------------------------

    def truth(self, found: str = "") -> tuple[str, ...]:
        """What was planted, what of it was found and noticed, in sentences. `found` is what the operator promoted."""
        world = self.watch.world
        if world is None:
            return ()
        lines = ["Planted: " + ", ".join(f"{f.name} ({_fate(f.kind)})" for f in world.planted) + "."]
        if found and (expression := self._expression(found)):
            values = world.values(expression)
            alike = max(world.planted, key=lambda f: abs(likeness(values, world.values(f.expression))))
            rho = likeness(values, world.values(alike.expression))
            lines.append(f"{found} is {abs(rho):.0%} the planted {alike.name}, by rank correlation.")
        hours = world.panel.bar_seconds / 3600.0
        for planted in world.mortal():
            changed = planted.changes_at or 0
            day = f"{as_utc(world.panel.timestamps[changed]):%Y-%m-%d}"
            what = f"{planted.name} {'turned its sign' if planted.kind == 'flips' else 'died'} on {day}"
            bar = self.called.get(planted.name)
            if bar is None:
                lines.append(f"{what}; it was not noticed yet.")
            elif bar < changed:
                lines.append(f"{what}; it was called before that: a false alarm.")
            else:
                net = self.lost_bps.get(planted.name, math.nan)
                cost = f", in which it made {number(net, 0, sign=True)} bps net of costs" if math.isfinite(net) else ""
                lines.append(f"{what}; noticed after {(bar - changed) * hours / 24.0:.1f} days{cost}.")
        false = [n for n in self.called if n not in {f.name for f in world.mortal()}]
        lines.append(f"False alarms: {', '.join(sorted(false)) or 'none'}.")
        return tuple(lines)

    def _expression(self, name: str) -> str:
        record = self.kb.find_feature(name)
        return record.expression if record is not None else ""


def _fate(kind: str) -> str:
    return {"stable": "lives", "decays": "dies", "flips": "turns its sign"}.get(kind, kind)
