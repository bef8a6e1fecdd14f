"""The real `midas monitor` on a `follow:` file that breaks: it ends with the reason, or heals and goes on."""

from __future__ import annotations

import json
import os
import re
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
from tests.helpers_cli import ROOT

if TYPE_CHECKING:
    from pathlib import Path

BARS = 400


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """A knowledge base with one deployed feature."""
    promoter = FeaturePromoter(KnowledgeBase(tmp_path / "kb"))
    record = FeatureRecord("carry", "cs_rank(ts_mean(funding_rate, 24))", FeatureState.CANDIDATE, expected_score=0.05)
    promoter.save_candidate(record)
    promoter.promote("carry", "test", force=True)
    promoter.close()
    return tmp_path


def write(path: Path, *, behind: int) -> None:
    """Minute bars that end `behind` minutes before the running one."""
    whole = SyntheticMarket(5).panel()
    last = WallClock().now().replace(second=0, microsecond=0) - timedelta(minutes=1 + behind)
    times = np.datetime64(last.replace(tzinfo=None), "ns") - np.arange(BARS)[::-1] * np.timedelta64(60, "s")
    Panel(times, whole.symbols, {n: v[-BARS:] for n, v in whole.fields.items()}, 60).save(path)


def start(desk: Path, *args: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "midas", "monitor", "--json", "--kb", str(desk / "kb"), *args]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=desk, env=env)


def read_until(pipe: IO[str] | None, kind: str, **wanted: Any) -> list[dict[str, Any]]:
    """Events up to the first of that kind with these fields."""
    assert pipe is not None
    seen = []
    for line in pipe:
        if not line.startswith('{"type"'):
            break
        seen.append(json.loads(line))
        if seen[-1]["type"] == kind and all(seen[-1][k] == v for k, v in wanted.items()):
            return seen
    raise AssertionError(f"no {kind} {wanted} in {seen[-3:]}")


def test_a_source_that_stays_broken_ends_it_with_the_reason(desk: Path) -> None:
    file = desk / "bars.parquet"
    write(file, behind=1)  # the next bar is closed already: it is asked for at once
    with start(desk, "--data", f"follow:{file}", "--max-failures", "3") as run:
        read_until(run.stdout, "RuntimeChanged", phase="warming")
        file.write_bytes(b"PAR1 torn")
        seen = read_until(run.stdout, "FaultReported", severity="critical")
        assert run.stdout is not None
        rest = run.stdout.read()
        assert run.wait(timeout=110) == 3
    assert "failed 3 times in a row" in seen[-1]["message"]
    error = json.loads(rest[rest.index('{\n  "error"') :])["error"]
    assert (error["type"], error["exit_code"]) == ("FeedLostError", 3)
    assert "bars.parquet" in error["message"]


def test_a_source_that_heals_is_followed_again(desk: Path) -> None:
    file = desk / "bars.parquet"
    write(file, behind=1)
    with start(desk, "--data", f"follow:{file}@grace=5s") as run:
        read_until(run.stdout, "RuntimeChanged", phase="warming")
        file.unlink()
        file.mkdir()
        read_until(run.stdout, "RuntimeChanged", phase="degraded")
        file.rmdir()
        write(file, behind=0)
        seen = read_until(run.stdout, "FaultReported", message="the feed is back")
        if not any(e["type"] == "RuntimeChanged" and e["phase"] == "running" for e in seen):
            seen += read_until(run.stdout, "RuntimeChanged", phase="running")
        if not any(e["type"] == "BarProcessed" for e in seen):
            read_until(run.stdout, "BarProcessed")
        run.terminate()
        assert run.stdout is not None
        run.stdout.read()
        assert run.wait(timeout=110) == 143


def test_bars_that_stopped_long_ago_are_a_critical_alert(desk: Path) -> None:
    file = desk / "bars.parquet"
    write(file, behind=30)
    with start(desk, "--data", f"follow:{file}@grace=5s") as run:
        seen = read_until(run.stdout, "RuntimeChanged", phase="degraded")
        while not any(e["type"] == "AlertRaised" and e["alert"]["rule"] == "feed" for e in seen):  # kept, then told
            seen += read_until(run.stdout, "AlertRaised")
        run.terminate()
        assert run.stdout is not None
        run.stdout.read()
        assert run.wait(timeout=110) == 143
    alert = next(e["alert"] for e in seen if e["type"] == "AlertRaised" and e["alert"]["rule"] == "feed")
    assert alert["severity"] == "critical"
    assert re.match(r"no bar for 3\d min \(the newest bar is that of ", alert["message"])
    assert not [e for e in seen if e["type"] == "RuntimeChanged" and e["phase"] == "running"]


def test_an_expression_whose_column_the_feed_lacks_ends_it_with_what_the_feed_has(desk: Path) -> None:
    write(desk / "bars.parquet", behind=0)
    process = start(desk, "--expr", "cs_rank(basis)", "--data", f"follow:{desk / 'bars.parquet'}")
    out, err = process.communicate(timeout=120)
    assert process.returncode == 3
    assert "no column or feature 'basis'" in out + err
    assert "has open, high, low, close, volume" in out + err
    assert '"type": "BarProcessed"' not in out, "nothing was watched"
