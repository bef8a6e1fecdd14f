"""Lessons that no session can put to the test: every form they claim is refused before it meets a return.

Such a lesson is never recalled, so no trial ever speaks of it, and a prompt would quote it for ever. It is retired
with the reason as soon as a session would be given it. A column or a window that this data does not have is no such
reason: the next data may.
"""

from __future__ import annotations

import contextlib
import dataclasses
from typing import TYPE_CHECKING

from midas_engine.dsl.expression import parse
from midas_engine.dsl.nominal import nominal_size
from midas_engine.errors import ExpressionError, LimitError, MidasError
from midas_engine.memory.lessons import own_trials
from midas_engine.memory.recall import claims

if TYPE_CHECKING:
    from collections.abc import Sequence

    from midas_engine.evaluator.trials.ledger import Trial
    from midas_engine.kb import KnowledgeBase
    from midas_engine.memory.remember import Memory, Remembered
    from midas_engine.models import LearningDocument

_MOST_SAID = 300


def untriable(document: LearningDocument, trials: Sequence[Trial], *, cross: bool) -> str:
    """Why nothing that a lesson claims can ever be tried; empty when something can, or it names no form.

    Args:
        document: The lesson.
        trials: Of the base: what passed once was triable, and a size that passed in time may do so again.
        cross: The session scores across symbols.
    """
    own = own_trials(document, trials)
    texts = claims(document, own)
    reasons = [_refused(text, cross=cross and not own) for text in texts]
    return reasons[0] if reasons and all(reasons) else ""


def _refused(text: str, *, cross: bool) -> str:
    try:
        parsed = parse(text)
    except LimitError:
        return ""  # a setting draws that line
    except ExpressionError as error:
        return f"{text[:_MOST_SAID]}: {error.message[:_MOST_SAID]}"
    return nominal_size(parsed)[:_MOST_SAID] if cross else ""


def only_triable(memory: Memory, *, cross: bool) -> Memory:
    """A memory that retires such lessons as it meets them; others take their places."""
    from midas_engine.memory.reading import read_trials

    def remember(kb: KnowledgeBase, goal: str) -> Remembered:
        gone: dict[str, str] = {}
        told: list[str] = []
        while True:
            past = memory(kb, goal)
            told += [line for line in past.retired if line not in told]
            trials = read_trials(kb)
            why = {d.path: untriable(d, trials, cross=cross) for d in past.learnings if d.path not in gone}
            fresh = {path: f"it can never be tried: {reason}" for path, reason in why.items() if reason}
            if not fresh:
                break
            for path, reason in fresh.items():
                if not kb.read_only:
                    with contextlib.suppress(MidasError, OSError):
                        kb.revoke_learning(path, reason=f"retired: {reason}")
            gone |= fresh
        stand = tuple(d for d in past.learnings if d.path not in gone)  # what cannot be moved now is not given either
        forms = tuple(form for form in past.recall.forms if form.lesson not in gone)
        return dataclasses.replace(
            past, learnings=stand, recall=dataclasses.replace(past.recall, forms=forms),
            retired=(*told, *(f"{path}: {reason}" for path, reason in gone.items())),
        )  # fmt: skip

    return remember
