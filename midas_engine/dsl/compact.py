"""Windows of a stream in two levels: the bars themselves, and the few suffixes that the next bars need.

A blocked operator keeps, beside the last n bars, a table of n + 1 suffixes for every sum: three to seven times the
bars themselves. Of a table the next bar needs one row. Here a stream keeps the bars and `spare` rows of each table.
When those are used up, the operator's own function writes the tables anew from the bars that are left of the block,
which are the very operations it did at the end of the block: the values are equal to the last bit.

The function works on a whole workspace; there is one for all operators of a stream, and only the rows that a bar
touches are copied into it and back.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from midas_engine.dsl.registry import State

if TYPE_CHECKING:
    from collections.abc import Sequence

    from midas_engine.dsl.registry import Array, Layout, Operator, Params

LEAST_WINDOW = 16
"""Bars of a window below which the whole workspace is kept: copying would cost more than it saves."""

_TURNED = 3  # the counter that says that a block has ended; kernels use the first two


def spare(n: int) -> int:
    """Rows of each table that are kept: writing them anew costs n bars every so many."""
    return max(4, math.ceil(n / 32))


def is_compact(operator: Operator, params: Params) -> bool:
    """Whether a compact stream keeps this operator's state in two levels."""
    return operator.layout is not None and int(params[0]) >= LEAST_WINDOW


def state_rows(operator: Operator, params: Params, *, compact: bool) -> int:
    """Rows of one value a symbol that an operator remembers in a stream; 0 for those that remember nothing."""
    if operator.state_rows is None:
        return 0
    if not compact or not is_compact(operator, params):
        return operator.state_rows(params)
    layout, n = operator.layout, int(params[0])
    assert layout is not None
    return layout.head + layout.rings * n + layout.tail + len(layout.empty) * spare(n)


class Desk:
    """The one workspace on which the compact operators of a stream work in turn."""

    def __init__(self, symbols: int) -> None:
        self._symbols = symbols
        self._cells = np.zeros(0)
        self.out = np.zeros((1, symbols))

    def rows(self, count: int) -> Array:
        """Its first `count` rows; what they hold is the last user's."""
        size = count * self._symbols
        if self._cells.size < size:
            self._cells = np.zeros(size)
        return self._cells[:size].reshape(count, self._symbols)


class CompactRun:
    """An operator's `run` over a state in two levels; takes the place of the plain one in a stream.

    Args:
        operator: A blocked operator with a layout.
        params: Its literals; the first is the window.
        desk: Where it works.
    """

    def __init__(self, operator: Operator, params: Params, desk: Desk) -> None:
        assert operator.layout is not None
        assert operator.run is not None
        self._run, self._desk, self._layout, self._n = operator.run, desk, operator.layout, int(params[0])
        self._spare = spare(self._n)
        self._empty = np.array(operator.layout.empty)[:, None]

    def new_state(self, symbols: int) -> State:
        """A fresh state: nothing was seen."""
        layout: Layout = self._layout
        rings = layout.head + layout.rings * self._n
        workspace = np.zeros((rings + layout.tail + len(layout.empty) * self._spare, symbols))
        if layout.whole:
            workspace[layout.head : rings] = np.nan
        self._kept(workspace)[:] = self._empty[:, None]
        return State(workspace, np.zeros(4, np.int64))

    def __call__(self, args: Sequence[Any], params: Params, need: int, state: State | None, out: Array) -> None:
        """As the operator's own `run`, bar by bar."""
        assert state is not None
        for t in range(len(out)):
            self._bar([arg[t : t + 1] for arg in args], params, need, state, out[t : t + 1])

    def _bar(self, args: Sequence[Any], params: Params, need: int, state: State, out: Array) -> None:
        layout, n, held, position = self._layout, self._n, state.workspace, state.counters
        head, rings, tail = layout.head, layout.head + layout.rings * n, layout.tail
        j = int(position[0])
        place, last = j % self._spare, j == n - 1
        if place == 0 and j and position[_TURNED]:
            self._write_anew(j, params, need, held)
        desk = self._desk.rows(layout.rows(n))
        tables, kept = self._tables(desk), self._kept(held)
        if last or layout.whole:
            desk[head:rings] = held[head:rings]
        desk[:head] = held[:head]
        desk[rings : rings + tail] = held[rings : rings + tail]
        tables[:, j + 1] = kept[:, place]
        self._run(args, params, need, State(desk, position), out)
        held[:head] = desk[:head]
        held[rings : rings + tail] = desk[rings : rings + tail]
        for row in range(head + j, rings, n):
            held[row] = desk[row]
        if last:
            kept[:] = tables[:, 1 : self._spare + 1]
            position[_TURNED] = 1

    def _write_anew(self, j: int, params: Params, need: int, held: Array) -> None:
        """Let the operator end the block before once more, from the bars of it that are still there: j and later."""
        layout, n = self._layout, self._n
        desk = self._desk.rows(layout.rows(n))
        tables = self._tables(desk)
        tables[:, n] = self._empty
        newest = []
        for ring in range(layout.rings):
            first = layout.head + ring * n
            desk[first + j : first + n] = held[first + j : first + n]
            newest.append(held[first + n - 1 : first + n] * layout.sign)
        self._run(newest, params, need, State(desk, np.array([n - 1, 1, 0, 0])), self._desk.out)
        rows = min(self._spare, n - j)
        self._kept(held)[:, :rows] = tables[:, j + 1 : j + 1 + rows]

    def _tables(self, desk: Array) -> Array:
        return self._last(desk, self._n + 1)

    def _kept(self, held: Array) -> Array:
        return self._last(held, self._spare)

    def _last(self, workspace: Array, rows: int) -> Array:
        """The tables at the end of a workspace, [tables, rows, S]."""
        count = len(self._layout.empty)
        return workspace[len(workspace) - count * rows :].reshape(count, rows, -1)
