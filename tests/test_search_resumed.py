"""A session that is killed while it exchanges parts goes on to the ledger of one that nobody killed."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import shutil
from typing import TYPE_CHECKING, Any

from midas_engine import events as ev
from midas_engine.clock import WallClock
from midas_engine.evaluator.trials.ledger import TrialLedger
from midas_engine.journal import Journal
from midas_engine.kb import KnowledgeBase
from midas_engine.loops import OfflineCompoundLoop, OfflineLoopConfig, PanelAssessor
from midas_engine.loops.interrupted import end_interrupted
from midas_engine.loops.replay import read_resumable
from midas_engine.proposer import LocalResearcher
from midas_engine.search import evolve
from midas_engine.search.archive import Archive
from tests.helpers_search import SETTINGS, planted_panel

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from pathlib import Path

    import pytest

    from midas_engine.search.measure import Figures, Finalist

CONFIG = OfflineLoopConfig(max_iterations=1, screened=240)


class _Killed(BaseException):
    """The process is gone: nobody can catch this."""


class _Dying(PanelAssessor):
    """Dies at its `at`-th batch, or in the family's test once `at` is 0."""

    at = -1

    async def screen(self, texts: Sequence[str]) -> list[Figures]:
        self.at -= 1
        if self.at == 0:
            raise _Killed
        return await super().screen(texts)

    async def check_family(self, texts: Sequence[str], level: float) -> list[Finalist]:
        if self.at > 0:
            raise _Killed
        return await super().check_family(texts, level)


class _Base:
    def __init__(self, folder: Path, workers: int = 0) -> None:
        self.kb = KnowledgeBase(folder / "kb")
        self.journal = Journal(self.kb.journal_path)
        self.settings = dataclasses.replace(
            SETTINGS, evaluation=dataclasses.replace(SETTINGS.evaluation, workers=workers)
        )

    def loop(self, seed: int) -> OfflineCompoundLoop:
        return OfflineCompoundLoop(
            self.kb, lambda: LocalResearcher(seed), config=CONFIG, settings=self.settings, journal=self.journal
        )

    async def run(self, seed: int, at: int = -1, **more: Any) -> str:
        loop = self.loop(seed)
        assessor = _Dying(planted_panel(0.7), self.settings)
        assessor.at, session = at, ""
        with contextlib.suppress(_Killed):
            async for event in loop.stream("anything that predicts", assessor, **more):
                session = session or event.session_id  # type: ignore[attr-defined]
        await assessor.close()
        return session

    def trials(self) -> list[tuple[Any, ...]]:
        with TrialLedger(self.kb.journal_path, read_only=True) as ledger:
            return [(t.canonical, t.outcome, t.score_t, t.accepted, t.summary) for t in ledger.history()]

    def archive(self) -> list[str]:
        return [path.read_text(encoding="utf-8") for path in (self.kb.path / "knowledge" / "archive").glob("*.json")]


async def test_killed_while_parts_are_exchanged_a_resumed_session_has_the_ledger_of_an_uninterrupted_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exchanged = []
    plain = evolve.exchanged
    monkeypatch.setattr(evolve, "exchanged", lambda *a: exchanged.append(a) or plain(*a))
    first = _Base(tmp_path / "first")
    await first.run(5)
    first.journal.close()
    for name in ("whole", "broken 7", "broken 100"):
        shutil.copytree(tmp_path / "first", tmp_path / name)
    whole = _Base(tmp_path / "whole", workers=2)  # however many compute
    await whole.run(6)
    assert exchanged
    for at in (7, 100):  # among the exchanged, in the family's test
        broken = _Base(tmp_path / f"broken {at}")
        session = await broken.run(6, at)
        assert broken.trials() != whole.trials()
        await asyncio.to_thread(end_interrupted, broken.kb, broken.journal, WallClock())
        record, given = read_resumable(broken.journal, session)
        assert await broken.run(6, record=record, existing=given.existing) == session
        assert broken.trials() == whole.trials(), at
        assert broken.archive() == whole.archive(), at
        broken.journal.close()
    whole.journal.close()


class _Ending(PanelAssessor):
    """At its `at`-th batch the session ends, one way or the other."""

    at = 0
    ends: Callable[[], Awaitable[object]]

    async def screen(self, texts: Sequence[str]) -> list[Figures]:
        self.at -= 1
        if self.at == 0:
            await self.ends()
        return await super().screen(texts)


async def _ended(base: _Base, loop: OfflineCompoundLoop, ends: Callable[[], Awaitable[object]]) -> ev.SessionEnded:
    assessor = _Ending(planted_panel(0.7), base.settings)
    assessor.at, assessor.ends = 6, ends
    last = None
    async for event in loop.stream("anything that predicts", assessor):
        last = event
    assert isinstance(last, ev.SessionEnded)
    return last


async def test_what_was_screened_until_the_time_was_over_is_charged_and_remembered(tmp_path: Path) -> None:
    base = _Base(tmp_path)
    base.settings = dataclasses.replace(
        base.settings, model=dataclasses.replace(base.settings.model, session_minutes=0.25)
    )
    ended = await _ended(base, base.loop(5), asyncio.Event().wait)  # for ever
    assert "wall time" in ended.reason
    (family,) = [row for row in base.trials() if row[1] == "screened"]
    assert family[-1]["finalists"] == []
    assert 0 < family[-1]["evaluated"] < 240
    (kept,) = base.archive()
    assert len(Archive.from_record(json.loads(kept)).tried) >= family[-1]["evaluated"]
    base.journal.close()


async def test_a_cancelled_search_is_charged_once_when_it_goes_on_and_not_remembered_before(tmp_path: Path) -> None:
    base, whole = _Base(tmp_path / "cancelled"), _Base(tmp_path / "whole")
    loop = base.loop(5)

    async def cancel() -> None:
        loop.cancel()

    ended = await _ended(base, loop, cancel)
    assert ended.result == "cancelled"
    assert base.trials() == []
    assert base.archive() == []
    record, given = read_resumable(base.journal, ended.session_id)
    await base.run(5, record=record, existing=given.existing)
    await whole.run(5)
    assert base.trials() == whole.trials()
    assert base.archive() == whole.archive()
    base.journal.close()
    whole.journal.close()
