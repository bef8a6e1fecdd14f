"""Two campaigns at once on one base, each a process: what they conclude is that of their sessions one after another."""

from __future__ import annotations

import dataclasses
import itertools
import subprocess
import sys
from typing import TYPE_CHECKING

from midas_engine.campaign import base_digest
from midas_engine.evaluator import TrialLedger
from tests.helpers_campaign import PLAN, run_campaign
from tests.helpers_cli import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from midas_engine.campaign import Campaign, CampaignPlan
    from midas_engine.events import Event

ONE = """
import sys
from pathlib import Path
from tests.helpers_campaign import run_campaign
from tests.test_campaign_two import PLANS

assert run_campaign(Path(sys.argv[1]), plan=PLANS[int(sys.argv[2])]).finished
"""
PLANS = (
    dataclasses.replace(PLAN, name="carry"),
    dataclasses.replace(PLAN, name="shocks", goals=("reversal after volume shocks",), seed=2),
)


def one_session(folder: Path, plan: CampaignPlan) -> None:
    """The next one of this campaign; it is stopped at its end."""
    started = list["Campaign"]()

    def tell(event: Event) -> None:
        if type(event).__name__ == "SessionEnded":
            started[0].cancel()

    run_campaign(folder, plan=plan, started=started, tell=tell)


def test_two_campaigns_at_once_are_their_sessions_one_after_another(tmp_path: Path) -> None:
    both = [subprocess.Popen([sys.executable, "-c", ONE, str(tmp_path / "both"), str(k)], cwd=ROOT) for k in (0, 1)]
    assert [process.wait(240) for process in both] == [0, 0]
    with TrialLedger(tmp_path / "both/journal.sqlite", read_only=True) as ledger:
        assert ledger.verify() == []
        order = [session for session, _ in itertools.groupby(trial.session for trial in ledger.history())]
    # No session began before another had ended, and each campaign had all of its own.
    assert len(order) == len(set(order)) == sum(len(plan.legs) for plan in PLANS)
    for session in order:
        one_session(tmp_path / "turns", next(plan for plan in PLANS if session.startswith(plan.id)))
    assert base_digest(tmp_path / "turns") == base_digest(tmp_path / "both")
