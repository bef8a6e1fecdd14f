"""Reading results: what is nearest to passing, what it lacks, and what earlier sessions saw."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

from midas_engine.proposer.families import FAMILIES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from midas_engine.models import LearningDocument
    from midas_engine.proposer.protocol import TrialResult

_BEST = re.compile(r"\b(\w{1,40}): best t ([+-]\d{1,4}\.\d\d)\b")


def best_by_family(learnings: Iterable[LearningDocument]) -> dict[str, float]:
    """The best t of each family, as earlier learnings of this researcher tell it."""
    found: dict[str, float] = {}
    for document in learnings:
        for family, t in _BEST.findall(document.pattern_identified):
            if family in FAMILIES and abs(float(t)) > abs(found.get(family, 0.0)):
                found[family] = float(t)
    return found


def ranked(results: Iterable[TrialResult]) -> list[TrialResult]:
    """What was scored: passes first, then by the size of t."""
    scored = [r for r in results if not r.refused and math.isfinite(r.score_t)]
    return sorted(scored, key=lambda r: (not r.passed, -abs(r.score_t)))


def gates_short(result: TrialResult) -> int:
    """How many agents stand between a result and its acceptance; a wrong sign counts as two until it is flipped."""
    return 2 if result.score_t < 0 else len(result.failed_agents)


def remedy(result: TrialResult) -> str:
    """What its verdicts ask for, in words."""
    if result.score_t < 0:
        return "flip the sign"
    for agent, remedy in (
        ("trading_cost", "smooth it, so that it trades less"),
        ("diversification", "take out what the book already has"),
        ("regime_robustness", "stand aside in the regime that hurts"),
        ("overfit_detection", "simplify it"),
        ("decay_analysis", "slow it down"),
    ):
        if agent in result.failed_agents:
            return remedy
    return "vary its windows"
