"""A campaign that is stopped, by whatever and whenever, goes on to what it would have concluded undisturbed."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from midas_engine.campaign import base_digest
from tests.helpers_campaign import run_campaign
from tests.helpers_cli import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from midas_engine.campaign import Campaign
    from midas_engine.events import Event


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


def test_cancelled_it_leaves_nothing_of_that_when_it_went_on(tmp_path: Path, right: dict[str, str]) -> None:
    base, started, seen = tmp_path / "kb", list["Campaign"](), list["Event"]()

    def tell(event: Event) -> None:
        seen.append(event)
        if type(event).__name__ == "CandidateScored":
            started[0].cancel()

    assert not run_campaign(base, tell=tell, started=started).finished
    assert run_campaign(base).finished
    assert base_digest(base) == right
