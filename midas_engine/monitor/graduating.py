"""Who runs in shadow goes on from its sealed look; who graduates, or is dead, is written into the journal for good."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from midas_engine.errors import MidasError
from midas_engine.evaluator.trials.sealed_evidence import sealed_look
from midas_engine.monitor.shadow_evidence import PROMOTE
from midas_engine.monitor.shadow_record import forward_lines
from midas_engine.monitor.state.recovery import NOTE_SECONDS
from midas_engine.monitor.worker import Worker, within
from midas_engine.promoter.graduated import DENIED, GRADUATED, outcome_id

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from midas_engine.evaluator.trials.sealed_evidence import SealedLook
    from midas_engine.journal import Journal
    from midas_engine.kb import KnowledgeBase
    from midas_engine.models import FeatureRecord
    from midas_engine.monitor.fleet import Fleet

Begun = tuple["FeatureRecord", "SealedLook", list[tuple["datetime", float]]]


class Graduating:
    """Feeds a fleet's forward evidence and keeps what it decides.

    Args:
        fleet: What is watched.
        base: Where features say what their looks found; None: nothing goes on from anything.
        journal: The pipeline's: its shadow record fills in bars that the saved state does not have, and what is
            decided becomes an action there, which is never pruned.
        fault: Told (message, severity) of what fails.
    """

    def __init__(
        self,
        fleet: Fleet,
        base: KnowledgeBase | None,
        journal: Journal | None,
        fault: Callable[[str, str], None],
    ) -> None:
        self._fleet, self._base, self._journal, self._fault = fleet, base, journal, fault
        self._known: frozenset[str] = frozenset()
        self._looks: dict[str, tuple[FeatureRecord, SealedLook]] = {}
        self._kept: set[tuple[str, str]] = set()
        self._worker = Worker("midas-graduation")
        self._failing = ""

    async def learn(self) -> None:
        """Let features that are new in shadow go on from their looks. Costs nothing while there are none."""
        fleet = self._fleet
        wanted = frozenset(fleet.shadow.intersection(fleet.names))
        if wanted == self._known or self._base is None:
            return
        # One that left the watch and came back begins again: its row knows nothing, the journal's record does.
        begun = {name for name in wanted if fleet.forward.knows(fleet.names.index(name))}
        try:
            found = await within(self._worker.submit(lambda: self._read(sorted(wanted), begun)), NOTE_SECONDS)
        except Exception as error:
            self._failed(f"what runs in shadow could not be read: {error}")
            return
        self._known, self._failing = wanted, ""
        self._looks = {record.name: (record, look) for record, look, _ in found}
        for record, look, lines in found:
            row = fleet.names.index(record.name)
            if look.evidence.sound and not fleet.forward.knows(row):
                fleet.forward.begin(row, look, lines)

    def _read(self, names: Sequence[str], begun: set[str]) -> list[Begun]:
        assert self._base is not None
        found: list[Begun] = []
        for name in names:
            try:
                record = self._base.find_feature(name)
            except MidasError:
                continue  # damaged: it is said where the base is checked
            look = sealed_look(record) if record is not None else None
            if record is None or look is None:
                continue
            journal = None if name in begun else self._journal
            lines = [] if journal is None else forward_lines(journal, name, look.until)
            found.append((record, look, lines))
        return found

    async def keep(self) -> None:
        """Write what was decided into the journal; what is there already is not written twice."""
        if self._journal is None:
            return
        forward = self._fleet.forward
        for name, (record, look) in self._looks.items():
            if name not in self._fleet.names or name not in self._fleet.shadow:
                continue
            row = self._fleet.names.index(name)
            proposed = forward.proposed(row)
            action = GRADUATED if proposed == PROMOTE else DENIED
            if not proposed or (name, action) in self._kept:
                continue
            told = forward.outlook(row)
            body: dict[str, Any] = {
                "look": look.key,
                "expression": record.expression,
                "bars": float(forward.bank.bars[row]),
                "ln_e": told.log_e if told is not None else None,
                "ln_line": told.line if told is not None else None,
            }
            await self._append(name, action, forward.reason(row), outcome_id(action, name, look), body)

    async def _append(self, name: str, action: str, reason: str, id: str, body: dict[str, Any]) -> None:
        journal = self._journal
        assert journal is not None
        try:
            call = self._worker.submit(
                lambda: journal.append_action(action, name, id=id, actor="monitor", reason=reason, body=body)
            )
            await within(call, NOTE_SECONDS)
        except Exception as error:
            self._failed(f"that {name} is {action} could not be written: {error}")
        else:
            self._kept.add((name, action))

    def _failed(self, message: str) -> None:
        """Told once for as long as it lasts; it is tried again with the next bar."""
        if message != self._failing:
            self._fault(message, "warning")
        self._failing = message
