"""Changes of a tree: subtree mutation, crossover, another window, operator or column, a part taken out or put on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from midas_engine.dsl.nodes import Call, Column, Node, Number, walk
from midas_engine.dsl.registry import OPERATORS, Kind
from midas_engine.dsl.units import mixed_calls

if TYPE_CHECKING:
    from midas_engine.search.grammar import Grammar

MOST_OPERATORS = 6
"""A tree of more operators says little more, and its search space is not worth the line it costs."""

_MOST_MENDS = 3


def operators_in(node: Node) -> int:
    """How many operators a tree has.

    Example:
        >>> operators_in(Call("add", (Column("a"), Call("abs", (Column("b"),)))))
        2
    """
    return sum(isinstance(n, Call) for n in walk(node))


def mutated(node: Node, grammar: Grammar, fine: float = 0.3) -> Node:
    """One change of `node`; `fine` is the chance that only a window moves.

    Windows climb their own ladder by a factor of two, and by a quarter once that is settled: numeric search where the
    structure stands.
    """
    rng = grammar.rng
    windows = [n for n in walk(node) if isinstance(n, Call) and window_params(n)]
    if windows and rng.random() < fine:
        return with_window(node, windows[int(rng.integers(len(windows)))], grammar)
    calls = [n for n in walk(node) if isinstance(n, Call)]
    every = list(walk(node))
    target = every[int(rng.integers(len(every)))]
    call = calls[int(rng.integers(len(calls)))] if calls else None
    draw = rng.random()
    if draw < 0.25 and call is not None and len(call.args) <= 2:
        return replaced(node, call, grammar.swapped(call))
    if draw < 0.40:
        leaves = [n for n in every if isinstance(n, Column)]
        leaf = leaves[int(rng.integers(len(leaves)))]
        return replaced(node, leaf, Column(grammar.columns[int(rng.integers(len(grammar.columns)))]))
    if draw < 0.55:
        return replaced(node, target, grammar.atom())
    if draw < 0.70:
        return replaced(node, target, grammar.wrapped(target))
    if draw < 0.85:
        return replaced(node, target, grammar.joined(target, grammar.atom()))
    if call is not None:
        return replaced(node, call, call.args[int(rng.integers(len(call.args)))])
    return grammar.wrapped(node)


def crossed(first: Node, second: Node, grammar: Grammar) -> Node:
    """A part of `second` in the place of a part of `first`, or both under one operator."""
    rng = grammar.rng
    if rng.random() < 0.5:
        return grammar.joined(first, second)
    mine, theirs = list(walk(first)), list(walk(second))
    return replaced(first, mine[int(rng.integers(len(mine)))], theirs[int(rng.integers(len(theirs)))])


def typed(node: Node, grammar: Grammar) -> Node:
    """`node` without mixed units: what is added or compared across them is put on one scale first.

    Such a sum is what its larger part says. Dropped, it would take a step of the search with it.
    """
    for _ in range(_MOST_MENDS):
        mixed = mixed_calls(node)
        if not mixed:
            break
        call = mixed[0]
        scale = grammar.scale()
        first = 1 if OPERATORS[call.op].units == "branch" else 0
        args = tuple(
            a if i < first or isinstance(a, Number) else Call(scale.op, (a,), scale.params)
            for i, a in enumerate(call.args)
        )
        node = replaced(node, call, Call(call.op, args, call.params))
    return node


def with_window(node: Node, call: Call, grammar: Grammar) -> Node:
    """`node` with one window of `call` moved."""
    rng = grammar.rng
    places = window_params(call)
    place = places[int(rng.integers(len(places)))]
    low = int(max(1, OPERATORS[call.op].literals[place].low))
    factor = (0.5, 2.0, 0.75, 1.33, 0.25, 4.0)[int(rng.choice(6, p=(0.25, 0.25, 0.15, 0.15, 0.1, 0.1)))]
    now = int(call.params[place])
    moved = max(low, min(grammar.windows[-1], round(now * factor)))
    if moved == now:
        moved = max(low, min(grammar.windows[-1], now + (1 if factor > 1.0 else -1)))
    params = (*call.params[:place], moved, *call.params[place + 1 :])
    return replaced(node, call, Call(call.op, call.args, params))


def replaced(node: Node, old: Node, new: Node) -> Node:
    """`node` with the very object `old` exchanged for `new`, once."""
    done = False

    def visit(current: Node) -> Node:
        nonlocal done
        if current is old and not done:
            done = True
            return new
        if not isinstance(current, Call) or done:
            return current
        args = tuple(visit(a) for a in current.args)
        return current if args == current.args else Call(current.op, args, current.params)

    return visit(node)


def window_params(call: Call) -> list[int]:
    """Which of its parameters are windows."""
    return [i for i, p in enumerate(OPERATORS[call.op].literals) if p.kind is Kind.WINDOW]
