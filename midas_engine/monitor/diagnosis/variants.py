"""What may mend a feature without a new idea: its living half, a slower form, the part that is its own, its mirror."""

from __future__ import annotations

from typing import TYPE_CHECKING

from midas_engine.dsl.expression import parse
from midas_engine.dsl.nodes import Call, walk
from midas_engine.errors import ExpressionError

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_VARIANTS = 8
_SLOW_BARS = (6, 24)
_VOLATILITY = "ts_rank(ts_std(returns(close, 1), 24), 168)"
# which side of its own past volatility a regime's label speaks of; a feature stands aside there
_ASIDE = {
    "HIGH_VOL": f"{_VOLATILITY} < 0.67",
    "LOW_VOL": f"{_VOLATILITY} > 0.33",
}


def legs(text: str) -> list[str]:
    """The expression with one of its sums reduced to one side: what remains when a leg has died.

    Example:
        >>> legs("cs_zscore(a - b) + cs_rank(c)")
        ['(cs_zscore(a - b))', '(cs_rank(c))', 'cs_zscore((a)) + cs_rank(c)', 'cs_zscore((-(b))) + cs_rank(c)']
    """
    found: list[str] = []
    for node in walk(parse(text).ast):
        if not isinstance(node, Call) or node.op not in ("add", "sub") or node.end <= node.position:
            continue
        first, second = (text[a.position : a.end] for a in node.args)
        if not first.strip() or not second.strip():
            continue
        sides = (f"({first})", f"({second})" if node.op == "add" else f"(-({second}))")
        found += [text[: node.position] + side + text[node.end :] for side in sides]
    return found


def variants(cause: str, text: str, *, regime: str = "", partner: str = "", against: bool = False) -> list[str]:
    """Forms worth a trial for a cause, at most eight, none twice and none equal to `text`.

    Args:
        cause: One of the six.
        text: The incumbent.
        regime: The regime that fails it.
        partner: Expression of the live feature it came to resemble.
        against: Its score since the break is significantly negative.
    """
    found: list[str] = []
    if cause == "cost":
        found += [f"ts_mean({text}, {n})" for n in _SLOW_BARS] + [f"ema({text}, 12)"]
    elif cause == "crowding" and partner:
        found += [f"cs_neutralize({text}, {partner})", f"cs_zscore({text}) - cs_zscore({partner})"]
    elif cause == "regime_shift":
        if regime in _ASIDE:
            found.append(f"if_else({_ASIDE[regime]}, {text}, 0)")
        found += _legs(text)
    elif cause == "true_decay":
        found += _legs(text)
        if against:
            found.append(f"-({text})")
        found += [f"ts_mean({text}, {n})" for n in _SLOW_BARS]
    return _distinct(text, found)[:MAX_VARIANTS]


def _legs(text: str) -> list[str]:
    try:
        return legs(text)[:4]
    except ExpressionError:
        return []


def _distinct(text: str, found: Iterable[str]) -> list[str]:
    """Those that parse, each feature once: two spellings of one are one trial."""
    kept: list[str] = []
    try:
        seen = {parse(text).hash}
    except ExpressionError:
        return []
    for candidate in found:
        try:
            mark = parse(candidate).hash
        except ExpressionError:
            continue
        if mark not in seen:
            seen.add(mark)
            kept.append(candidate)
    return kept
