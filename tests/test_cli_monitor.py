"""`midas monitor`: the online loop without a terminal, on a file that grows."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from datetime import timedelta
from typing import IO, TYPE_CHECKING, Any

import numpy as np
import pytest

from midas_engine.clock import WallClock
from midas_engine.kb import KnowledgeBase
from midas_engine.market import Panel, SyntheticMarket
from midas_engine.models import FeatureRecord, FeatureState
from midas_engine.promoter import FeaturePromoter
from tests.helpers_cli import ROOT, run_midas

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A knowledge base with one deployed feature, and hourly bars that end with the last closed hour."""
    folder = tmp_path_factory.mktemp("desk")
    whole = SyntheticMarket(5).panel()
    bars = 400
    now = WallClock().now().replace(minute=0, second=0, microsecond=0) - timedelta(hours=1)
    times = np.datetime64(now.replace(tzinfo=None), "ns") - np.arange(bars)[::-1] * np.timedelta64(1, "h")
    Panel(times, whole.symbols, {n: v[-bars:] for n, v in whole.fields.items()}, 3600).save(folder / "bars.parquet")
    promoter = FeaturePromoter(KnowledgeBase(folder / "kb"))
    record = FeatureRecord("carry", "cs_rank(ts_mean(funding_rate, 24))", FeatureState.CANDIDATE, expected_score=0.05)
    promoter.save_candidate(record)
    promoter.promote("carry", "test", force=True)
    promoter.close()
    return folder


def test_it_catches_up_and_ends_well_on_a_signal(desk: Path) -> None:
    done = _until(desk, signal.SIGTERM, "--data", f"follow:{desk / 'bars.parquet'}")
    assert done.returncode == 143, done.stderr
    assert "1 features on 19 symbols" in done.stdout or "1 features on 20 symbols" in done.stdout
    assert "asking follow:" in done.stdout


def test_as_json_every_event_is_one_line(desk: Path) -> None:
    done = _until(desk, signal.SIGINT, "--json", "--data", f"follow:{desk / 'bars.parquet'}")
    assert done.returncode == 130, done.stderr
    kinds = [json.loads(line)["type"] for line in done.stdout.splitlines()]
    assert kinds[0] == "RuntimeChanged"
    assert "RuntimeChanged" in kinds[1:]


def _until(desk: Path, number: signal.Signals, *args: str) -> subprocess.CompletedProcess[str]:
    """Run until the first sign of running, then send the signal."""
    command = [sys.executable, "-m", "midas", "monitor", "--kb", str(desk / "kb"), *args]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=desk, env=env) as run:
        assert run.stdout is not None
        assert run.stderr is not None
        lines = []
        for line in run.stdout:
            lines.append(line)
            if '"phase": "running"' in line or " running " in line:
                run.send_signal(number)
                break
        rest, errors = run.stdout.read(), run.stderr.read()
        run.wait(timeout=110)
    return subprocess.CompletedProcess(command, run.returncode, "".join(lines) + rest, errors)


@pytest.mark.parametrize(
    ("source", "code", "message"),
    [
        ("sample", 3, "'sample' is a recording, not a feed"),
        ("live:nowhere", 3, "ccxt knows no exchange 'nowhere'"),
        ("follow:none.parquet", 3, "no data at none.parquet"),
    ],
)
def test_what_is_no_feed_is_refused(desk: Path, source: str, code: int, message: str) -> None:
    done = run_midas("monitor", "--kb", str(desk / "kb"), "--data", source, cwd=desk)
    assert done.code == code, done.err
    assert message in done.err


# -- what is printed -------------------------------------------------------------------------------


def _start(desk: Path, *args: str, out: Any = subprocess.PIPE, colours: bool = False) -> subprocess.Popen[str]:
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    if colours:
        env.pop("NO_COLOR", None)
    command = [sys.executable, "-m", "midas", "monitor", "--kb", str(desk / "kb"), *args]
    return subprocess.Popen(command, stdout=out, stderr=subprocess.PIPE, text=True, cwd=desk, env=env)


def _read_until(pipe: IO[str] | None, text: str) -> str:
    assert pipe is not None
    seen = ""
    for line in pipe:
        seen += line
        if text in line:
            break
    return seen


def test_into_a_file_no_colour_is_written(desk: Path) -> None:
    with _start(desk, "--data", f"follow:{desk / 'bars.parquet'}", colours=True) as run:
        seen = _read_until(run.stdout, " running ")
        run.send_signal(signal.SIGTERM)
        assert run.stdout is not None
        seen += run.stdout.read()
    assert " running " in seen
    assert "\x1b" not in seen


def test_a_reader_that_goes_away_ends_it_well(desk: Path) -> None:
    with _start(desk, "--json", "--data", f"follow:{desk / 'bars.parquet'}") as run:
        assert run.stdout is not None
        assert run.stderr is not None
        run.stdout.readline()
        run.stdout.close()
        errors = run.stderr.read()
        assert run.wait(timeout=110) == 141
    assert errors == ""


def test_a_full_disk_under_the_log_does_not_stop_who_watches(desk: Path) -> None:
    with open("/dev/full", "w") as full, _start(desk, "--data", f"follow:{desk / 'bars.parquet'}", out=full) as run:
        assert "No space left" in _read_until(run.stderr, "No space left")
        assert run.poll() is None
        run.send_signal(signal.SIGTERM)
        assert run.stderr is not None
        errors = run.stderr.read()
        assert run.wait(timeout=110) in (74, 143)
    assert "Traceback" not in errors
