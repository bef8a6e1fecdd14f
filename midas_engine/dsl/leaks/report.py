"""What an audit found, and how two runs are compared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[np.float64]

# Rounding of a different summation order is far below, any use of the future far above.
RELATIVE, ABSOLUTE = 1e-8, 1e-10


@dataclass(frozen=True, slots=True)
class Check:
    """One altered run against the untouched one.

    Attributes:
        name: What was done to the data, for people.
        compared: Values compared, all at bars before the cut.
        changed: How many of them moved.
        reach: Bars between the earliest value that moved and the cut.
        example: One value that moved, in words; empty when none did.
    """

    name: str
    compared: int
    changed: int = 0
    reach: int = 0
    example: str = ""


@dataclass(frozen=True, slots=True)
class AuditReport:
    """The verdict of an audit.

    Attributes:
        subject: The expression.
        verdict: "clean"; "leak": a value moved when only later bars did; "unproven": the data could not be altered.
        checks: The runs that were compared.
        warnings: Doubts that refuse nothing: mixed units, values that depend on where the history starts.
        reason: Why it is not clean; empty when it is.
    """

    subject: str
    verdict: str
    checks: tuple[Check, ...] = ()
    warnings: tuple[str, ...] = ()
    reason: str = ""

    @property
    def ok(self) -> bool:
        """Whether it may be scored: no leak was seen."""
        return self.verdict != "leak"

    def __str__(self) -> str:
        """Subject, verdict, then a line on every check and warning."""
        lines = [self.subject, "", f"{self.verdict}{': ' + self.reason if self.reason else ''}", ""]
        for check in self.checks:
            result = f"{check.changed:,} of {check.compared:,} values moved" if check.compared else "not comparable"
            lines.append(f"  {check.name:<58} {result}")
            if check.example:
                lines.append(f"    {check.example}")
        lines += [f"  warning: {text}" for text in self.warnings]
        return "\n".join(lines).rstrip()


def moved(before: Array, after: Array) -> npt.NDArray[np.bool_]:
    """Where two runs disagree: one is missing, or they differ by more than rounding."""
    with np.errstate(all="ignore"):
        same: npt.NDArray[np.bool_] = (before == after) | (np.isnan(before) & np.isnan(after))
        if same.all():
            return np.zeros(same.shape, bool)
        finite = np.abs(before[np.isfinite(before)])
        scale = float(np.median(finite)) if finite.size else 0.0
        limit = RELATIVE * np.maximum(np.abs(before), np.abs(after)) + ABSOLUTE * scale
        apart = np.abs(before - after)
        wrong: npt.NDArray[np.bool_] = ~(same | ((apart <= limit) & np.isfinite(apart)))
        return wrong


def compare(
    name: str, before: Array, after: Array, bars: npt.NDArray[np.int64], cut: int, labels: npt.NDArray[np.datetime64]
) -> Check:
    """A check from two aligned runs.

    Args:
        name: What was done.
        before: Values of the untouched run.
        after: Values of the altered run.
        bars: The bar of every value.
        cut: First bar that was altered.
        labels: Time of every value, for the example.
    """
    wrong = moved(before, after)
    changed = int(wrong.sum())
    if not changed:
        return Check(name, int(before.size))
    first = int(bars[wrong].min())
    at = int(np.flatnonzero(wrong)[-1])
    when = str(labels[at])[:16]
    return Check(
        name, int(before.size), changed, cut - first, f"at {when} it was {before[at]:.6g} and became {after[at]:.6g}"
    )


def leak_report(subject: str, checks: list[Check], warnings: tuple[str, ...] = ()) -> AuditReport:
    """The report on finished checks: any value that moved is a leak."""
    worst = [c for c in checks if c.changed]
    if not worst:
        return AuditReport(subject, "clean", tuple(checks), warnings)
    reach = max(c.reach for c in worst)
    plural = "s" if reach != 1 else ""
    reason = f"values move when only later bars do; it sees at least {reach} bar{plural} ahead"
    return AuditReport(subject, "leak", tuple(checks), warnings, reason)
