"""Backup, restore, status and the files of a deployment."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
import tarfile
import tomllib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from midas_engine.clock import ManualClock, WallClock
from midas_engine.errors import KnowledgeBaseError
from midas_engine.journal import Journal
from midas_engine.kb import KnowledgeBase
from midas_engine.service.backup import MANIFEST, backup, restore
from midas_engine.service.service import Service
from midas_engine.service.standing import Standing, standing_of
from midas_engine.settings import load_settings
from tests.helpers_cli import ROOT, call_midas
from tests.helpers_service import copy_desk, make_desk, plan_of

if TYPE_CHECKING:
    from pathlib import Path

CLOCK = WallClock()
DEPLOY = ROOT / "deploy"


@pytest.fixture(scope="module")
def stocked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_desk(tmp_path_factory.mktemp("keep") / "desk", bars=60)


@pytest.fixture
def desk(stocked: Path, tmp_path: Path) -> Path:
    return copy_desk(stocked, tmp_path / "desk")


def _states(base: Path) -> dict[str, str]:
    return {record.name: str(record.state) for record in KnowledgeBase(base, read_only=True).features()}


# -- backup and restore ------------------------------------------------------------------------------


def test_a_base_comes_back_as_it_was_and_kills_made_since_stay(
    desk: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kb, file = desk / "kb", tmp_path / "base.tar.gz"
    assert call_midas(capsys, "backup", str(file), "--kb", str(kb)).code == 0
    assert file.stat().st_mode & 0o777 == 0o600
    assert call_midas(capsys, "kill", "carry", "--reason", "since", "--yes", "carry", "--kb", str(kb)).code == 0
    assert call_midas(capsys, "demote", "fast", "--reason", "since", "--kb", str(kb)).code == 0
    done = call_midas(capsys, "restore", str(file), "--kb", str(kb))
    assert done.code == 0, done.err
    assert "killed since the backup, and still: carry" in done.out
    assert _states(kb)["fast"] == "deployed"
    assert "carry" in KnowledgeBase(kb, read_only=True).kill_file.read().kills
    with Journal(kb / "journal.sqlite") as journal:
        assert journal.verify() == []
        assert [action.action for action in journal.actions()].count("demote") == 0
    aside = [path for path in desk.iterdir() if path.name.startswith("kb.before-")]
    assert len(aside) == 1
    again = call_midas(capsys, "backup", str(file), "--kb", str(kb))
    assert again.code == 6
    assert "is there already" in again.err


async def test_a_live_base_is_backed_up_and_never_restored_over(desk: Path, tmp_path: Path) -> None:
    kb, file = desk / "kb", tmp_path / "base.tar.gz"
    async with Service(plan_of(desk)) as service:
        await service.runtime.watched.live.monitor.save()  # type: ignore[union-attr]
        import asyncio

        await asyncio.to_thread(backup, kb, file, CLOCK)
        with pytest.raises(KnowledgeBaseError, match="is in use by"):
            await asyncio.to_thread(restore, file, kb, CLOCK)
    elsewhere = tmp_path / "elsewhere"
    restore(file, elsewhere, CLOCK)
    assert _states(elsewhere) == _states(kb)
    with tarfile.open(file) as tar:
        names = tar.getnames()
    assert not {name for name in names if name.endswith(("token", "socket", "midas.log", ".lock", "-wal"))}


@pytest.mark.parametrize("fault", ["a byte", "cut off", "a way out", "a link", "a newer one", "one more", "no tar"])
def test_a_backup_that_is_not_sound_changes_nothing(desk: Path, tmp_path: Path, fault: str) -> None:
    kb, good, bad = desk / "kb", tmp_path / "good.tar.gz", tmp_path / "bad.tar.gz"
    backup(kb, good, CLOCK)
    before = _states(kb)
    if fault == "cut off":
        bad.write_bytes(good.read_bytes()[:-2_000])
    elif fault == "no tar":
        bad.write_bytes(b"nothing of the kind" * 100)
    else:
        with tarfile.open(good) as tar, tarfile.open(bad, "w:gz") as made:
            for member in tar:
                body = tar.extractfile(member).read()  # type: ignore[union-attr]
                if fault == "a byte" and member.name == "journal.sqlite":
                    body = body[:5_000] + bytes([body[5_000] ^ 1]) + body[5_001:]
                if fault == "a newer one" and member.name == MANIFEST:
                    body = json.dumps({**json.loads(body), "schema": 99}).encode()
                member.size = len(body)
                made.addfile(member, io.BytesIO(body))
            odd = tarfile.TarInfo({"a way out": "../outside.md", "a link": "link.md"}.get(fault, "more.md"))
            odd.type = tarfile.SYMTYPE if fault == "a link" else tarfile.REGTYPE
            odd.linkname = "/etc/passwd" if fault == "a link" else ""
            if fault in ("a way out", "a link", "one more"):
                made.addfile(odd, None if fault == "a link" else io.BytesIO(b""))
    with pytest.raises(KnowledgeBaseError):
        restore(bad, kb, CLOCK)
    assert _states(kb) == before
    assert not (tmp_path / "outside.md").exists()
    assert [path.name for path in desk.iterdir() if "restoring" in path.name or "before" in path.name] == []


# -- status ------------------------------------------------------------------------------------------


async def test_status_says_in_one_sentence_what_runs(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import asyncio

    kb = str(desk / "kb")
    nothing = await asyncio.to_thread(call_midas, capsys, "status", "--kb", kb)
    assert "Nothing runs on this base: no feature is watched." in nothing.out
    assert re.search(r"On disk: .*journal [\d.]+ kB", nothing.out)
    assert (await asyncio.to_thread(call_midas, capsys, "status", "--healthy", "--kb", kb)).code == 1
    async with Service(plan_of(desk)):
        found = await asyncio.to_thread(call_midas, capsys, "status", "--kb", kb)
        assert re.search(
            r"A service runs since .* on follow:.* with 2 deployed features; the newest bar closed", found.out
        )
        shown = (await asyncio.to_thread(call_midas, capsys, "status", "--json", "--kb", kb)).document
        assert shown["service"]["vital"]["bars"] == 60
        alert = shown["service"]["alerts"][0]["id"]
        acked = await asyncio.to_thread(call_midas, capsys, "ack", alert, "--kb", kb)
        assert acked.code == 0, acked.err
        assert "acknowledged" in acked.out
    gone = await asyncio.to_thread(call_midas, capsys, "ack", alert, "--kb", kb)
    assert gone.code == 9


def test_who_holds_the_base_and_does_not_answer_is_not_called_well(desk: Path) -> None:
    with KnowledgeBase(desk / "kb").claim("monitor"):
        found = standing_of(desk / "kb")
    assert "which does not answer: how it is, is not known" in found.sentence(datetime.now(UTC))
    assert "Nothing runs" in Standing().sentence(datetime.now(UTC))


# -- deployment --------------------------------------------------------------------------------------


def _unit() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in (DEPLOY / "midas.service").read_text().splitlines():
        key, mark, value = line.partition("=")
        if mark and not line.startswith("#"):
            found.setdefault(key, []).append(value)
    return found


def test_the_unit_is_one_and_starts_what_exists(
    tmp_path: Path, stocked: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    unit = _unit()
    if shutil.which("systemd-analyze"):
        # The program is not installed at that path here: one that exists stands in for it.
        text = (DEPLOY / "midas.service").read_text().replace("/opt/midas/bin/midas", "/bin/true")
        (tmp_path / "midas.service").write_text(text)
        done = subprocess.run(
            ["systemd-analyze", "verify", "--man=no", str(tmp_path / "midas.service")],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        named = [line for line in done.stderr.splitlines() if "midas.service" in line and "User" not in line]
        assert named == []
    settings = tmp_path / "midas.toml"
    shipped = tomllib.loads((DEPLOY / "midas.toml").read_text())
    assert load_settings(file=DEPLOY / "midas.toml", environ={}).service.health == shipped["service"]["health"]
    settings.write_text(
        (DEPLOY / "midas.toml").read_text().replace("live:binance", f"follow:{stocked / 'bars.parquet'}")
    )
    for line in (unit["ExecStartPre"][0], unit["ExecStart"][0] + " --check"):
        program, *arguments = line.replace("/etc/midas/midas.toml", str(settings)).split()
        assert program == "/opt/midas/bin/midas"
        found = call_midas(capsys, *arguments, "--kb", str(tmp_path / "kb"))
        assert found.code == 0, found.err
        assert "http://127.0.0.1:9464/health" in found.out
    assert unit["SuccessExitStatus"] == ["143"]


def test_the_compose_file_runs_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    compose: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    (service,) = compose["services"].values()
    assert "ports" not in service  # no door is open to others
    assert service["command"][0] == "run"
    assert call_midas(capsys, *service["command"], "--help").code == 0
    check = service["healthcheck"]["test"]
    assert check[:2] == ["CMD", "midas"]
    assert call_midas(capsys, *check[2:], "--kb", "nowhere").code == 1
    image = (DEPLOY / service["build"]["dockerfile"].removeprefix("deploy/")).read_text()
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set(re.findall(r"/src\[([a-z,]+)\]", image)[0].split(",")) <= set(extras)


def test_a_moment_is_dated_by_the_clock(desk: Path, tmp_path: Path) -> None:
    file = tmp_path / "b.tar.gz"
    backup(desk / "kb", file, ManualClock(datetime(2026, 1, 5, tzinfo=UTC)))
    with tarfile.open(file) as tar:
        assert json.load(tar.extractfile(MANIFEST))["made"].startswith("2026-01-05")  # type: ignore[arg-type]
