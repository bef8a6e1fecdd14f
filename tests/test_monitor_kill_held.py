"""`on_kill` within two seconds and the next bar within one, whoever sits on the journal or on the base's lock."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from midas_engine.clock import WallClock
from midas_engine.events import FaultReported
from midas_engine.journal import Journal
from midas_engine.kb import KnowledgeBase
from midas_engine.models import FeatureState
from midas_engine.monitor import OnlineMonitor
from midas_engine.promoter import FeaturePromoter
from tests.helpers_cli import run_midas
from tests.helpers_holders import make_base, suspended, until
from tests.helpers_monitor import bar_time
from tests.helpers_patience import ServedClock

if TYPE_CHECKING:
    from pathlib import Path

TOLD, BAR = 2.0, 1.8  # seconds; a bar's own bound is one, and the machine may be busy


@pytest.mark.parametrize("what", ["journal", "lock"])
async def test_told_in_time_and_archived_in_the_same_life(tmp_path: Path, what: str) -> None:
    base, wall = make_base(tmp_path, "carry", "other"), WallClock()
    told: list[float] = []
    kb = KnowledgeBase(base)
    with Journal(kb.journal_path) as journal:
        promoter = FeaturePromoter(kb, journal)

        def on_kill(name: str) -> None:
            told.append(wall.monotonic())

        monitor = OnlineMonitor(["carry", "other"], kb=kb, journal=journal, promoter=promoter, on_kill=on_kill)
        faults: list[FaultReported] = []
        monitor.bus.tap(lambda e: faults.append(e) if isinstance(e, FaultReported) else None)
        for bar in range(3):
            await monitor.process_update(bar_time(bar), {"carry": 1.0, "other": 2.0}, 0.01)
        with suspended(what, base):
            killing = asyncio.create_task(monitor.kill("carry", reason="flipped"))
            await until(lambda: told, TOLD)
            assert set(kb.kill_file.read().kills) == {"carry"}
            for bar in range(3, 6):
                with ServedClock() as served:
                    await monitor.process_update(bar_time(bar), {"carry": 1.0, "other": 2.0}, 0.01)
                    assert served.seconds < BAR
            assert await killing
            assert monitor.metrics("other").bars == 5
        fallen = monitor.kills.records["carry"]
        await until(lambda: fallen.archived and fallen.told, 60)
        await monitor.kills.settle()
        record = kb.feature("carry")
        assert (record.state, record.killed) == (FeatureState.ARCHIVED, True)
        assert [fault.severity for fault in faults].count("critical") <= 3  # each told once, not at every try
        await monitor.close()
    assert kb.kill_file.read().kills["carry"].told
    assert len(told) == 1


async def test_midas_kill_beside_a_suspended_holder_is_latched_and_obeyed(tmp_path: Path) -> None:
    base, told = make_base(tmp_path, "carry"), []  # type: ignore[var-annotated]
    kb = KnowledgeBase(base)
    with Journal(kb.journal_path) as journal:
        promoter = FeaturePromoter(kb, journal)
        monitor = OnlineMonitor(["carry"], kb=kb, journal=journal, promoter=promoter, on_kill=told.append, symbols=1)
        await monitor.start()
        with suspended("lock", base):
            command = ("kill", "carry", "--reason", "flipped", "--yes", "carry", "--kb", str(base))
            running = asyncio.create_task(asyncio.to_thread(run_midas, *command))
            await until(lambda: told, 15)
            assert not running.done()  # it still waits for the archive, when everybody has been told
        ran = await running
        assert ran.code == 0, ran.err
        await monitor.kills.settle()
        await monitor.close()
    assert told == ["carry"]
    assert kb.feature("carry").killed
    assert kb.kill_file.read().kills["carry"].via == "command line"
