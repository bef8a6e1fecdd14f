"""What a session gives a researcher to screen with: figures of raw trees, the family's one test, and the archive."""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import json
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from midas_engine.dsl.expression import parse
from midas_engine.errors import MidasError, SessionInterruptedError
from midas_engine.loops.config import FAMILY_SLOTS
from midas_engine.proposer.screened import signed
from midas_engine.search.archive import Archive
from midas_engine.search.evolve import elite_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from midas_engine.kb import KnowledgeBase
    from midas_engine.loops.config import OfflineLoopConfig
    from midas_engine.loops.session_events import Voice
    from midas_engine.loops.session_record import SessionRecord
    from midas_engine.loops.trial_account import TrialAccount
    from midas_engine.proposer.protocol import Proposal, TrialResult
    from midas_engine.search.archive import Elite
    from midas_engine.search.measure import Figures, Finalist

CHUNK = 30
"""Trees a worker scores at a time: below a second, so that a cancelled session ends soon."""
KEPT = 150
"""Elites of an archive that are written down."""
FOLDER = "knowledge/archive"
MAX_FIGURE = 160


@runtime_checkable
class Screens(Protocol):
    """An assessor that can score raw trees on the research part."""

    snapshot_id: str

    async def screen(self, texts: Sequence[str]) -> list[Figures]:
        """Figures on the screening slice (`midas_engine.search.measure`)."""
        ...

    async def check_family(self, texts: Sequence[str], level: float) -> list[Finalist]:
        """The finalists on the check slice."""
        ...


