"""`Service`: one process that holds a base, with everything the settings turn on, started and stopped as one."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from midas_engine.errors import LockTimeoutError, MidasError
from midas_engine.market.instants import as_utc
from midas_engine.runtime import Runtime
from midas_engine.service.alarms import AlarmsFile
from midas_engine.service.desk import CommandLine, Desk
from midas_engine.service.door import Door
from midas_engine.service.health import health_door
from midas_engine.service.log import ServiceLog
from midas_engine.service.place import ROLE
from midas_engine.service.plan import check_doors
from midas_engine.service.retention import believed, let_go
from midas_engine.service.runs import RunRecorder, Runs
from midas_engine.service.vitals import Vitals
from midas_engine.service.websocket import websocket_door

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from midas_engine.clock import Clock
    from midas_engine.kb.locks import Claim
    from midas_engine.loopback.http import HttpDoor
    from midas_engine.loopback.websocket import WebSocketListener
    from midas_engine.models import FeatureRecord
    from midas_engine.service.plan import Plan

RECORD_SECONDS = 0.5
LIFE_SECONDS = 10.0
DAY_SECONDS = 86_400.0


class Service:
    """What `midas run` runs: `async with Service(plan) as service: ...`.

    Args:
        plan: What it is to do.
        clock: Wall time; injected in tests.
        own: Features that are watched in place of a base's, which is not opened then.

    Attributes:
        runtime: The engine.
        vitals: How it is.
        door: Where terminals and commands come in, while this process holds the base.
        health: The health endpoint, where one is set.
        websocket: The second way to the door, where one is set.
    """

    def __init__(self, plan: Plan, *, clock: Clock | None = None, own: Sequence[FeatureRecord] = ()) -> None:
        self.plan = plan
        failures = plan.settings.monitor.feed_failures
        self.runtime = Runtime(plan.settings, clock=clock, feed_failures=failures, own=own)
        self._alone = bool(own)
        self.vitals = Vitals(self.runtime)
        self.health: HttpDoor | None = None
        self.door: Door | None = None
        self.websocket: WebSocketListener | None = None
        self._command_line = CommandLine(self.runtime)
        self._claim: Claim | None = None
        self._alarms: AlarmsFile | None = None
        self._log: ServiceLog | None = None
        self._recorder: RunRecorder | None = None
        self._recording = asyncio.Lock()
        self._untap: list[Callable[[], None]] = []

    async def start(self) -> None:
        """Take the base, open everything; returns when bars are followed.

        Raises:
            LockTimeoutError: Another process holds the base.
            MidasError: A part cannot be opened; what was opened is closed by `stop`.
        """
        plan, runtime = self.plan, self.runtime
        await asyncio.to_thread(self._take_base)
        if not plan.quiet:
            await asyncio.to_thread(check_doors, plan)  # a port that is taken is said before bars are caught up with
        if self._claim is not None:
            self.door = Door(Desk(runtime, self.vitals, self._command_line), plan.settings.service.clients)
            self._open_files()
        await runtime.start()
        if runtime.watched.held and not plan.quiet:
            raise LockTimeoutError(
                f"{plan.settings.kb} is watched by {runtime.watched.held}", hint="stop that one first"
            )
        supervisor = runtime.supervisor
        if self.door is not None:
            await self.door.listen(plan.place.socket)
        supervisor.background(self.vitals.measure_lag(), "loop lag")
        if self._claim is not None:
            supervisor.background(self._live(self._claim), "sign of life")
        if self._recorder is not None:
            await asyncio.to_thread(self._recorder.begin, runtime.source, runtime.bar_seconds)
            supervisor.background(self._record(self._recorder), "record")
        if plan.quiet:
            return
        if plan.settings.service.keep_days:
            supervisor.background(self._retain(), "retention")
        if plan.health is not None:
            self.health = health_door(plan.health, plan.place.token(), self.vitals)
            await self.health.open()
        if plan.websocket is not None and self.door is not None:
            self.websocket = websocket_door(plan.websocket, plan.place.token(), self.door)
            await self.websocket.open()
        start = partial(runtime.sessions.start, iterations=plan.settings.service.iterations)
        schedule = plan.schedule.run(runtime.clock, start, self._refused)
        supervisor.background(schedule, "schedule")

    def _take_base(self) -> None:
        """Be the only one on the base. A quiet one lets another be that, and looks on."""
        from midas_engine.kb import KnowledgeBase

        settings = self.plan.settings
        if settings.read_only or self._alone:
            return
        kb = KnowledgeBase(settings.kb_path, clock=self.runtime.clock)
        if self.plan.quiet and kb.read_only_reason:
            return
        try:
            self._claim = kb.claim(ROLE)
            kb.claim("monitor").release()  # a terminal or a monitor that watches is found before anything is opened
        except LockTimeoutError:
            self._let_go()
            if not self.plan.quiet:
                raise
            return
        self.plan.place.make()

    def _open_files(self) -> None:
        plan, bus = self.plan, self.runtime.bus
        self._alarms = AlarmsFile(plan.place.alarms, self._cannot)
        self._untap.append(bus.tap(self._alarms.take))
        self.vitals.writers["alarms"] = lambda: self._alarms is not None and self._alarms.failing
        if plan.settings.service.record and not plan.quiet:
            most = plan.settings.service.runs_mb * 1_000_000
            self._recorder = RunRecorder(Runs(plan.place.runs), self.runtime.clock, most, self._cannot)
            self._untap.append(bus.tap(self._recorder.take))
            self.vitals.writers["the run's record"] = lambda: self._recorder is not None and self._recorder.failing
        if plan.settings.service.log_mb and not plan.quiet:
            self._log = ServiceLog(plan.place.log, plan.settings.service.log_mb * 1_000_000)
            self._untap.append(bus.tap(self._log.take))
            self.vitals.writers["the log"] = lambda: self._log is not None and self._log.failing

    async def _live(self, claim: Claim) -> None:
        """Show that it lives, until cancelled."""
        while True:
            await asyncio.to_thread(claim.sign_of_life)
            await asyncio.sleep(LIFE_SECONDS)

    async def _record(self, recorder: RunRecorder) -> None:
        """Write what gathers, every half second."""
        while True:
            await asyncio.sleep(RECORD_SECONDS)
            async with self._recording:
                await asyncio.to_thread(recorder.flush)

    async def _retain(self) -> None:
        """Let go of what is older than the settings keep, now and once a day."""
        keep, kept = self._recorder.name if self._recorder is not None else "", self.plan.settings.service.keep_days
        while True:
            try:
                panel = self.runtime.panel
                newest = None if panel is None or not panel.T else as_utc(panel.closes[-1])
                now = believed(self.runtime.clock.now(), newest)
                await asyncio.to_thread(let_go, Runs(self.plan.place.runs), self.runtime.journal, now, kept, keep=keep)
            except MidasError as error:
                self.runtime.supervisor.fault("retention", f"what is old stays for now: {error.message}", error.hint)
            await self.runtime.clock.sleep(DAY_SECONDS)

    def _cannot(self, message: str, hint: str) -> None:
        self.runtime.supervisor.fault("service", message, hint, "critical")

    def _refused(self, message: str, hint: str) -> None:
        self.runtime.supervisor.fault("schedule", message, hint)

    async def stop(self) -> None:
        """Close everything in the reverse order; safe to call twice, and after a start that failed."""
        for door in (self.health, self.door, self.websocket):
            if door is not None:
                await door.close()
        self.health = self.door = self.websocket = None
        await self.runtime.stop()
        await asyncio.to_thread(self._command_line.close)
        for untap in self._untap:
            untap()
        self._untap = []
        if self._alarms is not None:
            self._alarms.close()
        if self._recorder is not None:
            async with self._recording:
                await asyncio.to_thread(self._recorder.close)
            self._recorder = None
        if self._log is not None:
            self._log.close()
            self._log = None
        self._let_go()

    def _let_go(self) -> None:
        if self._claim is not None:
            self._claim.release()
            self._claim = None

    async def __aenter__(self) -> Service:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()
