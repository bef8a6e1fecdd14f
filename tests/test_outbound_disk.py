"""What leaves while a disk refuses or a clock is set: no line is torn, no bar committed twice, no proof broken."""

from __future__ import annotations

import json
import os
import resource
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from helpers_outbound import until
from midas_engine.bus import EventBus
from midas_engine.clock import ManualClock
from midas_engine.events import AlertRaised
from midas_engine.kb import KnowledgeBase
from midas_engine.models import Alert, Severity
from midas_engine.outbound import Source
from midas_engine.outbound.appending import append_whole
from midas_engine.outbound.destination import Address
from midas_engine.outbound.proof_side import ProofSide
from midas_engine.outbound.signal_log import SignalLog
from midas_engine.outbound.verify import read_chain, read_heads, verify
from midas_engine.service.alarms import AlarmsFile
from midas_engine.service.retention import believed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


class Quota:
    """A limit on how long a file may become, as a full disk is one."""

    def __init__(self) -> None:
        self._before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def set(self, size: int | None) -> None:
        soft = self._before[0] if size is None else size
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, self._before[1]))


@pytest.fixture
def quota() -> Iterator[Quota]:
    made = Quota()
    yield made
    made.set(None)


def test_a_full_disk_tears_no_line(tmp_path: Path, quota: Quota) -> None:
    path, log = tmp_path / "lines", SignalLog(tmp_path / "signals")
    faults: list[str] = []
    alarms = AlarmsFile(tmp_path / "alarms", lambda *told: faults.append(told[0]))
    append_whole(path, b"first\n")
    log.append({"bar": "1", "bar_seconds": 60})
    alert = Alert("a-1", "carry", "ic_decay", Severity.WARNING, "its IC fell", NOON, NOON)
    quota.set(10)
    with pytest.raises(OSError, match="only a part of a line"):
        append_whole(path, b"second\n")
    with pytest.raises(OSError, match="File too large"):
        log.append({"bar": "2", "bar_seconds": 60})
    alarms.take(AlertRaised(at=NOON, alert=alert))
    quota.set(None)
    assert path.read_bytes() == b"first\n"
    assert (tmp_path / "alarms").read_bytes() == b""
    assert "cannot be written" in faults[0]
    append_whole(path, b"second\n")
    log.append({"bar": "2", "bar_seconds": 60})
    alarms.take(AlertRaised(at=NOON, alert=Alert("a-2", "trend", "ic_decay", Severity.WARNING, "x", NOON, NOON)))
    alarms.close()
    assert path.read_bytes() == b"first\nsecond\n"
    assert [r["bar"] for r in SignalLog(tmp_path / "signals").since(0)] == ["1", "2"]
    assert [json.loads(line)["id"] for line in (tmp_path / "alarms").read_text().splitlines()] == ["a-1", "a-2"]


class Desk:
    """A proof of hourly records, with a file of heads."""

    def __init__(self, folder: Path) -> None:
        self.clock, self.ahead = ManualClock(NOON + timedelta(hours=1)), timedelta()
        kb = KnowledgeBase(folder / "kb")
        self.folder, self.heads = folder, folder / "heads"
        self.side = ProofSide(Source(kb, EventBus(), self), [Address("safe", "file", str(self.heads))])
        self.side.begin(SignalLog(folder / "none"))

    def now(self) -> datetime:
        return self.clock.now() + self.ahead

    def monotonic(self) -> float:
        return self.clock.monotonic()

    async def sleep(self, seconds: float) -> None:
        await self.clock.sleep(seconds)

    async def bar(self, hour: int) -> None:
        record: dict[str, Any] = {"bar": (NOON + timedelta(hours=hour)).isoformat(), "bar_seconds": 3600}
        await self.side.hand_over({**record, "computed_later": False, "features": {}, "symbols": ["A"]})

    def verified(self) -> list[str]:
        heads = read_heads(self.heads.read_text()) if self.heads.is_file() else []
        found = verify(read_chain(self.side.chain.path), heads)
        self.late = found.late
        return found.faults


async def test_a_head_that_cannot_leave_is_tried_again_and_breaks_no_proof(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    os.mkfifo(desk.heads)
    await desk.bar(0)  # committed all the same
    await until(lambda: "named pipe" in desk.side.status()["heads"][str(desk.heads)]["why"])
    desk.heads.unlink()
    desk.clock.advance(3600)
    await until(lambda: desk.heads.is_file() and not desk.side.status()["heads"][str(desk.heads)]["due"])
    await desk.bar(1)
    assert desk.verified() == []
    assert [json.loads(line)["n"] for line in desk.heads.read_text().splitlines()] == [1]
    await desk.side.close()


@pytest.mark.parametrize("hours", [-30, 5])
async def test_a_clock_that_is_set_breaks_no_proof(tmp_path: Path, hours: int) -> None:
    desk = Desk(tmp_path)
    await desk.bar(0)
    for hour in range(1, 4):
        desk.clock.advance(3600)
        desk.ahead = timedelta(hours=hours if hour == 2 else 0)
        await desk.bar(hour)
    assert desk.verified() == []
    assert desk.late == (2 if hours > 0 else 0), "what may have been written too late says so"


def test_a_clock_that_is_years_ahead_lets_nothing_go() -> None:
    ahead = NOON + timedelta(days=3000)
    assert believed(ahead, NOON) == NOON + timedelta(days=1)
    assert believed(NOON, NOON - timedelta(hours=1)) == NOON
    assert believed(ahead, None) == ahead


def test_who_reads_on_reads_no_record_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from midas_engine.outbound import signal_log

    log, seen = SignalLog(tmp_path / "signals"), []  # type: tuple[SignalLog, list[bytes]]
    for number in range(50):
        log.append({"bar": str(number), "bar_seconds": 60})
    assert len(list(log.since(0))) == 50
    read = signal_log._read

    def counted(line: bytes, path: Path) -> dict[str, Any]:
        seen.append(line)
        return read(line, path)

    monkeypatch.setattr(signal_log, "_read", counted)
    log.append({"bar": "50", "bar_seconds": 60})
    assert [r["bar"] for r in log.since(50)] == ["50"]
    assert len(seen) == 1
    assert [r["sequence"] for r in log.since(48)] == [49, 50, 51]
    assert len(list(SignalLog(tmp_path / "signals").since(7))) == 44
