"""A base with one feature in a chosen state, and the table of what is allowed from there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from helpers_kb import START, record
from midas_engine.clock import ManualClock
from midas_engine.kb.store import KnowledgeBase
from midas_engine.promoter import FeaturePromoter

if TYPE_CHECKING:
    from pathlib import Path

    from midas_engine.events import Event


class Stage:
    """A base with one feature in a chosen state, and what was told about it."""

    def __init__(self, folder: Path) -> None:
        self.clock = ManualClock(START)
        self.kb = KnowledgeBase(folder / "kb", clock=self.clock)
        self.events: list[Event] = []
        self.promoter = FeaturePromoter(self.kb, on_event=self.events.append)

    def bring(self, state: str, name: str = "carry") -> FeaturePromoter:
        p = self.promoter
        p.save_candidate(record(name))
        {
            "candidate": lambda: None,
            "shadow": lambda: p.shadow(name),
            "deployed": lambda: p.promote(name),
            "paused": lambda: (p.promote(name), p.pause(name)),
            "archived": lambda: p.reject(name, "noise"),
            "killed": lambda: (p.promote(name), p.kill(name, "dead")),
        }[state]()
        self.events.clear()
        return p

    def files(self) -> list[str]:
        return sorted(
            p.relative_to(self.kb.path / "knowledge/features").as_posix()
            for p in (self.kb.path / "knowledge/features").rglob("*.md")
        )


ALLOWED = {
    ("candidate", "promote"): "deployed",
    ("candidate", "shadow"): "shadow",
    ("candidate", "reject"): "archived",
    ("candidate", "redeploy"): "deployed",
    ("shadow", "promote"): "deployed",
    ("shadow", "demote"): "candidate",
    ("shadow", "reject"): "archived",
    ("shadow", "kill"): "archived",
    ("shadow", "pause"): "shadow",
    ("shadow", "redeploy"): "deployed",
    ("deployed", "demote"): "archived",
    ("deployed", "kill"): "archived",
    ("deployed", "pause"): "deployed",
    ("paused", "demote"): "archived",
    ("paused", "kill"): "archived",
    ("paused", "resume"): "deployed",
    ("archived", "redeploy"): "deployed",
    ("killed", "redeploy"): "deployed",
    ("killed", "kill"): "archived",  # killing twice is one kill
}
ACTIONS = ("promote", "shadow", "demote", "reject", "kill", "pause", "resume", "redeploy")
STATES = ("candidate", "shadow", "deployed", "paused", "archived", "killed")


def act(promoter: FeaturePromoter, action: str, name: str = "carry", reason: str = "because") -> object:
    return getattr(promoter, action)(name, reason)
