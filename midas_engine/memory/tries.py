"""Tries as data: one row a form, and the chance of a family by horizon and cost band. Research figures only."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from midas_engine.memory.families import asked_families, family_of, skeleton
from midas_engine.search.bands import band_words

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from midas_engine.evaluator.trials.ledger import Trial

# Before any try one in twenty passes: half a pass and nine and a half failures are in every family's count.
PRIOR_PASSES, PRIOR_FAILURES = 0.5, 9.5
MAX_LINES = 20


@dataclass(frozen=True, slots=True)
class TriedForm:
    """Everything tried under one skeleton.

    Attributes:
        form: The skeleton: the canonical form without its numbers.
        tries: Scored trials, over sessions and data sets.
        passed: How many passed every gate on a research part.
        best_t: The best t; `best_ic` and `best_ic_se` are of the same trial.
        missed: What its best trial missed: gate, figure, comparison, line.
        horizons: Bars ahead it was scored on.
        snapshots: Data sets it was tried on.
        proposers: Who proposed it.
        example: The canonical form of its best trial.
    """

    form: str
    family: str
    tries: int
    passed: int
    best_t: float
    best_ic: float
    best_ic_se: float
    missed: tuple[str, ...]
    horizons: tuple[int, ...]
    snapshots: int
    proposers: tuple[str, ...]
    example: str

    @property
    def line(self) -> str:
        """One line, as prompts and `midas kb stats` show it."""
        fate = f"{self.passed} passed" if self.passed else "missed " + ("; ".join(self.missed[:3]) or "nothing known")
        error = f" +- {self.best_ic_se:.4f}" if math.isfinite(self.best_ic_se) else ""
        return (
            f"{self.family}: {self.example[:300]}: {self.tries} tries on {self.snapshots} data sets, "
            f"best t {self.best_t:+.2f}, IC {self.best_ic:+.4f}{error}: {fate}"
        )


@dataclass(frozen=True, slots=True)
class Chance:
    """How often a family passed on a horizon at one cost; `chance` is shrunk to one in twenty.

    Attributes:
        horizon: Bars ahead.
        band: Its turnover a bar in words, which is what costs are a multiple of: "up to 0.1" holds for days, "unknown"
            was not measured.
    """

    family: str
    horizon: int
    band: str
    tries: int
    passed: int

    @property
    def chance(self) -> float:
        """The mean of its Beta distribution."""
        return (PRIOR_PASSES + self.passed) / (PRIOR_PASSES + PRIOR_FAILURES + self.tries)

    @property
    def line(self) -> str:
        """One line."""
        return (
            f"{self.family} over {self.horizon} bar(s), turnover {self.band}: "
            f"{self.passed} of {self.tries} tries passed, chance {self.chance:.3f}"
        )


def tried_forms(trials: Iterable[Trial]) -> list[TriedForm]:
    """One row a skeleton, the most promising first: passes, then by the best t."""
    groups: dict[str, list[Trial]] = defaultdict(list)
    for trial in trials:
        if trial.outcome == "scored" and trial.score_t is not None and math.isfinite(trial.score_t):
            groups[skeleton(trial.canonical)].append(trial)
    return sorted((_form(k, g) for k, g in groups.items()), key=lambda f: (-f.passed, -f.best_t, f.form))


def _form(form: str, group: Sequence[Trial]) -> TriedForm:
    best = max(group, key=lambda t: (t.accepted, t.score_t or 0.0))
    kept = best.summary
    return TriedForm(
        form, family_of(best.canonical), len(group), sum(t.accepted for t in group), float(best.score_t or 0.0),
        _number(kept.get("rank_ic")), _number(kept.get("rank_ic_se")), tuple(_missed(kept.get("missed"))),
        tuple(sorted({t.horizon for t in group})), len({t.snapshot for t in group}),
        tuple(sorted({str(t.summary.get("proposer", "")) for t in group} - {""})), best.canonical,
    )  # fmt: skip


def chances(trials: Iterable[Trial]) -> list[Chance]:
    """One row a family, horizon and cost band, the best chance first."""
    counts: dict[tuple[str, int, str], list[int]] = defaultdict(lambda: [0, 0])
    for trial in trials:
        if trial.outcome == "scored":
            band = band_words(_number(trial.summary.get("turnover")))
            cell = counts[family_of(trial.canonical), trial.horizon, band]
            cell[0] += 1
            cell[1] += trial.accepted
    return sorted((Chance(*k, *c) for k, c in counts.items()), key=lambda c: (-c.chance, c.family, c.horizon, c.band))


def memory_lines(trials: Sequence[Trial], goal: str) -> tuple[str, ...]:
    """The table in every prompt, `MAX_LINES` lines at most: chances, two that passed, two near misses, three failures.

    What belongs to the families that the goal names comes first.
    """
    wanted = asked_families(goal)

    def near(family: str) -> int:
        return wanted.index(family) if family in wanted else len(wanted)

    rows = sorted(chances(trials), key=lambda c: near(c.family))[:10]
    forms = sorted(tried_forms(trials), key=lambda f: near(f.family))
    passed = [f for f in forms if f.passed][:2]
    missed = sorted((f for f in forms if not f.passed and f.best_t > 0), key=lambda f: (near(f.family), len(f.missed)))
    close: list[TriedForm] = []
    for form in missed:  # near misses of different families
        if len(close) < 2 and form.family not in {c.family for c in close}:
            close.append(form)
    failed = [f for f in reversed(forms) if not f.passed and f not in close][:3]
    lines = [c.line for c in rows]
    lines += [f"passed: {f.line}" for f in passed] + [f"near: {f.line}" for f in close]
    lines += [f"failed: {f.line}" for f in failed]
    return tuple(lines[:MAX_LINES])


def _missed(kept: Any) -> list[str]:
    rows = kept if isinstance(kept, list) else []
    return [
        f"{name} {float(value):.3g} ({comparison} {float(line):.3g})"
        for name, value, comparison, line in (row for row in rows if isinstance(row, list) and len(row) == 4)
        if isinstance(value, int | float) and isinstance(line, int | float)
    ]


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else math.nan
