"""Numeric search where the structure stands: a tree with one of its windows at another length."""

from __future__ import annotations

from typing import TYPE_CHECKING

from midas_engine.dsl.nodes import Call, Node, walk
from midas_engine.dsl.registry import OPERATORS, Kind
from midas_engine.search.grammar import WINDOWS
from midas_engine.search.variation import replaced

if TYPE_CHECKING:
    from collections.abc import Iterable

_NEAR = (0.67, 1.5)
STEPS = (0.5, 2.0)
"""Windows of a factor of two still share enough to show which way is up."""
FINE = (0.71, 1.41)


def window_places(node: Node) -> int:
    """How many windows a tree has.

    Example:
        >>> from midas_engine.dsl.expression import parse
        >>> window_places(parse("ts_corr(ema(close, 5), volume, 24)").ast)
        2
    """
    return len(windows_of(node))


def ladder(node: Node, place: int, longest: int) -> list[Node]:
    """`node` with its window number `place` on every second step of the ladder up to `longest`."""
    return _with(node, place, (w for w in WINDOWS[1::2] if w <= longest))


def neighbours(node: Node, place: int, longest: int) -> list[Node]:
    """`node` with its window number `place` a third shorter and half as long again."""
    call, index = windows_of(node)[place]
    return _with(node, place, (min(longest, round(int(call.params[index]) * factor)) for factor in _NEAR))


def stepped(node: Node, longest: int, factors: Iterable[float]) -> list[Node]:
    """`node` with each of its windows in turn shorter or longer by every factor.

    Example:
        >>> from midas_engine.dsl.expression import parse
        >>> from midas_engine.dsl.spelling import spelled
        >>> [spelled(n) for n in stepped(parse("ema(close, 24)").ast, 168, STEPS)]
        ['ema(close, 12)', 'ema(close, 48)']
    """
    found: list[Node] = []
    for place, (call, index) in enumerate(windows_of(node)):
        now = int(call.params[index])
        moved = (min(longest, now + round(now * (f - 1.0)) or now + (1 if f > 1.0 else -1)) for f in factors)
        found += _with(node, place, moved)
    return found


def _with(node: Node, place: int, windows: Iterable[int]) -> list[Node]:
    call, index = windows_of(node)[place]
    low = max(1, int(OPERATORS[call.op].literals[index].low))
    found = []
    for window in dict.fromkeys(max(low, w) for w in windows):
        if window != call.params[index]:
            params = (*call.params[:index], window, *call.params[index + 1 :])
            found.append(replaced(node, call, Call(call.op, call.args, params)))
    return found


def windows_of(node: Node) -> list[tuple[Call, int]]:
    """Every window: its call, and which of its parameters it is."""
    calls = [n for n in walk(node) if isinstance(n, Call)]
    return [(c, i) for c in calls for i, p in enumerate(OPERATORS[c.op].literals) if p.kind is Kind.WINDOW]
