"""`DailyReports`: the report of a UTC day, when its last bar is in and when it is asked for."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from midas_engine.events import ReportWritten
from midas_engine.monitor.daily.facts import gather, with_moves
from midas_engine.monitor.daily.report import write_report
from midas_engine.monitor.neighbours import journal_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import date, datetime

    from midas_engine.bus import EventBus
    from midas_engine.journal import Action
    from midas_engine.models import DailyReport
    from midas_engine.monitor.daily.facts import DayFacts
    from midas_engine.monitor.fleet import Fleet
    from midas_engine.monitor.protocols import DocumentStore, Retirer

MOVES_READ = 500


class DailyReports:
    """Writes reports; those of ended days in the background.

    Args:
        fleet: What is told of.
        kb: Where reports go; None: nowhere.
        promoter: Its journal has the pipeline's moves.
        bus: Told of what was written.
        fault: Told (message, severity, time) of what could not be written.

    Attributes:
        book: Measures the book of all deployed features, as a section of the report; None: nobody does.
    """

    def __init__(
        self,
        fleet: Fleet,
        kb: DocumentStore | None,
        promoter: Retirer | None,
        bus: EventBus,
        fault: Callable[[str, str, datetime], None],
    ) -> None:
        self._fleet, self._kb, self._promoter = fleet, kb, promoter
        self._bus, self._fault = bus, fault
        self.book: Callable[[], str] | None = None
        self._under_way: set[asyncio.Task[None]] = set()
        self._turn = asyncio.Lock()

    def facts(self, day: date | str) -> DayFacts:
        """What the report of a day is made of, as known now."""
        return gather(self._fleet, self._fleet.kills.records.values(), day, self._moves())

    def write(self, day: date | str) -> DailyReport:
        """The report of one UTC day, written where there is a base."""
        return write_report(self._with_book(self.facts(day)), self._kb)

    def end_day(self, before: datetime, now: datetime) -> None:
        """A bar came after one of `before`: the report of a day that is over is written in the background."""
        if before.date() == now.date() or not self._fleet.days.of(before.date()).bars:
            return
        # what the journal adds comes in the background: it may be slow, and the bar does not wait
        facts = gather(self._fleet, self._fleet.kills.records.values(), before.date())
        task = asyncio.get_running_loop().create_task(self._report(facts, now), name="daily report")
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def settle(self) -> None:
        """Wait until none is under way."""
        if self._under_way:
            await asyncio.gather(*self._under_way)

    async def _report(self, facts: DayFacts, at: datetime) -> None:
        try:
            async with self._turn:
                report = await asyncio.to_thread(self._written, facts)
        except Exception as error:
            self._fault(f"the report of {facts.day} could not be written: {error}", "warning", at)
        else:
            self._bus.publish(ReportWritten(at=at, path=report.path, day=report.day))

    def _written(self, facts: DayFacts) -> DailyReport:
        return write_report(self._with_book(with_moves(facts, self._moves())), self._kb)

    def _with_book(self, facts: DayFacts) -> DayFacts:
        """What is measured of the book stands in the report; what goes wrong there costs no report."""
        if self.book is None:
            return facts
        try:
            return replace(facts, book=self.book())
        except Exception as error:
            return replace(facts, book=f"## Book\n\nNot measured: {type(error).__name__}: {error}.\n")

    def _moves(self) -> Sequence[Action]:
        """The pipeline's newest moves, where the promoter has a journal."""
        journal = journal_of(self._promoter)
        return () if journal is None else journal.actions(limit=MOVES_READ)