class SessionScreen:
    """The screening of one session; `midas_engine.proposer.protocol.Screening` for its researcher.

    Args:
        assessor: Scores.
        account: Pays for the family.
        config: Its budget, and the slots its finalists have among the planned trials.
        error: Chance that a whole session of noise accepts anything.
        voice: Says what was counted.
    """

    def __init__(
        self,
        assessor: Screens,
        account: TrialAccount,
        config: OfflineLoopConfig,
        error: float,
        voice: Voice,
    ) -> None:
        self._assessor, self._account, self._voice = assessor, account, voice
        self.budget, self.slots = config.screened, FAMILY_SLOTS
        self.horizon = horizon = account.horizon
        self.level = self.tested = self._whole = error * FAMILY_SLOTS / config.planned_trials
        self.evaluated = self._charged = self._asked = 0
        self.archive = Archive()
        mark = hashlib.sha256(f"{assessor.snapshot_id} {horizon}".encode()).hexdigest()[:16]
        self._path = f"{FOLDER}/{mark}.json"
        self._kb: KnowledgeBase | None = None

    @classmethod
    async def open(
        cls, assessor: Any, account: TrialAccount, config: OfflineLoopConfig, thresholds: Mapping[str, Any], *,
        shown: bool, voice: Voice, kb: KnowledgeBase, record: SessionRecord,
    ) -> SessionScreen | None:  # fmt: skip
        """With the base's archive of this data; None when nothing is to be screened or shown, or the assessor cannot.

        Args:
            assessor: Scores.
            account: Pays.
            config: The session's budget.
            thresholds: The gates.
            shown: A model may be shown the archive, though it screens nothing.
            voice: Says what was counted.
            kb: Keeps the archive.
            record: Of the session: the archive is one of its inputs.
        """
        if not isinstance(assessor, Screens) or not (config.screened or shown):
            return None
        error = float(thresholds.get("predictive_power", {}).get("session_error", 0.05))
        screen = cls(assessor, account, config, error, voice)
        screen._kb = kb
        kept = await record.answer("archive", dict[str, Any], lambda: asyncio.to_thread(screen._read, kb))
        screen.archive = await asyncio.to_thread(Archive.from_record, kept)
        return screen

    def _read(self, kb: KnowledgeBase) -> dict[str, Any]:
        try:
            found = json.loads(kb.read_text(self._path))
        except (MidasError, OSError, ValueError):
            return {}  # none yet, or a damaged one: it is made again
        return found if isinstance(found, dict) else {}

    async def figures(self, texts: Sequence[str]) -> list[Figures]:
        """Figures of every text, in order; each that met a return is counted."""
        chunks = [texts[i : i + CHUNK] for i in range(0, len(texts), CHUNK)]
        found = await asyncio.gather(*(self._scored(chunk) for chunk in chunks))
        return [figures for chunk in found for figures in chunk]

    async def _scored(self, chunk: Sequence[str]) -> list[Figures]:
        """Counted as they come: what breaks or ends the others takes nothing off."""
        found = await self._assessor.screen(chunk)
        for figures in found:
            self.evaluated += figures.scored
            self._asked ^= int.from_bytes(hashlib.blake2b(figures.text.encode(), digest_size=8).digest(), "big")
        return found

    async def check(
        self, texts: Sequence[str], share: float = 0.0, recalled: int = 0, silent: Sequence[str] = ()
    ) -> list[Finalist]:
        """The one test of a family, charged before anyone hears it. Those that hold come first.

        A family without finalists is charged too: its trees were tried. Two families of a session share its level.
        """
        level = self.tested = self._whole * share if share else self.level
        self.level -= level
        found = await self._assessor.check_family(texts, level) if texts else []
        holds = [f for f in found if f.p <= level]
        about: dict[str, Any] = {"recalled": recalled, "held": len(holds)} if recalled else {}
        about |= {"silent": list(silent)} if silent else {}
        evaluated = await self._charge(found, level, about)
        of = "spellings of what memory recalls" if recalled else "expressions"
        self._voice.say(
            f"screened {evaluated:,} {of} on the first half of the research part, as one family; of its "
            f"{len(found)} finalists {len(holds)} hold on the second half at {level:.2%}\n"
        )
        return sorted(found, key=lambda f: (f.p > level, -f.t))

    async def _charge(self, found: Sequence[Finalist], level: float, about: Mapping[str, Any]) -> int:
        """Charge what was scored since the last family; how much that was."""
        evaluated = self.evaluated - self._charged
        self._charged, asked, self._asked = self.evaluated, f"{self._asked:016x}", 0
        await self._account.charge_family(found, evaluated, level, about, asked)
        return evaluated

    async def enter(self, proposal: Proposal, result: TrialResult, island: str) -> None:
        """What became of a proposal, into the archive; one of a model that it does not hold is measured for it.

        That is no further evaluation: the trial is charged, and the screening slice is a part of what it was judged on.

        Args:
            proposal: As it was judged.
            result: Research figures.
            island: Who proposed it; only what a model wrote is added, a template is known by its family.
        """
        if result.refused or result.known or proposal.gate or proposal.horizon not in (0, self.horizon):
            return
        there = next((e for e in self.archive if proposal.expression in (e.text, signed(e))), None)
        if there is None:
            if island != "model" or (there := await self._measured(proposal.expression)) is None:
                return
            self.archive.add(there)
        fate = "passed" if result.passed else ", ".join(result.failed_agents)
        figure = next((line for line in result.verdicts if ": FAIL" in line), "")[:MAX_FIGURE]
        self.archive.update(dataclasses.replace(there, fate=fate, figure=figure))

    async def _measured(self, text: str) -> Elite | None:
        try:
            (found,) = await self._assessor.screen([text])
        except SessionInterruptedError:
            raise
        except MidasError as error:
            self._voice.say(f"(the archive does without {text[:80]}: {error.message})\n")
            return None
        if found.refused:
            return None
        return elite_of(found, parse(text).ast, self.horizon, "model")

    async def end(self, resumable: bool) -> None:
        """The session is over, perhaps amid a search: what was asked is charged before it is remembered.

        Args:
            resumable: The session may go on from its record and charges it then; until then it is not remembered.
        """
        if self.evaluated > self._charged:
            if resumable:
                return
            try:
                await self._charge([], self.level, {})
            except (MidasError, OSError) as error:
                self._voice.say(f"(what was screened could not be charged, and is not kept: {error})\n")
                return
        await self.keep()

    async def keep(self) -> None:
        """Write the archive; a disk that refuses is said and stops nothing."""
        if self._kb is None or not (len(self.archive) or self.archive.tried):
            return
        text = json.dumps({"version": 1, "horizon": self.horizon, **self.archive.record(KEPT)})
        try:
            await asyncio.to_thread(self._kb.save_text, self._path, text)
        except (MidasError, OSError) as error:
            self._voice.say(f"(the archive could not be written: {error})\n")
