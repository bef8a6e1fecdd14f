"""Any order of actions, undos, restarts and interruptions leaves what a model of the pipeline says."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from helpers_kb import START, record
from helpers_promoter import ALLOWED
from midas_engine.clock import ManualClock
from midas_engine.errors import JournalError, PipelineError
from midas_engine.kb.store import KnowledgeBase
from midas_engine.promoter import FeaturePromoter

NAMES = st.sampled_from(["a", "b", "c"])
ACTIONS = st.sampled_from(["promote", "shadow", "demote", "reject", "pause", "resume", "redeploy", "kill"])
State = tuple[str, bool, bool]  # state, paused, killed


class Pipeline(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.clock = ManualClock(START)
        self.promoter = self._open()
        self.model: dict[str, State] = {}
        self.done: list[tuple[str, str, State, State]] = []
        self.undone: list[tuple[str, str, State, State]] = []
        self.untold: set[str] = set()  # killed, and no callback has returned

    def _open(self) -> FeaturePromoter:
        return FeaturePromoter(KnowledgeBase(self.folder / "kb", clock=self.clock), clock=self.clock)

    def teardown(self) -> None:
        self.promoter.close()
        shutil.rmtree(self.folder)

    @rule(name=NAMES)
    def save(self, name: str) -> None:
        if name in self.model:
            with pytest.raises(PipelineError):
                self.promoter.save_candidate(record(name))
            return
        self.promoter.save_candidate(record(name))
        self.model[name] = ("candidate", False, False)

    @rule(name=NAMES, action=ACTIONS)
    def act(self, name: str, action: str) -> None:
        before = self.model.get(name)
        label = "" if before is None else "killed" if before[2] else "paused" if before[1] else before[0]
        if label == "paused" and before is not None and before[0] == "shadow":
            wanted = {"promote": "deployed", "demote": "candidate", "reject": "archived", "kill": "archived"}.get(
                action
            )
            wanted = wanted or {"resume": "shadow", "redeploy": "deployed"}.get(action)
        else:
            wanted = ALLOWED.get((label, action))
        self.clock.advance(1)
        if before is None or wanted is None:
            with pytest.raises(PipelineError):
                getattr(self.promoter, action)(name, "because")
            return
        found = getattr(self.promoter, action)(name, "because")
        if label == "killed" and action == "kill":
            return
        after = (wanted, found.paused, action == "kill")
        assert found.paused == {"pause": True, "resume": False, "kill": False, "redeploy": False}.get(action, before[1])
        self.model[name] = after
        if action == "kill":
            self.untold.add(name)
        elif action == "redeploy":
            self.untold.discard(name)  # a callback for what is live again would stop it
        self.done.append((action, name, before, after))
        self.undone.clear()

    @rule()
    def undo(self) -> None:
        if not self.done or self.done[-1][0] == "kill":
            with pytest.raises(PipelineError):
                self.promoter.undo()
            return
        self.promoter.undo()
        last = self.done.pop()
        self.undone.append(last)
        self.model[last[1]] = last[2]

    @rule()
    def redo(self) -> None:
        if not self.undone:
            with pytest.raises(PipelineError):
                self.promoter.redo()
            return
        self.promoter.redo()
        last = self.undone.pop()
        self.done.append(last)
        self.model[last[1]] = last[3]

    @rule()
    def restart(self) -> None:
        self.promoter.close()
        self.promoter = self._open()

    @precondition(lambda self: any(s[0] == "candidate" for s in self.model.values()))
    @rule()
    def promote_while_the_journal_fails(self) -> None:
        name = next(n for n, s in self.model.items() if s[0] == "candidate")

        def refuse(*_: Any, **__: Any) -> bool:
            raise JournalError("disk full")

        before = self.model[name]
        self.promoter.journal.append_action = refuse  # type: ignore[method-assign]
        try:
            self.promoter.promote(name)
        finally:
            del self.promoter.journal.append_action
        self.model[name] = ("deployed", False, False)
        self.done.append(("promote", name, before, self.model[name]))
        self.undone.clear()

    @invariant()
    def the_disk_is_what_the_model_says(self) -> None:
        kb = self.promoter.kb
        assert {r.name: (r.state.value, r.paused, r.killed) for r in kb.features()} == self.model
        assert kb.damaged_features() == []
        assert {kill.feature for kill in self.promoter.pending_kills()} == self.untold


Pipeline.TestCase.settings = settings(max_examples=50, stateful_step_count=30, deadline=None)
TestPipeline = Pipeline.TestCase
