"""What the watcher says about changes on disk."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from helpers_kb import learning, record
from midas_engine.kb.store import KnowledgeBase
from midas_engine.kb.watch import Fingerprints, watch, watched
from midas_engine.promoter.promoter import FeaturePromoter


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("skills/x.md", True),
        ("knowledge/thresholds.json", True),
        ("reports/daily/x.png", True),
        ("midas.lock", False),
        ("midas.holder.lock", False),
        ("journal.sqlite-wal", False),
        (".midas/pending.json", False),
        ("skills/.x.md.swp", False),
        ("skills/.midas-1-0123456789ab.tmp", False),
    ],
)
def test_only_documents_are_watched(path: str, wanted: bool) -> None:
    assert watched(Path(path)) is wanted


def test_a_change_is_a_change_of_content(tmp_path: Path) -> None:
    path = tmp_path / "x.md"
    path.write_text("one")
    prints = Fingerprints(tmp_path)
    prints.learn()
    os.utime(path, (1, 1))
    assert prints.changed({path}) == ()
    path.write_text("two")
    assert prints.changed({path, tmp_path / "gone.md", Path("/elsewhere/x.md")}) == ("x.md",)
    assert prints.changed({path}) == ()
    path.unlink()
    assert prints.changed({path}) == ("x.md",)
    assert prints.changed({path}) == ()
    os.mkfifo(tmp_path / "pipe.md")
    assert prints.changed({tmp_path / "pipe.md"}) == ("pipe.md",)


async def _collect(kb: KnowledgeBase, wanted: set[str], act: object) -> list[tuple[str, ...]]:
    stop = asyncio.Event()
    batches: list[tuple[str, ...]] = []
    ready = asyncio.Event()

    async def listen() -> None:
        async for batch in watch(kb.path, stop=stop, debounce_ms=20):
            if batch == ("skills/probe.md",):
                ready.set()
                continue
            batches.append(batch)
            if wanted <= {path for b in batches for path in b}:
                stop.set()

    task = asyncio.create_task(listen())
    probe = kb.path / "skills" / "probe.md"
    for number in range(200):  # the watch is up once it sees the probe
        assert not task.done()
        probe.write_text(str(number))
        try:
            await asyncio.wait_for(ready.wait(), 0.05)
            break
        except TimeoutError:
            continue
    await asyncio.to_thread(act)  # type: ignore[arg-type]
    await asyncio.wait_for(task, 110)
    return [tuple(p for p in b if p != "skills/probe.md") for b in batches]


async def test_a_promotion_and_a_learning_are_seen(tmp_path: Path) -> None:
    kb = KnowledgeBase(tmp_path / "kb")
    promoter = FeaturePromoter(kb)
    promoter.save_candidate(record())
    before, after = "knowledge/features/candidates/carry.md", "knowledge/features/deployed/carry.md"
    new = "knowledge/learnings/offline/20260102-030405-funding_carry_survives.md"

    def act() -> None:
        promoter.promote("carry")
        kb.save_learning(learning())

    batches = await _collect(kb, {before, after, new}, act)
    assert {path for batch in batches for path in batch} == {before, after, new}


async def test_an_editor_that_replaces_the_file_is_seen_once(tmp_path: Path) -> None:
    kb = KnowledgeBase(tmp_path / "kb")

    def act() -> None:
        swap = kb.path / "proposer/prompts/.plan.md.swp"
        swap.write_text("A new plan for {{goal}}\n")
        swap.rename(kb.path / "proposer/prompts/plan.md")

    batches = await _collect(kb, {"proposer/prompts/plan.md"}, act)
    assert batches == [("proposer/prompts/plan.md",)]


async def test_a_folder_that_is_not_there_ends_the_watch(tmp_path: Path) -> None:
    assert [batch async for batch in watch(tmp_path / "none")] == []
