"""A campaign that is stopped, by whatever and whenever, goes on to what it would have concluded undisturbed."""

from __future__ import annotations

import dataclasses
import re
import shutil
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from midas_engine.campaign import base_digest
from midas_engine.errors import EvaluationError, ModelKeyError, SessionInterruptedError, SettingsError, WorkersGoneError
from midas_engine.executor import ThreadExecutor
from tests.helpers_campaign import PLAN, run_campaign
from tests.helpers_cli import ROOT

if TYPE_CHECKING:
    from concurrent.futures import Future
    from pathlib import Path

    from midas_engine.campaign import Campaign
    from midas_engine.events import Event
    from midas_engine.executor import Task


@pytest.fixture(scope="module")
def right(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What it concludes undisturbed."""
    folder = tmp_path_factory.mktemp("undisturbed") / "kb"
    run_campaign(folder)
    return base_digest(folder)


@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_at_the_end_of_a_session_it_leaves_one_learning_of_it(
    tmp_path: Path, right: dict[str, str], when: str
) -> None:
    """Its learning is written, and its end not yet noted; or that is noted, and the campaign does not know of it."""
    base = tmp_path / "kb"
    command = [sys.executable, "-m", "tests.helpers_campaign", str(base), when]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL, check=False)
    assert done.returncode == -signal.SIGKILL
    assert len(list((base / "knowledge/learnings/offline").glob("*.md"))) == 1
    run_campaign(base)
    assert base_digest(base) == right


def test_killed_between_the_last_report_and_its_note_it_has_a_whole_report(
    tmp_path: Path, right: dict[str, str]
) -> None:
    """The note was written first, and a campaign that is done wrote no report: it stood at the last session but one."""
    base = tmp_path / "kb"
    command = [sys.executable, "-m", "tests.helpers_campaign", str(base), "between"]
    assert subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL, check=False).returncode == -signal.SIGKILL
    assert run_campaign(base).finished
    assert base_digest(base) == right


@pytest.mark.skipif(
    shutil.which("unshare") is None or subprocess.run(["unshare", "-Urm", "true"], check=False).returncode != 0,
    reason="a disk of one's own cannot be mounted here",
)
def test_on_a_full_disk_it_stands_and_goes_on_when_there_is_space(tmp_path: Path, right: dict[str, str]) -> None:
    """The first disk holds no journal, the others end in the middle. A journal that was cut short at its making was
    put in its place, and was damaged at the next start."""
    command = ["unshare", "-Urm", sys.executable, "-m", "tests.helpers_full_disk", str(tmp_path)]
    sizes = ("240", "300", "420", "700", "20000")
    done = subprocess.run([*command, *sizes], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    *full, last = done.stdout.splitlines()
    assert len(full) == len(sizes) - 1
    for said in full:
        assert re.search("(No space left on device|disk is full) [|] free some space on the disk and try again", said)
        assert str(tmp_path) in said.partition(" | ")[0]
    assert last == f"finished True {right['whole']}"


def test_a_plan_that_was_changed_half_way_is_said_to_be_another_campaign(tmp_path: Path) -> None:
    """It began anew without a word, and who had stopped it thought that it went on."""
    base, started, notes = tmp_path / "kb", list["Campaign"](), list[str]()

    def tell(event: Event) -> None:
        if type(event).__name__ == "SessionEnded":
            started[0].cancel()

    assert len(run_campaign(base, tell=tell, started=started).done) == 1
    other = dataclasses.replace(PLAN, candidates=61)
    run_campaign(base, plan=other, notes=notes.append)
    assert f"another campaign than {PLAN.id}, which stands at 1 of {len(PLAN.legs)} sessions" in notes[0]
    assert "(candidates was 60)" in notes[0]
    notes.clear()
    run_campaign(base, notes=notes.append)
    run_campaign(base, plan=dataclasses.replace(PLAN, candidates=62), notes=notes.append)
    assert not [line for line in notes if "another campaign than" in line]


def test_cancelled_it_leaves_nothing_of_that_when_it_went_on(tmp_path: Path, right: dict[str, str]) -> None:
    base, started, seen = tmp_path / "kb", list["Campaign"](), list["Event"]()

    def tell(event: Event) -> None:
        seen.append(event)
        if type(event).__name__ == "CandidateScored":
            started[0].cancel()

    assert not run_campaign(base, tell=tell, started=started).finished
    assert run_campaign(base).finished
    assert base_digest(base) == right


def test_when_nobody_computes_any_more_nothing_is_concluded_from_that(
    tmp_path: Path, right: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the session's first question, in its screening, and at a verdict: it stands, and goes on."""
    base, asked, plain = tmp_path / "kb", [0], ThreadExecutor.start

    def start(executor: ThreadExecutor, task: Task) -> Future[object]:
        asked[0] += 1
        if asked[0] in (1, 4, 7):
            raise WorkersGoneError("the scheduler went away", hint="start it")
        return plain(executor, task)

    monkeypatch.setattr(ThreadExecutor, "start", start)
    for _ in range(3):
        with pytest.raises(SessionInterruptedError, match="stands where it was: nobody computes any more") as told:
            run_campaign(base)
        assert "the scheduler went away" in told.value.message
        assert "goes on from here" in told.value.hint
    state = run_campaign(base)
    assert state.finished
    assert base_digest(base) == right


def test_a_lack_of_memory_ends_no_session_for_good(
    tmp_path: Path, right: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A session whose screening found no memory broke off and was never tried again, with more memory either."""
    base, plain = tmp_path / "kb", ThreadExecutor.start
    shortages = {
        "a batch of raw expressions": RuntimeError("can't start new thread"),
        "what could be promoted": MemoryError("Unable to allocate 9 GiB"),
    }

    def start(executor: ThreadExecutor, task: Task) -> Future[object]:
        if (error := shortages.pop(task.name, None)) is not None:
            raise error
        return plain(executor, task)

    monkeypatch.setattr(ThreadExecutor, "start", start)
    while shortages:
        with pytest.raises(SessionInterruptedError, match="stands where it was: there is not enough memory"):
            run_campaign(base)
    assert run_campaign(base).finished
    assert base_digest(base) == right


def test_what_a_later_session_could_not_have_is_refused_before_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    base, told = tmp_path / "kb", list["Event"]()
    for change, kind, words in (
        ({"proposers": ("local", "nobody")}, SettingsError, "there is no provider 'nobody'"),
        ({"proposers": ("local", "openai")}, ModelKeyError, "there is no API key for openai"),
        ({"horizons": (1, 1400)}, EvaluationError, "horizon 1400: "),
    ):
        with pytest.raises(kind, match=words):
            run_campaign(base, plan=dataclasses.replace(PLAN, candidates=100, **change), tell=told.append)
    assert told == []
    assert not (base / "knowledge/campaigns").exists()
