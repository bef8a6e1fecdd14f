"""`midas discover` and `midas demo` as a user calls them: streamed to the end, interrupted, in JSON, refused."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from midas_engine.compound.markets import planted
from midas_engine.providers import unused_keys
from midas_engine.settings import Settings
from tests.helpers_cli import ROOT, call_midas, run_midas

if TYPE_CHECKING:
    from pathlib import Path

    from llmock.pytest_plugin import LLMock

GOAL = "short-term reversal after volume shocks"
SMALL = ("--iterations", "1", "--candidates", "2")


@pytest.fixture(autouse=True)
def _no_worker_processes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Starting one takes longer than these small sessions; the documented ones keep theirs."""
    if "documented" not in request.node.name:
        monkeypatch.setenv("MIDAS_EVALUATION_WORKERS", "0")


def test_the_documented_session_streams_to_its_end_and_leaves_a_learning(tmp_path: Path) -> None:
    ran = run_midas("discover", GOAL, "--provider", "local", "--data", "sample", "--kb", str(tmp_path / "kb"))
    assert ran.code == 0, ran.err
    assert ran.err == ""
    lines = ran.out.splitlines()
    assert lines[0].startswith("Session 20")
    assert lines[0].endswith(GOAL)
    assert lines[1] == "researcher local, 5 x 3 candidates"
    assert "hypothesis: " in ran.out
    for phase in ("plan", "write", "assess", "learn"):
        assert f". {phase}" in ran.out
    assert "rank IC" in ran.out
    assert "\x1b" not in ran.out  # no colour in a pipe
    last = lines[-1].split("learning: ")[1]
    text = (tmp_path / "kb" / last).read_text()
    assert GOAL in text
    shown = run_midas("learnings", "--kb", str(tmp_path / "kb"), "--n", "1")
    assert GOAL in shown.out


