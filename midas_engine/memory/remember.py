"""What a session is given of its base's memory: lessons, the table of tries, the forms they claim."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from midas_engine.memory.evidence import read_evidence
from midas_engine.memory.lessons import retire
from midas_engine.memory.reading import read_trials
from midas_engine.memory.recall import recall
from midas_engine.memory.search import related, speaking
from midas_engine.memory.tries import memory_lines
from midas_engine.models import LearningDocument  # noqa: TC001  (read from its record by these types)
from midas_engine.proposer.recall import Recall

if TYPE_CHECKING:
    from midas_engine.evaluator.trials.ledger import Trial
    from midas_engine.kb import KnowledgeBase

LESSONS = 6
"""Lessons that a prompt has."""
ASKED = 4 * LESSONS
"""Lessons whose forms may be recalled: those that found nothing take no place of those that did."""


@dataclass(frozen=True, slots=True)
class Remembered:
    """What memory gives to one session.

    Attributes:
        learnings: The lessons that speak to the goal and still stand, nearest first.
        lines: The table of tries for a prompt.
        retired: Lessons that later trials contradict, with the reason: set aside before this session.
        recall: The forms that the lessons claim.
    """

    learnings: tuple[LearningDocument, ...] = ()
    lines: tuple[str, ...] = ()
    retired: tuple[str, ...] = ()
    recall: Recall = Recall()


Memory = Callable[["KnowledgeBase", str], Remembered]
"""Gives what a session with a goal is given of a base. Blocking."""


def retrieved(kb: KnowledgeBase, goal: str) -> Remembered:
    """The lessons that speak to the goal: the default."""
    return _of(kb, goal, related(kb.learnings(), goal, ASKED), only_speaking=True)


def recent(kb: KnowledgeBase, goal: str) -> Remembered:
    """The last lessons, whatever they are about."""
    newest = sorted(kb.learnings(loop="offline"), key=lambda d: (d.created_at, d.path), reverse=True)
    return _of(kb, goal, newest[: 2 * LESSONS])


def nothing(kb: KnowledgeBase, goal: str) -> Remembered:
    """No memory."""
    return Remembered()


def _of(kb: KnowledgeBase, goal: str, chosen: list[LearningDocument], *, only_speaking: bool = False) -> Remembered:
    trials: list[Trial] = read_trials(kb)
    known = read_evidence(kb)
    gone = retire(kb, chosen, known)
    stand = [d for d in chosen if d.path not in gone]
    told = tuple(f"{path}: {why}" for path, why in gone.items())
    # A prompt may read what is about something else; what is tried first must speak to the goal.
    claims = speaking(stand, goal) if only_speaking else stand[:LESSONS]
    return Remembered(tuple(stand[:LESSONS]), memory_lines(trials, goal), told, recall(claims, known))
