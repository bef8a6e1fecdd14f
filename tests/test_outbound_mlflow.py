"""The MLflow mirror against a local file store: what the ledger says is there, once, and nothing is read back."""

from __future__ import annotations

import contextlib
import dataclasses
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from midas_engine import events as ev
from midas_engine.clock import ManualClock
from midas_engine.errors import MidasError, SettingsError
from midas_engine.evaluator import TrialKey, TrialLedger
from midas_engine.journal import Journal
from midas_engine.kb import KnowledgeBase
from midas_engine.models import SessionSummary
from midas_engine.outbound.mlflow_mirror import Mirrored, mirror, mirror_told
from midas_engine.service.service import Service
from tests.helpers_campaign import PLAN, run_campaign
from tests.helpers_cli import ROOT
from tests.helpers_service import make_desk, plan_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DIES = """
import os, signal, sys
from mlflow import MlflowClient
from midas_engine.kb import KnowledgeBase
from midas_engine.outbound.mlflow_mirror import mirror

where, address, name, left = sys.argv[1], sys.argv[2], sys.argv[3], [int(sys.argv[4])]
os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"
plain = getattr(MlflowClient, name)

def dies(client, *args, **kwargs):
    left[0] -= 1
    if not left[0]:
        os.kill(os.getpid(), signal.SIGKILL)
    return plain(client, *args, **kwargs)

setattr(MlflowClient, name, dies)
mirror(KnowledgeBase(where, read_only=True), address)
"""


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> KnowledgeBase:
    folder = tmp_path_factory.mktemp("mirrored") / "kb"
    run_campaign(folder, plan=dataclasses.replace(PLAN, screened=0, candidates=8))
    return KnowledgeBase(folder, read_only=True)


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MLFLOW_ALLOW_FILE_STORE", "MLFLOW_DISABLE_TELEMETRY"):
        monkeypatch.setenv(name, "true")


def _runs(folder: Path) -> dict[str, Any]:
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=folder.as_uri())
    (experiment,) = [e for e in client.search_experiments() if e.name.startswith("midas ")]
    return {run.data.tags["midas.id"]: run for run in client.search_runs([experiment.experiment_id])}


def _content(base: KnowledgeBase) -> dict[Path, bytes]:
    """Every file but those in which SQLite notes that somebody reads."""
    files = [p for p in base.path.rglob("*") if p.is_file() and not p.name.endswith(("-shm", "-wal"))]
    return {p: p.read_bytes() for p in files}


def test_every_verdict_is_a_run_in_its_session_in_its_campaign(base: KnowledgeBase, tmp_path: Path) -> None:
    before = _content(base)
    found = mirror(base, f"file:{tmp_path}")
    with TrialLedger(base.journal_path, read_only=True) as ledger:
        trials = ledger.history()
    assert found == Mirrored(1, len({t.session for t in trials}), len(trials))
    runs = _runs(tmp_path)
    assert len(runs) == sum(dataclasses.astuple(found))
    (campaign,) = [run for name, run in runs.items() if name.startswith("campaign ")]
    assert campaign.data.metrics["spent"] == len(trials)
    for trial in trials:
        run = runs[f"verdict {trial.key}"]
        session = runs[f"session {trial.session}"]
        assert run.data.tags["mlflow.parentRunId"] == session.info.run_id
        assert session.data.tags["mlflow.parentRunId"] == campaign.info.run_id
        assert run.data.metrics["score_t"] == pytest.approx(trial.score_t)
        assert run.data.params["expression"] == trial.canonical
        assert run.info.status == session.info.status == "FINISHED"
        assert run.info.start_time == 1_767_225_600_000  # engine time, not the wall's
    # Again: nothing is added. And the base is as it was.
    assert mirror(base, f"file:{tmp_path}") == Mirrored(0, 0, 0)
    assert _content(base) == before


