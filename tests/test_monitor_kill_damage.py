"""Never up alive: a killed feature stays killed whatever happened to one of its records, and it is shouted."""

from __future__ import annotations

import os
import shutil
import sqlite3
from typing import TYPE_CHECKING, Any

import pytest

from midas_engine.errors import MonitorError
from midas_engine.events import FaultReported
from midas_engine.journal import Journal
from midas_engine.kb import KnowledgeBase
from midas_engine.models import FeatureRecord, FeatureState
from midas_engine.monitor import OnlineMonitor
from midas_engine.promoter import FeaturePromoter
from tests.helpers_cli import run_midas
from tests.helpers_monitor import clock_at

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


DEPLOYED = "knowledge/features/deployed/carry.md"


class Desk:
    """A base with a deployed feature, and lives of a monitor on it."""

    def __init__(self, folder: Path) -> None:
        self.kb_path = folder / "kb"
        self.told: list[str] = []
        self.faults: list[FaultReported] = []
        with FeaturePromoter(KnowledgeBase(self.kb_path)).journal as journal:
            promoter = FeaturePromoter(KnowledgeBase(self.kb_path), journal)
            for name in ("carry", "other"):
                promoter.save_candidate(FeatureRecord(name, "close", FeatureState.CANDIDATE))
                promoter.promote(name, "a test", force=True)
        self.alive = (self.kb_path / DEPLOYED).read_bytes()

    @property
    def journal(self) -> Path:
        return self.kb_path / "journal.sqlite"

    @property
    def kills(self) -> Path:
        return self.kb_path / "kills.log"

    async def live(self, act: Callable[[OnlineMonitor], Any] | None = None, on_kill: Any = None) -> frozenset[str]:
        """One life of a monitor; who is killed in it."""
        self.faults = []
        kb = KnowledgeBase(self.kb_path)
        with Journal(kb.journal_path) as journal:
            promoter = FeaturePromoter(kb, journal)
            monitor = OnlineMonitor(
                ["carry", "other"], kb=kb, journal=journal, promoter=promoter, on_kill=on_kill or self.told.append,
                clock=clock_at(9), symbols=1,
            )  # fmt: skip
            monitor.bus.tap(lambda e: self.faults.append(e) if isinstance(e, FaultReported) else None)
            await monitor.start()
            if act is not None:
                await act(monitor)
            if on_kill is None:
                await monitor.kills.settle()
            await monitor.close()
            return monitor.kills.killed

    async def kill_untold(self) -> None:
        """Kill carry; its callback is never confirmed, and the process ends."""

        async def never(name: str) -> None:
            raise ConnectionError("the broker is down")

        async def act(monitor: OnlineMonitor) -> None:
            await monitor.kill("carry", reason="flipped")

        await self.live(act, never)
        self.sweep()

    def sweep(self) -> None:
        """Put the journal's tail into it, so that damage hits what counts."""
        with sqlite3.connect(self.journal) as raw:
            raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        raw.close()
        for tail in ("-wal", "-shm"):
            self.journal.with_name(self.journal.name + tail).unlink(missing_ok=True)


@pytest.fixture
async def desk(tmp_path: Path) -> Desk:
    made = Desk(tmp_path)
    await made.kill_untold()
    return made


def _zero(path: Path, needle: bytes) -> None:
    data = bytearray(path.read_bytes())
    page = int.from_bytes(data[16:18], "big")
    places = [place // page for place in range(len(data)) if data.startswith(needle, place)]
    assert places
    for number in places:
        data[number * page : (number + 1) * page] = bytes(page)
    path.write_bytes(bytes(data))


def _states(path: Path) -> None:
    _zero(path, b"monitor/kills")


def _schema(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"CREATE TABLE states", b"CREATE TABLE stXtes"))


def _header(path: Path) -> None:
    path.write_bytes(bytes(100) + path.read_bytes()[100:])


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _gone(path: Path) -> None:
    path.unlink()


def _row(path: Path) -> None:
    with sqlite3.connect(path) as raw:
        raw.execute("UPDATE states SET value = X'5B5D' WHERE key = 'monitor/kills'")
    raw.close()


def _dropped(path: Path) -> None:
    with sqlite3.connect(path) as raw:
        raw.execute("DELETE FROM states")
    raw.close()


@pytest.mark.parametrize("damage", [_states, _schema, _header, _empty, _gone, _row, _dropped])
@pytest.mark.parametrize("archived", [True, False], ids=["archived", "latched only"])
async def test_a_damaged_journal_brings_nobody_back_and_is_shouted(desk: Desk, damage: Any, archived: bool) -> None:
    if not archived:
        _revive_file(desk)
    damage(desk.journal)
    assert await desk.live() == {"carry"}
    assert desk.told == ["carry"]
    assert [fault for fault in desk.faults if fault.severity == "critical"]
    assert KnowledgeBase(desk.kb_path).feature("carry").killed
    assert await desk.live() == {"carry"}
    assert desk.told == ["carry"]


def _revive_file(desk: Desk) -> None:
    """As an older copy of the base has it: deployed, not killed."""
    (desk.kb_path / DEPLOYED).write_bytes(desk.alive)
    (desk.kb_path / DEPLOYED.replace("deployed", "archived")).unlink()


