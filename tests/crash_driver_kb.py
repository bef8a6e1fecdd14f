"""Runs one pipeline action again and again in child processes that die at each disk call in turn, and checks the base.

Started by the torture tests as a process of its own, so that forking is safe. Prints one JSON line.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from helpers_kb import MEASURED, learning, record
from helpers_kb_faults import at_call, die
from midas_engine.kb import files
from midas_engine.kb.store import KnowledgeBase
from midas_engine.promoter.promoter import FeaturePromoter

Act = Callable[[FeaturePromoter], object]

# A file that changed a moment ago is read again, so a slow machine makes fewer calls than a fast one. Every file is
# such a file here: then each child makes exactly the calls that were counted.
files._RACY_NS = 1 << 62


def _prepare(promoter: FeaturePromoter, actions: str) -> None:
    promoter.save_candidate(record("alpha"))
    promoter.save_candidate(record("other"))
    promoter.promote("other")
    for action in actions.split():
        if action == "promote":
            promoter.promote("alpha")
        elif action == "shadow":
            promoter.shadow("alpha")
        elif action == "version":
            promoter.propose_version("alpha", "neg(close)", "smoother", metrics=MEASURED)
        elif action == "redeploy":
            promoter.redeploy("alpha@2")
        elif action == "reject":
            promoter.reject("alpha", "noise")


SCENARIOS: dict[str, tuple[str, Act]] = {
    "save": ("", lambda p: p.save_candidate(record("beta"))),
    "promote": ("", lambda p: p.promote("alpha")),
    "reject": ("", lambda p: p.reject("alpha", "noise")),
    "shadow": ("", lambda p: p.shadow("alpha")),
    "demote": ("promote", lambda p: p.demote("alpha", "weak")),
    "kill": ("promote", lambda p: p.kill("alpha", "dead")),
    "pause": ("promote", lambda p: p.pause("alpha")),
    "redeploy": ("promote version", lambda p: p.redeploy("alpha@2")),
    "rollback": ("promote version redeploy", lambda p: p.rollback("alpha")),
    "undo": ("promote", lambda p: p.undo()),
    "learning": ("", lambda p: p.kb.save_learning(learning())),
}


def picture(kb: KnowledgeBase) -> dict[str, str]:
    """Every feature with its state, and how many learnings there are."""
    found: dict[str, str] = {}
    for each in kb.features():
        assert each.name not in found, f"{each.name} is in two states"
        found[each.name] = f"{each.state.value}{' killed' if each.killed else ''}{' paused' if each.paused else ''}"
    assert not kb.damaged_features(), kb.damaged_features()
    return found | {"(learnings)": str(len(kb.learnings()))}


def run(scenario: str, folder: Path, stride: int) -> dict[str, object]:
    prepared, act = SCENARIOS[scenario]
    start = folder / "start"
    kb = KnowledgeBase(start)
    promoter = FeaturePromoter(kb)
    _prepare(promoter, prepared)
    before = picture(kb)
    actions_before = len(promoter.journal.actions())
    promoter.close()

    done = folder / "done"
    shutil.copytree(start, done)
    promoter = FeaturePromoter(KnowledgeBase(done))
    with at_call(0, die) as counter:
        act(promoter)
    after = picture(promoter.kb)
    actions_after = len(promoter.journal.actions())
    promoter.close()
    assert before != after

    seen = {"before": 0, "after": 0}
    for number in range(1, counter.seen + 1, stride):
        work = folder / f"{scenario}-{number}"
        shutil.copytree(start, work)
        child = os.fork()
        if child == 0:
            promoter = FeaturePromoter(KnowledgeBase(work))
            with at_call(number, die):
                act(promoter)
            os._exit(0)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        assert status == 99, f"{scenario} at call {number}: the child ended with {status}"
        reader = picture(KnowledgeBase(work, read_only=True))
        kb = KnowledgeBase(work)
        found = picture(kb)
        assert found == reader, f"{scenario} at call {number}: a reader saw {reader}, the writer {found}"
        assert found in (before, after), f"{scenario} at call {number}: {found}"
        promoter = FeaturePromoter(kb)
        assert picture(kb) == found
        rows = len(promoter.journal.actions())
        assert rows == (actions_before if found == before else actions_after), (
            f"{scenario} at call {number}: {rows} rows"
        )
        assert not promoter.journal.verify()
        assert not list(work.rglob("*.tmp")), f"{scenario} at call {number}: a stray temporary file"
        assert kb.transactions.idle
        seen["before" if found == before else "after"] += 1
        if scenario == "kill" and found == after:
            assert [k.feature for k in promoter.pending_kills()] == ["alpha"]
        if found == before:
            act(promoter)  # the action still works
            assert picture(kb) == after
        promoter.close()
        shutil.rmtree(work)
    return {"scenario": scenario, "calls": counter.seen, **seen}


if __name__ == "__main__":
    print(json.dumps(run(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))))
