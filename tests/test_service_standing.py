"""What `midas status` says of a base: who died on it, what its disk no longer takes; and it answers without consent."""

from __future__ import annotations

import asyncio
import os
import signal
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

import midas_engine.service.vitals as vitals
from midas_engine.events import AlertRaised
from midas_engine.kb import KnowledgeBase
from midas_engine.models import Alert, Severity
from midas_engine.service.metrics import rendered
from midas_engine.service.service import Service
from midas_engine.service.standing import standing_of
from tests.helpers_cli import call_midas
from tests.helpers_outbound import until
from tests.helpers_service import copy_desk, make_desk, plan_of, read_until, start_run
from tests.test_outbound_disk import Quota, quota

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["quota"]
NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def stocked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_desk(tmp_path_factory.mktemp("standing") / "desk", bars=60)


@pytest.fixture
def desk(stocked: Path, tmp_path: Path) -> Path:
    return copy_desk(stocked, tmp_path / "desk")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_service_that_was_killed_is_said_to_have_died_and_one_that_ended_is_not(
    desk: Path, number: signal.Signals, capsys: pytest.CaptureFixture[str]
) -> None:
    began = datetime.now(UTC)
    with start_run(desk) as run:
        read_until(run, "  running ")
        run.send_signal(number)
        run.communicate(timeout=60)
    for _ in range(2):  # looking changes nothing
        said = call_midas(capsys, "status", "--kb", str(desk / "kb"))
        assert said.code == 0
        assert "Nothing runs on this base: no feature is watched." in said.out
        if number is signal.SIGTERM:
            assert "goodbye" not in said.out
            assert standing_of(desk / "kb").died is None
            continue
        assert f"(process {run.pid}) ended without saying goodbye at " in said.out
        assert f"since {began:%Y-%m-%d %H}" in said.out
        assert "it held the base, the watch of its features" in said.out
    if number is signal.SIGKILL:
        with KnowledgeBase(desk / "kb").claim("service"):
            assert standing_of(desk / "kb").died is None, "the next one holds it"
        with KnowledgeBase(desk / "kb").claim("monitor"):
            pass
        assert standing_of(desk / "kb").died is None, "and ended in order"


def test_when_it_died_is_its_last_sign_of_life(desk: Path) -> None:
    claim = KnowledgeBase(desk / "kb").claim("service")
    remark, kept = desk / "kb" / "service.holder.lock", b""
    kept = remark.read_bytes()
    claim.release()
    assert not remark.exists(), "who lets go takes its remark along"
    remark.write_bytes(kept)  # as a killed one leaves it
    last = datetime.now(UTC).timestamp() + 600
    os.utime(remark, (last, last))
    died = standing_of(desk / "kb").died
    assert died is not None
    assert died.remains.process == os.getpid()
    assert f"at about {datetime.fromtimestamp(last, UTC):%Y-%m-%d %H:%M} UTC" in died.sentence()
    os.utime(remark, (died.remains.since.timestamp(),) * 2)
    quiet = standing_of(desk / "kb").died
    assert quiet is not None
    assert "at an unknown time" in quiet.sentence()


async def test_a_disk_that_takes_nothing_any_more_is_said_and_nothing_is_well(
    desk: Path, quota: Quota, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    kb = str(desk / "kb")
    alert = Alert("a-1", "carry", "ic_decay", Severity.WARNING, "its IC fell", NOON, NOON)
    async with Service(plan_of(desk, service__log_mb=1)) as service:
        well = await service.vitals.look()
        assert well.unwritten == ()
        assert well.disk_free_bytes == pytest.approx(vitals.disk_free(desk), rel=0.2)
        quota.set(10)
        service.runtime.bus.publish(AlertRaised(at=NOON, alert=alert))
        refused = {"alarms", "the run's record", "the log"}
        await until(lambda: _refusing(service) == refused)
        assert b'midas_unwritten{what="alarms"} 1.0' in rendered(await service.vitals.look())
        quota.set(None)
        said = await asyncio.to_thread(call_midas, capsys, "status", "--healthy", "--kb", kb)
        assert said.code == 1
        assert "of disk free: not written: alarms, the run's record, the log" in said.out
        service.runtime.bus.publish(AlertRaised(at=NOON, alert=Alert(**{**_fields(alert), "id": "a-2"})))
        await until(lambda: not _refusing(service))
        monkeypatch.setattr(vitals, "LEAST_FREE_BYTES", 1e18)
        short = await service.vitals.look()
        assert not short.healthy
        assert "of disk free, and soon nothing can be written" in short.why
        quota.set(10)
        service.runtime.bus.publish(AlertRaised(at=NOON, alert=Alert(**{**_fields(alert), "id": "a-3"})))
        await until(lambda: _refusing(service) == refused)
    with KnowledgeBase(desk / "kb").claim("service"):
        pass  # its end on a full disk gave the base back; what the log had not written raised there


def _refusing(service: Service) -> set[str]:
    return {what for what, refused in service.vitals.writers.items() if refused()}


def _fields(alert: Alert) -> dict[str, object]:
    return {name: getattr(alert, name) for name in alert.__dataclass_fields__}


def test_status_only_looks_and_waits_for_no_consent(
    desk: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(desk)
    (desk / "midas.toml").write_text('[outbound.kills]\nbot = "file:./orders"\n')
    for words in (("status",), ("status", "--healthy")):
        said = call_midas(capsys, *words, "--kb", str(desk / "kb"))
        assert "Nothing runs on this base" in said.out
        assert "outbound.kills are left out" in said.err
    looks = ["runs", "learnings", "ledger", "kb check", "kb stats", "kb search carry", "kb kills", "signals"]
    for words in [*looks, "report --since 2026-01-01"]:
        said = call_midas(capsys, *words.split(), "--kb", str(desk / "kb"))
        assert (said.code, "needs your consent" in said.err) == (0, False), f"{words}: {said.err}"
    assert "free\n" in call_midas(capsys, "status", "--kb", str(desk / "kb")).out