@pytest.mark.parametrize(
    ("given", "said"), [((), "OPENAI_API_KEY"), (("--api-key", "sk-x1y2"), "--api-key and OPENAI")]
)
def test_a_key_that_nobody_uses_is_said(
    given: tuple[str, ...], said: str, tmp_path: Path, monkeypatch: Any, capsys: Any
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-proj-1a2b3c4d")
    at = ("--data", "synthetic:3", "--kb", str(tmp_path / "kb"))
    monkeypatch.setenv("MIDAS_EVALUATION_SCREENED", "0")
    ran = call_midas(capsys, "discover", GOAL, "--iterations", "1", "--candidates", "1", *at, *given)
    assert ran.code == 0
    assert f"{'--api-key and ' if given else ''}OPENAI_API_KEY not used: local asks no model" in ran.err
    assert "1a2b3c4d" not in ran.out + ran.err
    assert unused_keys("openai", environ={"ANTHROPIC_API_KEY": "sk-ant-1"}) == []
    assert unused_keys("mock", environ={}) == []


def test_sessions_follow_one_another_until_one_leaves_a_candidate(tmp_path: Path, capsys: Any) -> None:
    """Of noise every one is had, each with another seed, in one base; where something is found it ends."""
    planted(5, Settings(), ic=0.0, bars=1200, symbols=12).panel.save(tmp_path / "noise.parquet")
    at = ("--kb", str(tmp_path / "kb"), "--sessions", "3", "--json")
    few = ("--iterations", "1", "--candidates", "1")
    noise = call_midas(capsys, "discover", GOAL, *few, "--data", str(tmp_path / "noise.parquet"), *at)
    assert noise.code == 0
    told = noise.document["sessions"]
    assert [one["accepted"] for one in told] == [[], [], []]
    assert len({one["session"] for one in told}) == 3
    tried = [e["expression"] for one in told for e in one["events"] if e["type"] == "CandidateScored"]
    assert len(tried) == sum(one["tried"] for one in told) == len(set(tried))
    found = call_midas(capsys, "discover", GOAL, *few, "--data", "synthetic:3", *at)
    assert [bool(one["accepted"]) for one in found.document["sessions"]][-1]
    assert len(found.document["sessions"]) < 3


def test_minutes_are_those_of_all_sessions(tmp_path: Path, capsys: Any) -> None:
    at = ("--data", "synthetic:3", "--kb", str(tmp_path / "kb"), "--sessions", "50", "--minutes", "0.002")
    ran = call_midas(capsys, "discover", GOAL, *SMALL, *at)
    assert ran.code == 0
    assert "0.002 min are over after 1 of 50 sessions" in ran.err
    assert ran.out.count("learning: ") == 1


def test_a_resumed_session_is_one(tmp_path: Path, capsys: Any) -> None:
    ran = call_midas(capsys, "discover", "--resume", "20260101-120000-ab12", "--sessions", "2", "--kb", str(tmp_path))
    assert ran.code == 2
    assert "leave --sessions out" in ran.err


def test_in_json_it_is_one_document(tmp_path: Path, capsys: Any) -> None:
    ran = call_midas(capsys, "discover", GOAL, *SMALL, "--data", "synthetic:3", "--kb", str(tmp_path / "kb"), "--json")
    assert ran.code == 0
    assert ran.err == ""
    document = ran.document
    assert document["result"] in ("success", "failed")
    assert document["tried"] >= 1
    assert (tmp_path / "kb" / document["learning"]).is_file()
    kinds = [event["type"] for event in document["events"]]
    assert (kinds[0], kinds[-1]) == ("SessionStarted", "SessionEnded")


def test_the_same_seed_gives_the_same_session(tmp_path: Path, capsys: Any) -> None:
    told = []
    for name, seed in (("a", "5"), ("b", "5"), ("c", "6")):
        ran = call_midas(
            capsys, "discover", GOAL, *SMALL, "--data", "synthetic:3", "--seed", seed, "--kb", str(tmp_path / name),
            "--json",
        )  # fmt: skip
        told.append([e["expression"] for e in ran.document["events"] if e["type"] == "ExpressionProposed"])
    assert told[0] == told[1] != told[2]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_session_still_leaves_its_learning(tmp_path: Path, number: signal.Signals) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "midas", "discover", GOAL, "--iterations", "500", "--kb", str(tmp_path / "kb")],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),  # one that is ignored (nohup) stays ignored
    )
    assert process.stdout is not None
    for line in process.stdout:
        if "refused" in line or "accepted" in line:
            process.send_signal(number)
            break
    out, err = process.communicate(timeout=110)
    assert process.returncode == 128 + number
    assert err == ""
    assert "Session cancelled: " in out
    learnings = list((tmp_path / "kb/knowledge/learnings/offline").glob("*.md"))
    assert len(learnings) == 1
    assert "cancelled by the operator" in learnings[0].read_text()


@pytest.mark.parametrize(("provider", "variable"), [("openai", "OPENAI_API_KEY"), ("anthropic", "ANTHROPIC_API_KEY")])
@pytest.mark.parametrize("verb", [("discover", GOAL), ("demo",)])
def test_without_a_key_it_says_which_and_makes_nothing(
    tmp_path: Path, capsys: Any, verb: tuple[str, ...], provider: str, variable: str
) -> None:
    ran = call_midas(capsys, *verb, "--provider", provider, "--kb", str(tmp_path / "kb"))
    assert ran.code == 8
    assert f"there is no API key for {provider}" in ran.err
    assert variable in ran.err
    assert not (tmp_path / "kb").exists()


def test_read_only_is_refused(tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIDAS_READ_ONLY", "1")
    ran = call_midas(capsys, "discover", GOAL, "--kb", str(tmp_path / "kb"))
    assert ran.code == 7
    assert "a session writes candidates and learnings" in ran.err
    assert not (tmp_path / "kb").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("discover", " "), 9, "the research goal is empty"),
        (("discover",), 2, "Missing argument 'GOAL'"),
        (("discover", GOAL, "--iterations", "0"), 2, "not in the range"),
        (("discover", GOAL, "--provider", "gpt"), 2, "is not known"),
        (("discover", GOAL, "--data", "nowhere.csv"), 3, "no data at nowhere.csv"),
    ],
)
def test_what_cannot_run_is_refused(
    tmp_path: Path, capsys: Any, arguments: tuple[str, ...], code: int, said: str
) -> None:
    ran = call_midas(capsys, *arguments, "--kb", str(tmp_path / "kb"))
    assert ran.code == code
    assert said in ran.err