def test_a_session_that_runs_waits_and_unknown_figures_stay_out(tmp_path: Path) -> None:
    base = KnowledgeBase(tmp_path / "kb")
    with Journal(base.journal_path) as journal, TrialLedger(base.journal_path) as ledger:
        journal.record_session(SessionSummary("s1", "goal", "local", journal.clock.now()))
        ledger.record(TrialKey("(rank close)", "snap"), "s1", outcome="invalid", summary={"name": "a", "rank_ic": None})
        ledger.record(TrialKey("(rank open)", "snap"), "by hand", outcome="scored", score_t=1.5)
        assert mirror(base, f"file:{tmp_path / 'runs'}") == Mirrored(0, 1, 1)
        journal.record_session(
            SessionSummary("s1", "goal", "local", journal.clock.now(), status="error", result="out of money")
        )
    assert mirror(base, f"file:{tmp_path / 'runs'}") == Mirrored(0, 1, 1)
    runs = _runs(tmp_path / "runs")
    assert runs["session s1"].info.status == "FAILED"
    invalid = next(run for run in runs.values() if run.data.params.get("outcome") == "invalid")
    assert invalid.data.metrics == {}


def _whole(folder: Path) -> dict[str, Any]:
    """All that stands in a store, by what it mirrors; of each figure how often it was written."""
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=folder.as_uri())
    return {
        name: (
            run.info.status, run.info.end_time, run.data.params,
            {k: (v, len(client.get_metric_history(run.info.run_id, k))) for k, v in run.data.metrics.items()},
            {k: v for k, v in run.data.tags.items() if k.startswith("midas.") or k in ("result", "accepted", "goals")},
        )
        for name, run in _runs(folder).items()
    }  # fmt: skip


@pytest.mark.parametrize(("call", "times"), [("log_batch", 1), ("log_batch", 4), ("set_terminated", 2)])
def test_a_mirror_that_is_killed_is_completed_the_next_time(
    base: KnowledgeBase, tmp_path: Path, call: str, times: int
) -> None:
    """Between making a run and logging its figures, or before it says that the run ended."""
    torn, right = tmp_path / "torn", tmp_path / "right"
    command = [sys.executable, "-c", DIES, str(base.path), f"file:{torn}", call, str(times)]
    assert subprocess.run(command, cwd=ROOT, stderr=subprocess.DEVNULL, check=False).returncode == -signal.SIGKILL
    assert "RUNNING" in {run.info.status for run in _runs(torn).values()}
    mirror(base, f"file:{torn}")
    mirror(base, f"file:{right}")
    assert _whole(torn) == _whole(right)
    assert mirror(base, f"file:{torn}") == Mirrored(0, 0, 0)
    assert _whole(torn) == _whole(right)


def test_a_session_that_goes_on_is_written_again(tmp_path: Path) -> None:
    """One that stood, and was mirrored, ends later: its run says so, and keeps its number."""
    base, runs = KnowledgeBase(tmp_path / "kb"), tmp_path / "runs"
    clock = ManualClock(datetime(2026, 1, 1, tzinfo=UTC))
    with Journal(base.journal_path, clock=clock) as journal, TrialLedger(base.journal_path) as ledger:
        for result, status in (("interrupted", "FINISHED"), ("success", "FINISHED"), ("error", "FAILED")):
            ledger.record(TrialKey(f"(rank {result})", "snap"), "s1", outcome="scored", score_t=1.5)
            journal.record_session(SessionSummary("s1", "goal", "local", clock.now(), status=result))
            mirror(base, f"file:{runs}")
            found = _runs(runs)
            assert found["session s1"].data.tags["result"] == result
            assert found["session s1"].info.status == status
            assert found["session s1"].data.metrics["tried"] == len(found) - 1
            clock.advance(60.0)