def _cut(part: float) -> Any:
    def cut(path: Path) -> None:
        path.write_bytes(path.read_bytes()[: int(path.stat().st_size * part)])

    return cut


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[data.index(b'"op":"kill"') + 20] ^= 1
    path.write_bytes(bytes(data))


def _fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _link(path: Path) -> None:
    path.rename(path.with_name("away"))
    path.symlink_to("away")


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("damage", [_gone, _empty, _cut(0.1), _cut(0.5), _flip, _fifo, _link, _folder])
@pytest.mark.parametrize("archived", [True, False], ids=["archived", "latched only"])
async def test_a_damaged_kill_file_brings_nobody_back_and_is_shouted(desk: Desk, damage: Any, archived: bool) -> None:
    if not archived:
        _revive_file(desk)
    damage(desk.kills)
    assert await desk.live() == {"carry"}
    assert desk.told == ["carry"]
    assert [fault for fault in desk.faults if fault.severity == "critical"]
    assert KnowledgeBase(desk.kb_path).kill_file.read().damage == ""
    assert set(KnowledgeBase(desk.kb_path).kill_file.read().kills) == {"carry"}
    await desk.live()
    assert desk.told == ["carry"]
    assert desk.faults == []


async def test_cut_at_every_line_and_between_the_journal_knows(desk: Desk) -> None:
    whole = desk.kills.read_bytes()
    saved = desk.kb_path.with_name("saved")
    shutil.copytree(desk.kb_path, saved)
    for size in range(0, len(whole), 97):
        shutil.rmtree(desk.kb_path)
        shutil.copytree(saved, desk.kb_path)
        desk.kills.write_bytes(whole[:size])
        desk.told.clear()
        assert await desk.live() == {"carry"}, size
        assert desk.told == ["carry"], size


async def test_when_both_records_are_damaged_it_refuses_and_says_what_to_do(desk: Desk) -> None:
    _states(desk.journal)
    _flip(desk.kills)
    with pytest.raises(MonitorError, match="could come up alive|damaged") as caught:
        await desk.live()
    assert "midas kb kills --rebuild" in caught.value.hint
    assert desk.told == []
    done = run_midas("kb", "kills", "--rebuild", "--kb", str(desk.kb_path))
    assert done.code == 0
    assert "carry" in done.out
    assert await desk.live() == {"carry"}


async def test_an_old_backup_of_the_journal_un_kills_nobody(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    await desk.live()
    desk.sweep()
    backup = desk.journal.read_bytes()
    await desk.kill_untold()
    desk.journal.write_bytes(backup)
    assert await desk.live() == {"carry"}
    assert desk.told == ["carry"]


async def test_an_old_copy_of_the_base_beside_a_newer_kill_file_un_kills_nobody(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    await desk.live()
    desk.sweep()
    old = tmp_path / "old"
    shutil.copytree(desk.kb_path, old)
    await desk.kill_untold()
    newer = desk.kills.read_bytes()
    shutil.rmtree(desk.kb_path)
    shutil.copytree(old, desk.kb_path)
    desk.kills.write_bytes(newer)
    assert KnowledgeBase(desk.kb_path).feature("carry").state is FeatureState.DEPLOYED
    assert await desk.live() == {"carry"}
    assert desk.told == ["carry"]
    assert KnowledgeBase(desk.kb_path).feature("carry").killed


async def test_a_kill_file_that_goes_while_the_monitor_runs_is_made_anew(desk: Desk) -> None:
    async def act(monitor: OnlineMonitor) -> None:
        desk.kills.unlink()
        await monitor.obey()
        assert monitor.kills.killed == {"carry"}
        await monitor.kill("other", reason="too")

    assert await desk.live(act) == {"carry", "other"}
    assert any("is gone" in fault.message and fault.severity == "critical" for fault in desk.faults)
    assert set(KnowledgeBase(desk.kb_path).kill_file.read().kills) == {"carry", "other"}


async def test_a_redeploy_by_name_is_the_one_way_back(desk: Desk) -> None:
    with FeaturePromoter(KnowledgeBase(desk.kb_path)).journal as journal:
        promoter = FeaturePromoter(KnowledgeBase(desk.kb_path), journal)
        promoter.redeploy("carry", "the exchange had sent wrong data", force=True)
    assert await desk.live() == frozenset()
    assert desk.told == []
    desk.sweep()
    shutil.copy(desk.journal, desk.kb_path / "x")
    assert await desk.live() == frozenset()


async def test_a_redeploy_holds_against_an_older_journal(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    await desk.kill_untold()
    backup = desk.journal.read_bytes()  # here the journal says killed
    with FeaturePromoter(KnowledgeBase(desk.kb_path)).journal as journal:
        FeaturePromoter(KnowledgeBase(desk.kb_path), journal).redeploy("carry", "mended", force=True)
    desk.sweep()
    desk.journal.write_bytes(backup)
    assert await desk.live() == frozenset()


async def test_a_kill_of_an_older_version_is_taken_over_in_silence(desk: Desk) -> None:
    desk.kills.unlink()
    with sqlite3.connect(desk.journal) as raw:
        raw.execute("DELETE FROM states WHERE key = 'monitor/kill-file'")
    raw.close()
    assert await desk.live() == {"carry"}
    assert desk.faults == []
    assert set(KnowledgeBase(desk.kb_path).kill_file.read().kills) == {"carry"}
