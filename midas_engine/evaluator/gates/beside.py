"""Whether a feature adds so much to candidates like it that their likeness says nothing against it."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from midas_engine.models import EvaluationResult, GateCheck

RULE = "a whole beside its waiting part: a tenth of it is left by a regression over the whole part"
"""What this gate does, in words: where it changes they change, and what it refused before is judged again."""

OWN_SHARE = 0.1
"""Of its evidence (t squared) that the others do not explain: a whole whose part is 0.95 like it has so much.

What is like a candidate beyond that is the same find. Among few symbols ranks also blur what they rank, so that any
second measure of it, noise on top of it too, adds a trace that grows with the evidence: up to one part in fifty.
"""


def apart(near: GateCheck, result: EvaluationResult, line: Mapping[str, Any], line_t: float) -> GateCheck:
    """The gate of the largest correlation, passed too where what it is like waits and its rest is proven; says so."""
    if near.passed or not proven_beside(result, line, line_t):
        return near
    words = f"{near.detail}, which nobody trades: what it does not explain has a t of {result.marginal_t:.1f}"
    return replace(near, passed=True, detail=words)


def proven_beside(result: EvaluationResult, line: Mapping[str, Any], line_t: float) -> bool:
    """Whether what the others do not explain passes by itself, and nothing that is traded is too much like it.

    A part of what is there is often found before the whole. The whole is like it, and stronger: refused for that, the
    weaker one would stand in its way for good, though nobody trades it. On the research part the rest of it has to
    pass the line that any feature has to, so that noise on top of a candidate passes no more often than noise alone;
    on the sealed part, where it comes as one that did, it has to pass what the gate asks of the rest. On both it has
    to be a share of the whole.
    """
    held = result.extra.get("held_correlation")
    if held is None:  # all of them are traded
        return False
    apart = math.isnan(held) or held <= line["max_correlation"]
    needed = max(line["min_marginal_t"], line_t if result.extra.get("part") == "research" else 0.0)
    needed = max(needed, math.sqrt(OWN_SHARE) * result.score_t)
    return bool(apart and result.marginal_ic.value > line["min_marginal_ic"] and result.marginal_t >= needed)
