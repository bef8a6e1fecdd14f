"""A running monitor obeys what another process did to the base, and says who did it and where."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import pytest

from midas_engine.events import FeatureMoved
from midas_engine.journal import Journal
from midas_engine.kb import KnowledgeBase
from midas_engine.monitor import OnlineMonitor
from midas_engine.promoter import FeaturePromoter
from tests.helpers_cli import run_midas
from tests.helpers_holders import OtherProcess, make_base, until
from tests.helpers_monitor import bar_time, clock_at
from tests.test_runtime_live import LiveRuntime, market

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from midas_engine.market import Panel

__all__ = ["market"]


class Watch:
    """A monitor on a base, what it told, and the command line beside it."""

    def __init__(self, base: Path, monitor: OnlineMonitor) -> None:
        self.monitor, self.other, self.bar = monitor, OtherProcess(base), 0
        self.moves: list[FeatureMoved] = []
        monitor.bus.tap(lambda e: self.moves.append(e) if isinstance(e, FeatureMoved) else None)

    async def bars(self, count: int = 1) -> None:
        for _ in range(count):
            await self.monitor.process_update(bar_time(self.bar), {"carry": 1.0, "other": 2.0}, 0.01)
            self.bar += 1

    async def midas(self, *words: str) -> None:
        await asyncio.to_thread(self.other.midas, *words)

    def last(self) -> tuple[str, str, str, str]:
        move = self.moves[-1]
        return move.feature, move.action, move.after, move.actor


@contextlib.asynccontextmanager
async def watching(folder: Path, told: list[str], everything: bool = True) -> AsyncIterator[Watch]:
    base = folder / "kb" if (folder / "kb").exists() else make_base(folder, "carry", "other")
    kb = KnowledgeBase(base)
    with Journal(kb.journal_path) as journal:
        promoter = FeaturePromoter(kb, journal, via="Python")
        more: dict[str, Any] = {"kb": kb, "journal": journal, "promoter": promoter, "on_kill": told.append}
        monitor = OnlineMonitor(promoter.list_deployed() or ["carry"], clock=clock_at(99), **more)
        monitor.obedience.everything = everything
        watch = Watch(base, monitor)
        try:
            await watch.bars(2)
            yield watch
        finally:
            watch.other.close()
            await monitor.close()


async def test_a_kill_from_the_command_line_fires_between_bars(tmp_path: Path) -> None:
    told: list[str] = []
    async with watching(tmp_path, told) as watch:
        await watch.midas("kill", "carry", "--reason", "flipped", "--yes", "carry")
        await until(lambda: told, 1.5)  # a look every quarter of a second
        assert told == ["carry"]
        assert watch.last() == ("carry", "kill", "archived", "operator (command line)")
        await watch.bars()
        assert watch.monitor.metrics("carry").status == "killed"
        assert watch.monitor.fleet.engine.live.tolist() == [0.0, 1.0]
        await watch.monitor.kills.settle()
    assert told == ["carry"]
    assert [m.action for m in watch.moves] == ["kill"]
    async with watching(tmp_path, told) as watch:  # and is not told again
        assert watch.monitor.kills.killed == {"carry"}
    assert told == ["carry"]


async def test_a_kill_by_python_s_promoter_fires_too_and_once(tmp_path: Path) -> None:
    told: list[str] = []
    async with watching(tmp_path, told) as watch:
        promoter: Any = watch.monitor.promoter
        await asyncio.to_thread(promoter.kill, "carry", "flipped")
        await watch.bars()
        await watch.monitor.kills.settle()
        assert told == ["carry"]
        assert watch.last() == ("carry", "kill", "archived", "operator (Python)")
        assert not await watch.monitor.kill("carry", reason="again")
    assert told == ["carry"]


async def test_a_kill_while_nobody_watches_is_told_at_the_next_start(tmp_path: Path) -> None:
    told: list[str] = []
    base = make_base(tmp_path, "carry", "other")
    ran = run_midas("kill", "carry", "--reason", "flipped", "--yes", "carry", "--kb", str(base))
    assert "on_kill is called by the monitor" in ran.out
    async with watching(tmp_path, told) as watch:
        await watch.monitor.kills.settle()
        assert told == ["carry"]
    assert "told" in run_midas("kb", "kills", "--kb", str(base)).out


async def test_pause_demote_undo_and_redeploy_are_obeyed_before_the_next_bar(tmp_path: Path) -> None:
    told: list[str] = []
    async with watching(tmp_path, told) as watch:
        fleet = watch.monitor.fleet
        await watch.midas("pause", "carry")
        await watch.bars()
        assert (fleet.paused, watch.last()) == ({"carry"}, ("carry", "pause", "deployed", "operator (command line)"))
        await watch.midas("resume", "carry")
        await watch.bars()
        assert fleet.paused == set()
        await watch.midas("demote", "carry", "--reason", "tired")
        await watch.bars()
        assert (fleet.names, watch.last()[1]) == (["other"], "demote")
        await watch.midas("undo")
        await watch.bars()
        assert sorted(fleet.names) == ["carry", "other"]
        assert watch.last() == ("carry", "undo", "deployed", "operator (command line)")
        await watch.midas("redo")
        await watch.bars()
        assert fleet.names == ["other"]
        await watch.midas("redeploy", "carry", "--reason", "back", "--force")
        await watch.bars()
        assert sorted(fleet.names) == ["carry", "other"]
    assert told == []


async def test_a_redeploy_ends_a_kill_in_a_running_monitor(tmp_path: Path) -> None:
    told: list[str] = []
    async with watching(tmp_path, told) as watch:
        await watch.monitor.kill("carry", reason="flipped")
        await watch.monitor.kills.settle()
        await watch.midas("redeploy", "carry", "--reason", "the data was wrong", "--force")
        await watch.bars()
        assert watch.monitor.kills.killed == frozenset()
        assert watch.monitor.metrics("carry").status != "killed"
        await watch.midas("kill", "carry", "--reason", "flipped again", "--yes", "carry")
        await watch.bars()
        await watch.monitor.kills.settle()
    assert told == ["carry", "carry"]


async def test_one_that_watches_named_features_takes_on_no_others(tmp_path: Path) -> None:
    async with watching(tmp_path, [], everything=False) as watch:
        promoter: Any = watch.monitor.promoter
        promoter.propose_version("carry", "open", "a fix")
        promoter.shadow("carry@2")
        await watch.bars()
        assert watch.monitor.fleet.names == ["carry", "other"]


@pytest.mark.parametrize("door", ["command line", "terminal"])
async def test_the_runtime_on_a_feed_obeys_either_door(tmp_path: Path, market: Panel, door: str) -> None:
    desk = LiveRuntime(tmp_path, market, bars=650)
    async with desk.runtime as midas:
        await desk.grow(1)
        assert midas.watched.stage is not None
        switch = midas.watched.stage.fleet.kills
        if door == "terminal":
            assert "killed" in await midas.pipeline.act("kill", "carry", "flipped")
        else:
            words = ("kill", "carry", "--reason", "flipped", "--yes", "carry", "--kb", str(tmp_path / "kb"))
            assert (await asyncio.to_thread(run_midas, *words)).code == 0
        await desk.until(lambda: "carry" in switch.killed)
        await switch.settle()
        moves = [e for e in desk.seen if isinstance(e, FeatureMoved) and e.action == "kill"]
        assert len(moves) == 1
        assert door in moves[0].actor or door == "terminal"
        assert midas.kb.feature("carry").killed
    told: list[str] = []  # neither door has an on_kill: the next monitor that has one calls it
    kb = KnowledgeBase(tmp_path / "kb")
    with Journal(kb.journal_path) as journal:
        promoter = FeaturePromoter(kb, journal)
        monitor = OnlineMonitor(
            ["carry"], clock=clock_at(99), kb=kb, journal=journal, promoter=promoter, on_kill=told.append
        )
        await monitor.start()
        await monitor.kills.settle()
        await monitor.close()
    assert told == ["carry"]
