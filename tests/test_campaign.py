"""Campaigns: one budget over many sessions, gone on with after any death, the same whoever computed it."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from midas_engine.campaign import CampaignPlan, CampaignState, Progress, base_digest, read_campaign
from midas_engine.campaign.turns import Turns
from midas_engine.errors import DocumentDamagedError, LockTimeoutError, SettingsError
from midas_engine.evaluator import TrialLedger
from midas_engine.kb import KnowledgeBase
from midas_engine.loops import OfflineLoopConfig
from tests.helpers_campaign import PLAN, run_campaign
from tests.helpers_cli import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from midas_engine.campaign import Campaign


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, CampaignState, list[Progress]]:
    """The campaign as one thread of one process does it."""
    folder, told = tmp_path_factory.mktemp("reference") / "kb", list[Progress]()
    return folder, run_campaign(folder, progress=told.append), told


def test_a_campaign_keeps_to_its_budget_and_says_how_far_it_is(
    done: tuple[Path, CampaignState, list[Progress]],
) -> None:
    folder, state, told = done
    assert state.finished
    assert 30 <= state.spent <= PLAN.candidates
    assert [leg.screened > 0 for leg in state.done] == [leg.screens for leg in PLAN.legs]
    assert told[-1].done <= PLAN.candidates
    assert [p.done for p in told] == sorted(p.done for p in told)
    with TrialLedger(folder / "journal.sqlite", read_only=True) as ledger:
        # Paid for before the first candidate is tried: every session's line is that of the whole.
        assert {ledger.trials(d.session) for d in state.done} == {PLAN.line_trials}
        screened = sum(t.summary["evaluated"] for t in ledger.history() if t.outcome == "screened")
        assert screened == sum(d.screened for d in state.done)
        assert ledger.verify() == []
    report = KnowledgeBase(folder, read_only=True).read_text(f"reports/campaigns/{PLAN.id}.md")
    assert f"{state.spent:,} of {PLAN.candidates:,} candidates met a return" in report
    assert all(name in report for name in state.accepted)


def test_whoever_dies_and_whoever_goes_on_concludes_the_same_to_the_byte(
    tmp_path: Path, done: tuple[Path, CampaignState, list[Progress]]
) -> None:
    """Begun by one process, which is killed; gone on with by another and two workers, of which one is killed."""
    base = tmp_path / "kb"
    command = [sys.executable, "-m", "tests.helpers_campaign", str(base)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for line in process.stdout:  # killed in its second session, after its first verdict there
        if "CandidateScored" in line and (base / "knowledge/campaigns").is_dir():
            process.kill()
            break
    process.stdout.close()
    assert process.wait(60) == -signal.SIGKILL
    notes, started, killed = list[str](), list["Campaign"](), list[int]()

    def kill(progress: Progress) -> None:
        pool: Any = started[0]._assessor._pool  # type: ignore[union-attr]
        if not killed and pool.processes:
            killed.append(pool.processes[0])
            os.kill(killed[0], signal.SIGKILL)

    state = run_campaign(base, workers=2, started=started, progress=kill, notes=notes.append)
    assert killed
    assert state == done[1]
    assert any("going on with session" in note for note in notes)
    assert base_digest(base) == base_digest(done[0])
    # Finished, it is told again and nothing is done.
    assert run_campaign(base) == state
    assert base_digest(base) == base_digest(done[0])


def test_a_plan_says_what_is_wrong_with_it(tmp_path: Path) -> None:
    path = tmp_path / "plan.toml"

    def refused(text: str) -> str:
        path.write_text(text)
        with pytest.raises(SettingsError) as caught:
            read_campaign(path)
        return str(caught.value)

    fine = 'name = "spring"\ngoals = ["carry"]\ncandidates = 5000\n'
    path.write_text(fine + "horizons = [1, 8]\n")
    plan = read_campaign(path)
    assert plan.horizons == (1, 8)
    assert plan.id == read_campaign(path).id
    assert dataclasses.replace(plan, seed=8).id != plan.id
    for strange in ("a\\nb", "a\\u0000b", "\\u202e evil", "\\u0007"):
        for text in (f'name = "{strange}"\ngoals = ["a"]', f'name = "x"\ngoals = ["{strange}"]'):
            assert "has a character that cannot be shown" in refused(f"{text}\ncandidates = 500\n")
    assert "a name of more than 100" in refused(f'name = "{"x" * 101}"\ngoals = ["a"]\ncandidates = 500\n')
    assert len(refused(f'name = "x"\ngoals = "{"x" * 5000}"\ncandidates = 500\n')) < 400
    assert "candidates is missing" in refused('name = "x"\ngoals = ["a"]\n')
    assert "goals" in refused(fine + "goal = 3\n")  # names the nearest
    assert "goals is a list" in refused('name = "x"\ngoals = "a"\ncandidates = 10\n')
    assert "a whole number" in refused('name = "x"\ngoals = ["a"]\ncandidates = 1.5\n')
    assert "from 1 to 100,000" in refused('name = "x"\ngoals = ["a"]\ncandidates = 100_001\n')
    assert "empty or twice" in refused('name = "x"\ngoals = ["a", "a"]\ncandidates = 5000\n')
    assert "empty or twice" in refused('name = "x"\ngoals = ["a", "a "]\ncandidates = 5000\n')
    assert "empty or twice" in refused('name = "x"\ngoals = ["  "]\ncandidates = 5000\n')
    assert "more than 500" in refused(f'name = "x"\ngoals = ["{"a" * 501}"]\ncandidates = 5000\n')
    assert "do not reach every goal" in refused('name = "x"\ngoals = ["a", "b"]\ncandidates = 30\n')
    assert "a few letters" in refused('name = " "\ngoals = ["a"]\ncandidates = 5000\n')
    assert "cannot be read" in refused("name = ")
    assert "makes 2,5" in refused(fine + "screened = 0\niterations = 1\neach = 1\n")
    path.write_bytes(b"\xef\xbb\xbf" + fine.encode())  # as some editors write it
    assert read_campaign(path).name == "spring"
    path.unlink()
    with pytest.raises(SettingsError, match="there is no file"):
        read_campaign(path)
    path.mkdir()
    with pytest.raises(SettingsError, match="folder"):
        read_campaign(path)


def test_the_whole_budget_reaches_every_session_and_no_more() -> None:
    plan = CampaignPlan("big", ("a", "b"), 100_000, ("local", "openai"), (1, 8))
    assert [leg.number for leg in plan.legs] == list(range(len(plan.legs)))
    assert not plan.legs[0].screens  # its verdicts come at once
    assert {(leg.goal, leg.proposer, leg.horizon) for leg in plan.legs[1:]} == {
        (g, p, h) for g in ("a", "b") for p in ("local", "openai") for h in (1, 8)
    }
    assert [leg.horizon for leg in plan.legs] == sorted(leg.horizon for leg in plan.legs)
    assert not any(leg.screens for leg in plan.legs if leg.proposer == "openai")
    state, worst = CampaignState(plan), 0
    screening = [leg for leg in plan.legs if leg.screens]
    worst = len(plan.legs) * plan.trials + len(screening) * state.share()
    assert worst <= plan.candidates
    assert plan.config(screening[0], state.share(), plan.line_trials).planned_trials == plan.line_trials
    assert OfflineLoopConfig(line_trials=1).planned_trials == OfflineLoopConfig().planned_trials


def test_a_damaged_note_of_a_campaign_is_named(tmp_path: Path) -> None:
    base = KnowledgeBase(tmp_path / "kb")
    assert CampaignState.load(base, PLAN).done == ()
    base.save_text(f"knowledge/campaigns/{PLAN.id}.json", '{"done": [{}]}')
    with pytest.raises(DocumentDamagedError, match="cannot be understood"):
        CampaignState.load(base, PLAN)


async def test_campaigns_on_one_base_take_turns(tmp_path: Path) -> None:
    order, waits = list[str](), list[str]()

    async def sessions(name: str, count: int) -> None:
        turns = Turns(tmp_path, name)
        for _ in range(count):
            async with turns.turn(waits.append):
                order.append(name)
                await asyncio.sleep(0.01)
        turns.close()

    await asyncio.gather(sessions("a", 3), sessions("b", 3))
    assert order == ["a", "b", "a", "b", "a", "b"]
    assert waits
    first = Turns(tmp_path, "a")
    with pytest.raises(LockTimeoutError, match="campaign a runs already"):
        Turns(tmp_path, "a")
    first.close()
    Turns(tmp_path, "a").close()


def test_the_command_line_shows_the_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from midas_engine.cli.app import app

    monkeypatch.chdir(tmp_path)
    (tmp_path / "plan.toml").write_text(
        'name = "short"\ngoals = ["funding carry"]\ncandidates = 8\nscreened = 0\niterations = 1\neach = 2\n'
        'data = "synthetic:3"\n'
    )
    found = CliRunner().invoke(app, ["campaign", "plan.toml", "--kb", "kb", "--workers", "0"])
    assert found.exit_code == 0, found.output
    assert "# Campaign short" in found.output
    assert "the first verdict came after" in found.output
    again = CliRunner().invoke(app, ["campaign", "plan.toml", "--kb", "kb", "--workers", "0", "--json"])
    assert '"finished": true' in again.output