def test_trials_are_gone_through_once_however_many_sessions_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base, passes = KnowledgeBase(tmp_path / "kb"), [0]

    class Counted(list[Any]):
        def __iter__(self) -> Iterator[Any]:
            passes[0] += 1
            return super().__iter__()

    with TrialLedger(base.journal_path) as ledger:
        for number in range(12):
            ledger.record(TrialKey(f"(ts_mean close {number})", "snap"), f"s{number}", outcome="scored", score_t=1.5)
    plain = TrialLedger.history
    monkeypatch.setattr(TrialLedger, "history", lambda ledger: Counted(plain(ledger)))
    assert mirror(base, f"file:{tmp_path / 'runs'}") == Mirrored(0, 12, 12)
    assert passes[0] == 1


def test_a_store_that_is_not_there_stops_no_campaign_and_is_caught_up_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """And a package that is broken in any way of its own is said as well."""
    from midas_engine.cli.app import app

    monkeypatch.setenv("MIDAS_OUTBOUND_MLFLOW", f"file:{tmp_path / 'file' / 'below'}")
    (tmp_path / "file").write_text("x")
    plan = tmp_path / "tiny.toml"
    plan.write_text('name = "tiny"\ngoals = ["carry"]\ncandidates = 8\nscreened = 0\niterations = 1\neach = 2\n')
    command = ["campaign", str(plan), "--kb", str(tmp_path / "kb"), "--data", "sample", "--workers", "0"]
    found = CliRunner().invoke(app, command)
    assert found.exit_code == 0, found.output
    assert re.search("cannot be written to|no address of MLflow", found.output)
    monkeypatch.setattr("midas_engine.outbound.mlflow_mirror._client", lambda address: 1 // 0)
    assert "ZeroDivisionError" in mirror_told(KnowledgeBase(tmp_path / "kb", read_only=True), "file:x")[0]
    monkeypatch.undo()
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    assert mirror(KnowledgeBase(tmp_path / "kb", read_only=True), f"file:{tmp_path / 'runs'}").campaigns == 1


def test_an_address_that_is_none_is_refused_and_one_that_breaks_is_said(base: KnowledgeBase, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no MLflow address"):
        mirror(base, "")
    with pytest.raises(SettingsError, match="is no address of MLflow"):
        mirror(base, "carrier-pigeon://roof")
    (tmp_path / "file").write_text("x")
    with pytest.raises(MidasError, match=r"cannot be written to|no address of MLflow"):
        mirror(base, f"file:{tmp_path / 'file' / 'below'}")


def test_the_command_writes_and_a_set_address_is_written_at_the_end(base: KnowledgeBase, tmp_path: Path) -> None:
    from midas_engine.cli.app import app

    where = f"file:{tmp_path / 'runs'}"
    found = CliRunner().invoke(app, ["mlflow", where, "--kb", str(base.path)])
    assert found.exit_code == 0, found.output
    assert "written: 1 campaigns, " in found.output
    assert CliRunner().invoke(app, ["mlflow", "--kb", str(base.path)]).exit_code != 0


def test_a_server_that_hangs_or_drips_is_given_up(base: KnowledgeBase, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes the question and says nothing, or a byte now and then: no line breaks, and the campaign never ended."""
    monkeypatch.setattr("midas_engine.outbound.mlflow_mirror.SILENCE_SECONDS", 1.0)
    over, taken = threading.Event(), list[socket.socket]()

    def drip(line: socket.socket) -> None:
        with contextlib.suppress(OSError):
            line.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9999\r\n\r\n")
            while not over.wait(0.1):
                line.sendall(b" ")

    def serve(door: socket.socket, drips: bool) -> None:
        with contextlib.suppress(OSError):
            while True:
                taken.append(door.accept()[0])
                if drips:
                    threading.Thread(target=drip, args=(taken[-1],), daemon=True).start()

    for drips in (False, True):
        with socket.create_server(("127.0.0.1", 0)) as door:
            threading.Thread(target=serve, args=(door, drips), daemon=True).start()
            where = f"http://127.0.0.1:{door.getsockname()[1]}"
            said, hint = mirror_told(base, where)
            assert said == "MLflow at http://127.0.0.1 has not answered for 1 s"
            assert "written the next time" in hint
    over.set()
    for line in taken:
        line.close()


@pytest.mark.skipif(
    shutil.which("unshare") is None or subprocess.run(["unshare", "-Urm", "true"], check=False).returncode != 0,
    reason="a disk of one's own cannot be mounted here",
)
def test_on_a_full_disk_it_says_which_and_is_whole_when_there_is_space(base: KnowledgeBase, tmp_path: Path) -> None:
    """What was cut short there could be read by nobody any more, and every later mirror failed at it."""
    command = ["unshare", "-Urm", sys.executable, "-m", "tests.helpers_full_disk", str(tmp_path), str(base.path)]
    done = subprocess.run(
        [*command, "60", "1040", "1200", "8000"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    *full, last = done.stdout.splitlines()
    assert len(full) == 3
    for said in full:
        assert re.match(rf"the disk of {tmp_path}/runs is full: [0-9]+ KB are free, and the mirror", said)
    assert last == "written"


def test_words_that_were_cut_short_are_written_anew(base: KnowledgeBase, tmp_path: Path) -> None:
    where = tmp_path / "runs"
    mirror(base, f"file:{where}")
    before = len(_runs(where))
    whole = next(where.glob("*/*/params/snapshot"))
    whole.write_text("")
    about = whole.parents[1] / "meta.yaml"
    about.write_text(re.sub("end_time: .*", "end_time: null", about.read_text()).replace("status: 3", "status: 1"))
    mirror(base, f"file:{where}")
    assert len(_runs(where)) == before
    assert all(run.data.params["snapshot"] for key, run in _runs(where).items() if key.startswith("verdict"))
    about.write_text("")
    with pytest.raises(MidasError, match="cannot be written to") as told:
        mirror(base, f"file:{where}")
    assert f"remove {about.parent}" in told.value.hint


def test_one_that_another_process_mirrors_is_waited_for_and_not_without_end(
    base: KnowledgeBase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("midas_engine.outbound.mlflow_mirror.SILENCE_SECONDS", 0.3)
    lock = "import fcntl, os, sys; fcntl.flock(os.open(sys.argv[1], os.O_RDONLY), fcntl.LOCK_EX)"
    code = f"{lock}; print(flush=True); input()"
    command = [sys.executable, "-c", code, str(base.path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(MidasError, match="another process mirrors this base"):
            mirror(base, f"file:{tmp_path / 'runs'}")
        other.communicate(b"\n")
    monkeypatch.undo()
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    assert mirror(base, f"file:{tmp_path / 'runs'}").campaigns == 1


async def test_a_session_inside_a_service_is_mirrored_at_its_end(tmp_path: Path) -> None:
    """No command follows: what the service's sessions did is there when they end; a mirror that breaks is told."""
    desk = make_desk(tmp_path / "desk", bars=60)
    (tmp_path / "file").write_text("x")
    for address in (f"file:{tmp_path / 'runs'}", f"file:{tmp_path / 'file' / 'below'}"):
        settings = {"evaluation__workers": 0, "evaluation__screened": 0, "outbound__mlflow": address}
        async with Service(plan_of(desk, **settings)) as service:
            runtime = service.runtime
            faults = runtime.bus.subscribe("test", ev.FaultReported)
            await runtime.sessions.start("momentum", iterations=1)
            (run,) = runtime.sessions._runs  # type: ignore[attr-defined]
            await run.task
            said = [event for event in faults.take() if event.where == "mlflow"]
        if not said:
            runs = _runs(tmp_path / "runs")
            assert f"session {run.session_id}" in runs
            assert any(name.startswith("verdict ") for name in runs)
            good = run.session_id
    assert good != run.session_id
    assert re.search("cannot be written to|no address of MLflow", said[0].message)
