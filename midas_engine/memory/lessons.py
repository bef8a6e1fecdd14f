"""Whether a lesson held: what it claims, and what later trials say of it."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from midas_engine.errors import MidasError
from midas_engine.memory.evidence import FAMILY
from midas_engine.memory.families import asked_families, family_of, form_of, skeleton
from midas_engine.proposer.rewrites import negated

if TYPE_CHECKING:
    from collections.abc import Sequence

    from midas_engine.evaluator.trials.ledger import Trial
    from midas_engine.kb import KnowledgeBase
    from midas_engine.models import LearningDocument

# A later try speaks for a lesson that says something works from here on, and against it below.
SPEAKS_FOR_T, SPEAKS_AGAINST_T = 2.0, 1.0
RETIRED_AT = 3
CLAIM_RETIRED_AT = 2
CLAIM_TRIED_AT = 3
"""Data sets on which a bare claim may be tried without passing or standing out on one."""
STANDS_OUT_T = 4.0
"""Beyond the luck of a few tries; a t of two is not."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A lesson and its evidence. A data set speaks once, however many spellings were tried on it.

    Attributes:
        works: It says that something works; else that something does not.
        evidence: Trials that it was drawn from (their numbers in the ledger).
        confirmed: Of each later data set that speaks for it, the trial that does.
        contradicted: Of each that speaks against it, the trial that comes nearest to speaking for it.
        waited: Data sets on which it was tried later while it neither passed nor stood out on any; 0 once it did.
    """

    path: str
    title: str
    works: bool
    evidence: tuple[int, ...]
    confirmed: tuple[int, ...]
    contradicted: tuple[int, ...]
    waited: int = 0

    @property
    def retired(self) -> bool:
        """Whether it should be quoted no more.

        A bare claim, without a trial of its own, after two data sets that speak against it and none for it, or after
        three without one on which it passed or stood out: luck looks like a t of two.
        """
        if not self.evidence and self.works:
            plainly = len(self.contradicted) >= CLAIM_RETIRED_AT and not self.confirmed
            if plainly or self.waited >= CLAIM_TRIED_AT:
                return True
        return len(self.contradicted) >= RETIRED_AT and len(self.contradicted) > 2 * len(self.confirmed)

    @property
    def reason(self) -> str:
        """Why it is retired, or how it stands, in words."""
        against = ", ".join(map(str, self.contradicted[:6])) or "none"
        claim = "that this works" if self.works else "that this does not work"
        return (
            f"it says {claim}; {len(self.confirmed)} later data sets speak for it and {len(self.contradicted)} against "
            f"(trials {against})"
        )


def own_trials(document: LearningDocument, trials: Sequence[Trial]) -> list[Trial]:
    """What was scored in the session that wrote a lesson; none where a person did."""
    return [t for t in trials if document.session_id and t.session == document.session_id and t.outcome == "scored"]


def standing(document: LearningDocument, trials: Sequence[Trial]) -> Standing:
    """How a lesson stands against what was tried after it, in other sessions.

    It speaks of the forms that passed in its own session; without trials of its own (a person wrote it), of every form
    it names, and where it names none, of the families in its words.
    """
    own = own_trials(document, trials)
    passed = [t for t in own if t.accepted]
    works = bool(passed) if own else document.result == "success" or bool(document.what_worked)
    signs = {skeleton(t.canonical): 1.0 for t in (passed if works and own else own)}
    if not own:
        # A search turns what it tries the way the data has it: the other sign is a try of the claim too, against it.
        signs = {skeleton(form_of(negated(text))): -1.0 for text in document.expressions}
        signs |= {skeleton(form_of(text)): 1.0 for text in document.expressions}
    families = set() if signs else set(asked_families(f"{document.title} {document.research_goal}"))
    at = document.created_at.isoformat()
    later: dict[str, list[tuple[float, bool, int]]] = defaultdict(list)
    for t in trials:
        if t.outcome == "scored" and t.score_t is not None and t.at > at and t.session != document.session_id:
            sign = signs.get(skeleton(t.canonical), 1.0 if family_of(t.canonical) in families else 0.0)
            if sign:
                later[t.snapshot].append((_score(t, sign), t.accepted and sign > 0, t.seq))
    good, bad, passing, stood = [], [], [], False
    for tries in later.values():
        best, _, seq = max(tries)
        passes = [seq for _, passed, seq in tries if passed]
        stood = stood or bool(passes) or best >= STANDS_OUT_T
        passing += passes[:1]
        if passes or best >= SPEAKS_FOR_T:
            good.append((passes or [seq])[0])
        elif best < SPEAKS_AGAINST_T:
            bad.append(seq)
    confirmed, contradicted = (good, bad) if works else (bad, passing)
    waited = 0 if stood else len(later)
    evidence = tuple(t.seq for t in own)
    return Standing(document.path, document.title, works, evidence, tuple(confirmed), tuple(contradicted), waited)


def _score(trial: Trial, sign: float) -> float:
    """What a try says of the claim.

    A finalist that was turned was turned by the screening slice: what the check slice says in the claimed sign is half
    of the data against the other half, and speaks for nothing.
    """
    score = sign * float(trial.score_t or 0.0)
    return min(score, 0.0) if sign < 0.0 and trial.summary.get(FAMILY) else score


def retire(kb: KnowledgeBase, documents: Sequence[LearningDocument], trials: Sequence[Trial]) -> dict[str, str]:
    """Set aside the lessons that later trials contradict; path -> reason, also of what cannot be moved now."""
    found: dict[str, str] = {}
    for document in documents:
        held = standing(document, trials)
        if held.retired:
            found[document.path] = held.reason
            if not kb.read_only:
                with contextlib.suppress(MidasError, OSError):
                    kb.revoke_learning(document.path, reason=f"retired: {held.reason}")
    return found
