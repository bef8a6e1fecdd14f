"""One finding about a knowledge base."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One finding.

    Attributes:
        path: What it is about, relative to the base.
        message: What is wrong.
        advice: What to do.
        severity: "error" (something cannot be used), "warning", or "note".
    """

    path: str
    message: str
    advice: str
    severity: str = "error"