def test_a_model_that_is_down_ends_in_a_named_error_with_a_learning(
    tmp_path: Path, capsys: Any, llmock: LLMock
) -> None:
    llmock.fail(401, times=None)
    arguments = (
        "discover",
        GOAL,
        *SMALL,
        "--provider",
        "openai",
        "--data",
        "synthetic:3",
        "--kb",
        str(tmp_path / "kb"),
    )
    ran = call_midas(capsys, *arguments)
    assert ran.code == 9
    assert "the session failed: openai refused the API key (401)" in ran.err
    assert "what it learned is in knowledge/learnings/offline/" in ran.err
    assert len(llmock.requests) == 1


def test_a_model_session_end_to_end(tmp_path: Path, capsys: Any, llmock: LLMock) -> None:
    from tests.helpers_llm import block, candidates, learning, plan

    llmock.reply(plan()).reply(candidates("cs_rank(-funding_rate)", "cs_rank(close)"))
    llmock.reply(block(name=None, expression=None)).reply(learning())
    ran = call_midas(
        capsys, "discover", GOAL, *SMALL, "--provider", "openai", "--model", "gpt-4.1-mini", "--data", "synthetic:3",
        "--kb", str(tmp_path / "kb"), "--json",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    assert ran.document["accepted"] == ["idea_0"]
    calls = [e for e in ran.document["events"] if e["type"] == "ModelCalled"]
    assert [c["model"] for c in calls] == ["gpt-4.1-mini"] * 4
    llmock.assert_resilient()


def test_a_key_on_the_command_line_is_warned_of_and_never_shown(tmp_path: Path, capsys: Any, llmock: LLMock) -> None:
    sentinel = "sk-sentinel-abcdef0123456789"
    llmock.fail(400, times=None, message=f"bad key {sentinel}")
    ran = call_midas(
        capsys, "discover", GOAL, *SMALL, "--provider", "openai", "--api-key", sentinel, "--data", "synthetic:3",
        "--kb", str(tmp_path / "kb"), "--debug",
    )  # fmt: skip
    assert ran.code == 9
    assert "can be seen in the process list" in ran.err
    assert sentinel not in ran.out + ran.err
    for path in (tmp_path / "kb").rglob("*"):
        if path.is_file():
            assert sentinel.encode() not in path.read_bytes(), path


# -- demo ------------------------------------------------------------------------------------------


def test_the_demo_as_documented(tmp_path: Path) -> None:
    """`midas demo`, then `midas status`, in a folder of its own; the report goes where it is asked to."""
    ran = run_midas("demo", "--report-path", "./artifacts/demo_report.md", cwd=tmp_path)
    assert ran.code == 0, ran.err
    assert ran.err == ""
    assert "Monitored 2628 bars" in ran.out
    assert (tmp_path / "artifacts/demo_report.md").read_text().startswith("# Midas demo report")
    status = run_midas("status", "--json", cwd=tmp_path)
    names = [c["name"] for c in status.document["candidates"]]
    assert names
    assert f"Found: {names[0]}" in ran.out or names[0] in ran.out
    # Found on a synthetic market: on today's data, the sample, nothing of it is there, and that is said.
    refused = run_midas("promote", names[0], cwd=tmp_path)
    assert refused.code == 7
    assert "today rank ic" in refused.err
    promoted = run_midas("promote", names[0], "--force", "--reason", "to see the pipeline work", cwd=tmp_path)
    assert promoted.code == 0, promoted.err
    assert run_midas("undo", cwd=tmp_path).code == 0
