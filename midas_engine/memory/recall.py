"""What memory says may work here: forms that lessons claim, and how far the base's own record lets a session use them.

A lesson is a claim about other data. A session recalls the forms of the lessons that were chosen for it, meets them
before anything else, and the ledger keeps what became of each. So the record itself says whether memory pays, and a
session uses as much of it as that: nothing is believed for having been written.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from midas_engine.memory.evidence import HELD
from midas_engine.memory.families import form_of, reads, skeleton
from midas_engine.proposer.recall import Recall, Recalled

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from midas_engine.evaluator.trials.ledger import Trial
    from midas_engine.models import LearningDocument

CLAIMS = 3
"""Expressions of a lesson without trials that are taken for what it claims."""
MOST_READ = 50
WORTH = 0.2
"""Chance that recalled forms hold from which all of them are asked: a hit saves a whole search, and all of them, with
the climb of what shows, cost a seventh of one at most."""
LEAST_FACTOR = 0.25
"""Memory that never held is still asked for one form a session: a market may come where it holds."""


def recall(lessons: Sequence[LearningDocument], trials: Sequence[Trial]) -> Recall:
    """What these lessons claim.

    Args:
        lessons: Those chosen for a session, the nearest first.
        trials: Of the base, as `evidence` reads them.
    """
    by_session: dict[str, list[Trial]] = defaultdict(list)
    by_form: dict[str, list[Trial]] = defaultdict(list)
    for trial in trials:
        if trial.outcome == "scored" and not trial.gate and not trial.summary.get(HELD):
            by_session[trial.session].append(trial)
            by_form[skeleton(trial.canonical)].append(trial)
    spelt = {form_of(text): text for lesson in lessons for text in lesson.expressions}
    forms: dict[str, Recalled] = {}
    for lesson in lessons:
        own = by_session.get(lesson.session_id, []) if lesson.session_id else []
        passed = [t.canonical for t in own if t.accepted] or [form_of(text) for text in claims(lesson, own)]
        for canonical in passed:
            form = skeleton(canonical)
            if form not in forms and canonical in spelt:
                forms[form] = _recalled(spelt, canonical, by_form.get(form, []), lesson.path)
    factor, told = payoff(trials)
    return Recall(tuple(forms.values()), factor, told)


def claims(lesson: LearningDocument, own: Sequence[Trial]) -> tuple[str, ...]:
    """The expressions that a lesson says work, as it spells them; none where it says that nothing does.

    Args:
        lesson: The lesson.
        own: Trials of the session that wrote it: what passed there is what it claims. Without any it claims its first
            expressions that can be read (where none can, its first), if it says that something worked.
    """
    if own:
        passed = {t.canonical for t in own if t.accepted}
        return tuple(text for text in lesson.expressions if form_of(text) in passed)
    if lesson.result != "success" and not lesson.what_worked:
        return ()
    return (tuple(filter(reads, lesson.expressions[:MOST_READ])) or lesson.expressions)[:CLAIMS]


def _recalled(spelt: Mapping[str, str], canonical: str, trials: Sequence[Trial], lesson: str) -> Recalled:
    """The form at the windows where it said most, as a lesson spells it: a canonical form is no text."""
    passed = [t for t in trials if t.accepted]
    best = max((t for t in passed if t.canonical in spelt), key=lambda t: t.score_t or 0.0, default=None)
    tried = tuple(sorted({t.snapshot for t in trials}))
    worked = len({t.snapshot for t in passed})
    text = spelt[canonical if best is None else best.canonical]
    return Recalled(text, skeleton(canonical), worked, len(tried), tried, lesson)


def payoff(trials: Iterable[Trial]) -> tuple[float, str]:
    """The factor that a base's record gives to its memory, and the words for it.

    The chance that recalled forms hold (one in two before any session) over `WORTH`, from which they are worth it.
    """
    asked = [t.summary for t in trials if t.outcome == "screened" and t.summary.get("recalled")]
    held = sum(bool(row.get("held")) for row in asked)
    factor = min(1.0, max(LEAST_FACTOR, (1 + held) / (2 + len(asked)) / WORTH))
    if factor == 1.0:
        return 1.0, ""
    return factor, (
        f"what memory recalled held in {held} of {len(asked)} sessions: it is turned down to {factor:.0%} of the forms"
    )
