"""DiagnoseAgent: one diagnosis an episode, in the background, within a budget; no bar ever waits for it."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from typing import TYPE_CHECKING, Any

from midas_engine.errors import BudgetError, MidasError, MonitorError
from midas_engine.events import (
    AlertRaised,
    DiagnosisFinished,
    DiagnosisStarted,
    FaultReported,
    KillProposed,
    LearningWritten,
)
from midas_engine.models import Severity
from midas_engine.monitor.diagnosis.classify import classify
from midas_engine.monitor.diagnosis.documents import CAUSE_WORDS, save_papers
from midas_engine.monitor.diagnosis.explain import assemble, local_draft, make_brief
from midas_engine.monitor.diagnosis.limits import DiagnosisLimits
from midas_engine.monitor.diagnosis.snapshot import Snapshot, take_snapshot
from midas_engine.monitor.protocols import Library

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import date, datetime

    from midas_engine.bus import EventBus
    from midas_engine.clock import Clock
    from midas_engine.events import Event
    from midas_engine.models import Alert, DiagnoseResult, LearningDocument
    from midas_engine.monitor.diagnosis.classify import Finding
    from midas_engine.monitor.diagnosis.protocols import Diagnostician, Mender
    from midas_engine.monitor.fleet import Fleet
    from midas_engine.monitor.protocols import DocumentStore

# The IC ratio crosses its lower line in most healthy months: it is shown, but it asks nobody anything.
DIAGNOSED_RULES = ("detector", "slippage")
RELATED_LEARNINGS = 4
LOOKED_AT = 3
LOCAL = "local"


def deserves_diagnosis(alert: Alert) -> bool:
    """Whether an episode starts a diagnosis by itself: a sequential test that called, or ruinous slippage."""
    return (alert.worst or alert.severity) is Severity.CRITICAL and alert.rule in DIAGNOSED_RULES


class DiagnoseAgent:
    """Explains critical episodes: tests first, then a researcher, then papers in the knowledge base.

    A researcher that fails, hangs or answers in a form that cannot be used costs its words only: the class and
    the local explanation stand without it. Nothing here can stop a feature; it can propose to.

    Args:
        bus: Where the events go.
        clock: Engine time, and the deadline of a model.
        researcher: Explains (see `midas_engine.proposer`); None uses the local templates.
        kb: Where reports and learnings are written; None keeps them in the events.
        mender: Puts a proposed fix to the gates; None leaves a fix a proposal on paper.
        columns: Columns a fix may read; empty: any.
        limits: Diagnoses a day, seconds and tokens of one.

    Example:
        >>> from midas_engine.bus import EventBus
        >>> from midas_engine.clock import WallClock
        >>> DiagnoseAgent(bus=EventBus(), clock=WallClock()).running
        ()
    """

    def __init__(
        self,
        *,
        bus: EventBus,
        clock: Clock,
        researcher: Diagnostician | None = None,
        kb: DocumentStore | None = None,
        mender: Mender | None = None,
        columns: Iterable[str] = (),
        limits: DiagnosisLimits | None = None,
    ) -> None:
        self._bus, self._clock = bus, clock
        self._researcher, self._kb, self._mender = researcher, kb, mender
        self._limits = limits or DiagnosisLimits()
        self.columns = tuple(columns)
        self.proposals: dict[str, str] = {}
        self.results: dict[str, DiagnoseResult] = {}
        self._flights: dict[tuple[str, str], asyncio.Task[DiagnoseResult | None]] = {}  # by feature and alert
        self._turn = asyncio.Semaphore(1)
        self._day: date | None = None
        self._count = 0
        self._told_spent = False

    # -- asking ----------------------------------------------------------------------------------

    @property
    def running(self) -> tuple[str, ...]:
        """Features whose diagnosis is under way."""
        return tuple(dict.fromkeys(feature for feature, _ in self._flights))

    def consider(
        self,
        events: Iterable[Event],
        fleet: Fleet,
        at: datetime,
        expressions: Mapping[str, str],
        context: Mapping[str, Any] | None = None,
    ) -> None:
        """Start what the episodes raised on a bar deserve. Copies the evidence and returns at once.

        Many features with one complaint on one bar have one cause, most likely: the first three are looked at, and
        the others' alerts point to the first.
        """
        raised = [e.alert for e in events if isinstance(e, AlertRaised) and deserves_diagnosis(e.alert)]
        for rule in dict.fromkeys(alert.rule for alert in raised):
            alike = [alert for alert in raised if alert.rule == rule]
            for alert in alike[:LOOKED_AT]:
                self._start(fleet, alert.feature, at, alert, expressions, context)
            for alert in alike[LOOKED_AT:]:
                for told in fleet.alerts.attach_diagnosis(alert.id, f"as {alike[0].feature}, on the same bar", at):
                    self._bus.publish(told)

    def resume(self, fleet: Fleet, expressions: Mapping[str, str]) -> None:
        """After a restart: diagnose the running episodes whose diagnosis the last process took with it."""
        if not fleet.built or fleet.stream.last is None:
            return
        for episode in list(fleet.alerts.episodes.values()):
            if deserves_diagnosis(episode.alert) and not episode.alert.diagnosis:
                self._start(fleet, episode.alert.feature, fleet.last_bar, episode.alert, expressions, None)

    def ask(
        self,
        fleet: Fleet,
        feature: str,
        expressions: Mapping[str, str],
        context: Mapping[str, Any] | None = None,
    ) -> asyncio.Task[DiagnoseResult | None]:
        """The operator wants one: of the feature's worst episode, or without any alert.

        Raises:
            MonitorError: The feature is not monitored, no bar has come, or one is under way.
            BudgetError: The day's diagnoses are spent.
        """
        if feature in self.running:
            raise MonitorError(f"{feature} is being diagnosed", hint="wait for it")
        if self._spent(fleet, fleet.last_bar):
            raise BudgetError(
                f"the day's {self._limits.per_day} diagnoses are spent", hint="raise monitor.diagnoses_per_day, or wait"
            )
        alerts = [e.alert for (owner, _), e in fleet.alerts.episodes.items() if owner == feature]
        ranked = sorted(alerts, key=lambda a: (a.severity is Severity.CRITICAL, a.rule == "detector", a.last_seen_at))
        snapshot = take_snapshot(
            fleet, feature, fleet.last_bar, alert=ranked[-1] if ranked else None,
            expression=expressions.get(feature, ""), context=context,
        )  # fmt: skip
        return self._launch(fleet, snapshot)

    def _start(
        self,
        fleet: Fleet,
        feature: str,
        at: datetime,
        alert: Alert,
        expressions: Mapping[str, str],
        context: Mapping[str, Any] | None,
    ) -> None:
        if (feature, alert.id) in self._flights or self._limits.per_day <= 0 or alert.diagnosis:
            return
        if self._spent(fleet, at):
            if not self._told_spent:
                self._told_spent = True
                spent = f"the day's {self._limits.per_day} diagnoses are spent"
                message = f"{spent}; {feature} and later ones are not explained"
                self._bus.publish(FaultReported(at=at, where="diagnosis", message=message, hint="diagnose by hand"))
            return
        try:
            snapshot = take_snapshot(
                fleet, feature, at, alert=alert, expression=expressions.get(feature, ""), context=context
            )
        except Exception as error:  # whatever it is, the bar goes on
            message = f"no diagnosis of {feature}: {_short(error)}"
            self._bus.publish(FaultReported(at=at, where="diagnosis", message=message))
            return
        self._launch(fleet, snapshot)

    def _spent(self, fleet: Fleet, at: datetime) -> bool:
        if at.date() != self._day:
            # what an earlier process spent today stands in the day's ledger
            self._day, self._told_spent = at.date(), False
            self._count = len(fleet.days.of(at.date()).diagnoses)
        return self._count >= self._limits.per_day

    def _launch(self, fleet: Fleet, snapshot: Snapshot) -> asyncio.Task[DiagnoseResult | None]:
        self._count += 1
        flight = (snapshot.feature, snapshot.alert.id if snapshot.alert is not None else "")
        task = asyncio.get_running_loop().create_task(self._run(fleet, snapshot), name=f"diagnose {flight[0]}")
        self._flights[flight] = task
        task.add_done_callback(lambda done: self._landed(flight, done))
        return task

    def _landed(self, flight: tuple[str, str], task: asyncio.Task[DiagnoseResult | None]) -> None:
        self._flights.pop(flight, None)
        error = None if task.cancelled() else task.exception()
        if error is None:
            return
        # A diagnosis that fails is told in words, and a listener that fails by the bus: this is neither, and nobody
        # awaits the task.
        message = f"the diagnosis of {flight[0]} broke off: {type(error).__name__}: {error}"
        with contextlib.suppress(Exception):
            self._bus.publish(FaultReported(at=self._clock.now(), where="diagnosis", message=message))

    # -- one diagnosis ---------------------------------------------------------------------------

    async def _run(self, fleet: Fleet, snapshot: Snapshot) -> DiagnoseResult | None:
        alert_id = snapshot.alert.id if snapshot.alert is not None else ""
        self._bus.publish(DiagnosisStarted(at=snapshot.at, feature=snapshot.feature, alert_id=alert_id))
        result, problem = None, "it was stopped before it was done"
        try:
            async with self._turn:
                found = await self._diagnose(snapshot)
            self._note(fleet, found)
            result, problem = found, ""
        except Exception as error:
            problem = f"{type(error).__name__}: {error}"
        finally:  # one that was begun is ended in words too, cancelled or not
            end = DiagnosisFinished(
                at=snapshot.at, feature=snapshot.feature, alert_id=alert_id, result=result, error=problem
            )
            self._bus.publish(end)
        if result is not None:
            self._tell(result)
        return result

    async def _diagnose(self, snapshot: Snapshot) -> DiagnoseResult:
        finding = await asyncio.to_thread(classify, snapshot)
        result = await self._explained(snapshot, finding)
        if self._mender is not None and snapshot.expression:
            try:
                result = await asyncio.wait_for(self._mender.mend(snapshot, finding, result), self._limits.seconds)
            except Exception as error:
                reason = "it took too long" if isinstance(error, TimeoutError) else _short(error)
                result = dataclasses.replace(result, fix_verdict=f"The fix could not be tried: {reason}")
        if self._kb is not None:
            try:
                result = await asyncio.to_thread(save_papers, self._kb, result, snapshot)
            except Exception as error:
                message = f"the diagnosis of {snapshot.feature} could not be written: {error}"
                self._bus.publish(FaultReported(at=snapshot.at, where="diagnosis", message=message))
        return result

    async def _explained(self, snapshot: Snapshot, finding: Finding) -> DiagnoseResult:
        learnings = await asyncio.to_thread(self._learnings, f"{snapshot.feature} {finding.cause}")
        prompt = self._kb.prompt if isinstance(self._kb, Library) else None
        brief = make_brief(
            snapshot, finding, columns=self.columns, learnings=learnings, prompt=prompt,
            max_tokens=self._limits.max_tokens,
        )  # fmt: skip
        name = LOCAL
        if self._researcher is not None:
            name = self._researcher.name
            try:
                draft = await asyncio.wait_for(self._researcher.diagnose(brief, _unheard), self._limits.seconds)
                name = self._researcher.name
                return assemble(snapshot, finding, draft, name, columns=self.columns)
            except Exception as error:
                reason = "no answer in time" if isinstance(error, TimeoutError) else _short(error)
                message = f"{name} did not explain {snapshot.feature}: {reason}"
                hint = "the tests and the local explanation stand without it"
                self._bus.publish(FaultReported(at=snapshot.at, where="diagnosis", message=message, hint=hint))
                name = f"{LOCAL} ({name}: {reason})"
        return assemble(snapshot, finding, local_draft(brief), name, columns=self.columns)

    def _learnings(self, goal: str) -> list[LearningDocument]:
        found: list[LearningDocument] = []
        if isinstance(self._kb, Library):
            with contextlib.suppress(MidasError, OSError):
                found = list(self._kb.related_learnings(goal, RELATED_LEARNINGS))
        return found

    def _note(self, fleet: Fleet, result: DiagnoseResult) -> None:
        self.results[result.feature] = result
        where = f": {result.report_path}" if result.report_path else ""
        if result.alert_id:
            # a screen opens what stands behind the last blank
            text = f"{result.cause} ({result.confidence:.0%}){where}"
            for told in fleet.alerts.attach_diagnosis(result.alert_id, text, result.at):
                self._bus.publish(told)
        fleet.days.diagnosed(result.at, result.feature, result.cause, result.report_path)

    def _tell(self, result: DiagnoseResult) -> None:
        publish = self._bus.publish
        if result.learning_path:
            title = f"{result.feature}: {CAUSE_WORDS[result.cause]}"
            publish(LearningWritten(at=result.at, path=result.learning_path, title=title, loop="online"))
        if result.kill_proposed:
            self.proposals[result.feature] = result.kill_reason
            publish(KillProposed(at=result.at, feature=result.feature, source="diagnosis", reason=result.kill_reason))

    # -- life ------------------------------------------------------------------------------------

    async def settle(self) -> None:
        """Wait until nothing is under way."""
        while self._flights:
            await asyncio.gather(*self._flights.values(), return_exceptions=True)
            await asyncio.sleep(0)

    async def close(self) -> None:
        """Cancel what is under way; its episodes are diagnosed at the next start."""
        tasks = list(self._flights.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._researcher is not None:
            with contextlib.suppress(Exception):
                await self._researcher.close()


def _unheard(text: str) -> None:
    """Nobody watches a diagnosis being written."""


def _short(error: Exception) -> str:
    text = error.message if isinstance(error, MidasError) else f"{type(error).__name__}: {error}"
    return " ".join(text.split())[:300]
