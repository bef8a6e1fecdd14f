"""What a trial was judged beside, and whether a refusal for its likeness alone still stands."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from midas_engine.dsl.expression import canonical
from midas_engine.errors import ExpressionError
from midas_engine.evaluator.gates.beside import RULE
from midas_engine.journal.transcript import text_hash

if TYPE_CHECKING:
    from collections.abc import Mapping

LIKENESS = ("diversification",)
"""The agents that failed a trial against which nothing speaks but what it was judged beside."""


@dataclass(frozen=True, slots=True)
class Beside:
    """The features that a trial is judged beside: names and expressions.

    Attributes:
        traded: The live book.
        waiting: Candidates, features in shadow, and what the session found.
    """

    traded: Mapping[str, str]
    waiting: Mapping[str, str]

    def kept(self, nearest: str) -> dict[str, Any]:
        """What a refusal for likeness alone rests on, as the ledger keeps it.

        Args:
            nearest: The name of what it is most like.
        """
        near = self.waiting.get(nearest) or self.traded.get(nearest)
        return {
            "rule": RULE,
            "near": _mark(near) if near else "",
            "traded": sorted(map(_mark, self.traded.values())),
            "waiting": sorted(map(_mark, self.waiting.values())),
        }

    def refuses(self, summary: Mapping[str, Any]) -> bool:
        """Whether a trial that was refused for its likeness alone would be refused beside these too.

        It is not known where the gate did otherwise then, or where something is gone or no longer traded: what the
        others explain of a trial is a matter of all of them. One that is too close to a traded feature is refused for
        that feature alone.

        Args:
            summary: Of the trial.
        """
        kept = summary.get("beside")
        if not isinstance(kept, dict) or kept.get("rule") != RULE:
            return False
        traded = set(map(_mark, self.traded.values()))
        close = any(row[:1] == ["max_correlation"] for row in summary.get("missed") or ())
        if close and kept["near"] in traded and kept["near"] in kept["traded"]:
            return True
        return traded >= set(kept["traded"]) and traded | set(map(_mark, self.waiting.values())) >= set(kept["waiting"])


@lru_cache(maxsize=8192)
def _mark(expression: str) -> str:
    """A feature by what it computes: another name for it, or its next version, is as like."""
    try:
        return text_hash(canonical(expression))[:8]
    except ExpressionError:  # built on another feature, or of another version of the program
        return text_hash(expression)[:8]
