"""What the ledger says of a form, read for memory: what did not hold is a try of its form too.

A finalist that a screened family refused, a form of memory that had no figures here, and what passed a research part
and did not hold at its sealed look: none of them worked on that data, and a lesson that says so is no true one. A
finalist that held and was not judged, because others before it took the places, was tried all the same.
"""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

from midas_engine.memory.families import form_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from midas_engine.evaluator.trials.ledger import Trial
    from midas_engine.kb import KnowledgeBase

FAMILY = "of a family"
"""Mark of a try that is a finalist: its sign is the one that the screening slice had."""
HELD = "held unjudged"
"""Mark of a finalist that held and met no gate: it speaks for a claim or against it, and neither passed nor failed."""


def evidence(trials: Iterable[Trial], unheld: Collection[str] = ()) -> list[Trial]:
    """The trials, with what did not hold as a try that did not.

    Args:
        trials: As the ledger has them.
        unheld: Keys of those that did not hold at their sealed look.
    """
    trials = list(trials)
    judged = {(t.snapshot, t.canonical) for t in trials if t.outcome == "scored" and not t.gate}
    found: list[Trial] = []
    for trial in trials:
        found.append(dataclasses.replace(trial, accepted=False) if trial.key in unheld else trial)
        if trial.outcome != "screened":
            continue
        level = float(trial.summary.get("level") or 0.0)
        silent = [(text, 0.0, 1.0) for text in trial.summary.get("silent") or ()]
        for row in (*(trial.summary.get("finalists") or ()), *silent):
            text, t, p = (*row, None, None, None)[:3]
            if not isinstance(text, str):
                continue
            t, p = (t, p) if _number(t) and _number(p) else (0.0, 1.0)  # without figures on the check slice
            form, held = form_of(text), p <= level
            if held and (trial.snapshot, form) in judged:
                continue  # its verdict says more
            about = {HELD: True} if held else {"missed": [["p of the family", p, "<=", level]]}
            found.append(
                dataclasses.replace(
                    trial, canonical=form, outcome="scored", score_t=float(t), p=float(p), accepted=False,
                    summary={FAMILY: True, **about},
                )
            )  # fmt: skip
    return found


def _number(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def read_evidence(kb: KnowledgeBase) -> list[Trial]:
    """The evidence of a base's ledger, in order; none where it has no journal yet. Blocking.

    Of a sealed look it takes only whether it held, which the learning of that session says too; no figure.
    """
    from midas_engine.evaluator.trials.ledger import TrialLedger

    if not kb.journal_path.is_file():
        return []
    with TrialLedger(kb.journal_path, read_only=True) as ledger:
        unheld = {str(look["key"]) for look in ledger.looks() if not look["passed"]}
        return evidence(ledger.history(again=True), unheld)
