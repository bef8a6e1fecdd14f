"""What tries taught, as one page to read: chance by family, forms, proposers, lessons. Research figures only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from midas_engine.memory.calibration import calibrations
from midas_engine.memory.lessons import standing
from midas_engine.memory.tries import chances, tried_forms
from midas_engine.text import number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from midas_engine.evaluator.trials.ledger import Trial
    from midas_engine.models import LearningDocument

FORMS = 30


def memory_page(trials: Sequence[Trial], learnings: Sequence[LearningDocument], known: Sequence[Trial]) -> str:
    """The figures of `midas kb stats` as Markdown, what they say first; `known` is what lessons are held against."""
    if not trials:
        return "# What tries taught\n\nNothing was tried yet. A session, or `midas evaluate`, writes the first row.\n"
    rows, forms, made = chances(trials), tried_forms(trials), calibrations(trials)
    tries, passed = sum(r.tries for r in rows), sum(r.passed for r in rows)
    best = rows[0]
    said = (
        f"{tries} tries of {len(forms)} forms; {passed} passed every gate of a research part. The best chance now: "
        f"{best.family} over {best.horizon} bars at a turnover {best.band} a bar, {best.chance:.0%} a try "
        f"({best.passed} of {best.tries} passed, "
        "shrunk to one in twenty)."
    )
    parts = [
        "# What tries taught",
        said,
        "## Chance by family, horizon and cost band",
        _table(("family", "bars ahead", "turnover a bar", "tries", "passed", "chance"),
               [(r.family, str(r.horizon), r.band, str(r.tries), str(r.passed), f"{r.chance:.3f}") for r in rows]),
        f"## Forms, the most promising first ({min(FORMS, len(forms))} of {len(forms)})",
        _table(("family", "form", "tries", "passed", "best t", "IC", "missed"),
               [(f.family, f"`{f.example[:120]}`", str(f.tries), str(f.passed), f"{f.best_t:+.2f}",
                 f"{number(f.best_ic, 4)} ± {number(f.best_ic_se, 4)}", "; ".join(f.missed[:2]) or "nothing")
                for f in forms[:FORMS]]),
    ]  # fmt: skip
    if made:
        parts += [
            "## Do proposers know what they say?",
            "A Brier score is the mean squared distance of a stated chance and what came; 0.25 is a coin's.",
            _table(("proposer", "family", "claims", "stated", "sign held", "Brier, sign", "Brier, horizon"),
                   [(c.proposer, c.family, str(c.claims), number(c.stated, 2), number(c.signs, 2),
                     number(c.brier_sign, 3), number(c.brier_horizon, 3)) for c in made]),
        ]  # fmt: skip
    held = [h for h in (standing(d, known) for d in learnings) if h.confirmed or h.contradicted]
    if held:
        parts += ["## Lessons that later tries met", "\n".join(f"- {h.title}: {h.reason}" for h in held)]
    return "\n\n".join(parts) + "\n"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(heads)} |", f"| {' | '.join('---' for _ in heads)} |"]
    lines += [f"| {' | '.join(_cell(c) for c in row)} |" for row in rows]
    return "\n".join(lines)


def _cell(text: str) -> str:
    """A cell keeps its column: what would end it is taken out."""
    return " ".join(text.split()).replace("|", "/")
