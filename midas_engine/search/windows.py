"""Numeric search where the structure stands: a tree with one of its windows at another length."""

from __future__ import annotations

from typing import TYPE_CHECKING

from midas_engine.dsl.nodes import Call, Node, walk
from midas_engine.dsl.registry import OPERATORS, Kind
from midas_engine.search.grammar import WINDOWS
from midas_engine.search.variation import replaced

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

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


def stepped(node: Node, longest: int, factors: Sequence[float]) -> list[Node]:
    """`node` with each of its windows in turn shorter or longer by every factor.

    Example:
        >>> from midas_engine.dsl.expression import parse
        >>> from midas_engine.dsl.spelling import spelled
        >>> [spelled(n) for n in stepped(parse("ema(close, 24)").ast, 168, STEPS)]
        ['ema(close, 12)', 'ema(close, 48)']
    """
    places = range(len(windows_of(node)))
    return [n for place in places for n in _stepped_at(node, place, longest, factors)]


def turned(node: Node, longest: int, factors: Sequence[float]) -> list[Node]:
    """`node` with two of its windows at a time moved, each by every factor.

    Where two windows together say which bars are read the hill is a ridge across both: `delay(ts_corr(a, b, 33), 24)`
    reads nearly what a window of 23 at a delay of 34 does, and either step alone leads down from it.

    Example:
        >>> from midas_engine.dsl.expression import parse
        >>> from midas_engine.dsl.spelling import spelled
        >>> [spelled(n) for n in turned(parse("delay(ema(a, 20), 10)").ast, 168, (0.5, 2.0))][:2]
        ['delay(ema(a, 10), 5)', 'delay(ema(a, 40), 5)']
    """
    found: list[Node] = []
    for first in range(len(windows_of(node))):
        for changed in _stepped_at(node, first, longest, factors):
            for second in range(first + 1, len(windows_of(node))):
                found += _stepped_at(changed, second, longest, factors)
    return found


def _stepped_at(node: Node, place: int, longest: int, factors: Iterable[float]) -> list[Node]:
    call, index = windows_of(node)[place]
    now = int(call.params[index])
    moved = (min(longest, now + round(now * (f - 1.0)) or now + (1 if f > 1.0 else -1)) for f in factors)
    return _with(node, place, moved)


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
