"""`StreamEngine`: the same features, one closed bar at a time."""

from __future__ import annotations

import hashlib
import io
import json
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import numpy.typing as npt

from midas_engine.dsl.compact import CompactRun, Desk, is_compact
from midas_engine.dsl.engine import refuse_cross_section
from midas_engine.dsl.expression import Expression, parse
from midas_engine.dsl.nodes import Column, Number
from midas_engine.dsl.operators.numeric import watching
from midas_engine.dsl.plan import Plan, build_plan
from midas_engine.errors import ExpressionError, UnknownNameError
from midas_engine.settings import DslLimits

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from midas_engine.dsl.registry import Array, State

# Columns a panel derives; a stream derives them from the same inputs in the same way.
_DERIVED = {"vwap": "quote_volume / volume", "returns": "returns(close, 1)"}
_FORMAT = 1
CHUNK_BARS = 64
"""Bars that a history is replayed by: enough for the kernels, few enough to hold all steps in flight."""


class StreamEngine:
    """A graph over all live features: equal parts exist once, each keeps the state its window needs.

    Every node runs the very function the batch engine runs, over one row and with a kept state, so the values
    are those of `FeatureEngine` on the whole history, bit for bit.

    Args:
        features: Expressions by name.
        columns: Columns every bar brings.
        symbols: The symbols, in the order of the arrays.
        limits: Size limits.
        min_shares: As for `FeatureEngine`.
        compact: Keep windows in two levels (see `compact`): about a third of the memory, the same values.
        named: Further expressions that the features may use by name.

    Example:
        >>> engine = StreamEngine({"gain": "delta(close, 1)"}, ["close"], ["BTCUSDT"])
        >>> _ = engine.update({"close": np.array([100.0])})
        >>> engine.update({"close": np.array([103.0])})["gain"].tolist()
        [3.0]
    """

    def __init__(
        self,
        features: Mapping[str, str | Expression],
        columns: Sequence[str],
        symbols: Sequence[str],
        *,
        limits: DslLimits | None = None,
        min_shares: Mapping[str, float] | None = None,
        compact: bool = False,
        named: Mapping[str, str] | None = None,
    ) -> None:
        self.symbols = tuple(symbols)
        self.columns = tuple(columns)
        self.limits = limits if limits is not None else DslLimits()
        self.bars = 0
        self.expressions = parsed(features, self.columns, self.limits, named)
        self._plan = build_plan([e.ast for e in self.expressions.values()], self.limits.min_share, min_shares)
        if len(self.symbols) == 1:
            for expression in self.expressions.values():
                refuse_cross_section(expression, build_plan([expression.ast], self.limits.min_share))
        self._nodes = self._compile(self._plan, Desk(len(self.symbols)) if compact else None)
        self._inputs = [(i, s.leaf.name) for i, s in enumerate(self._plan.steps) if isinstance(s.leaf, Column)]
        self._names = list(zip(self.expressions, self._plan.outputs, strict=True))

    def _compile(self, plan: Plan, desk: Desk | None) -> list[tuple[Any, ...]]:
        size = len(self.symbols)
        self._values: list[Any] = [None] * len(plan.steps)
        self._states: dict[int, State] = {}
        nodes = []
        waiting, free, literals = list(plan.uses), list[Any](), dict[str, Any]()
        for i, step in enumerate(plan.steps):
            if isinstance(step.leaf, Number):
                self._values[i] = step.leaf.value
                continue
            operator = step.operator
            self._values[i] = free.pop() if free and operator is not None else np.full((1, size), np.nan)
            if operator is None:
                continue
            args = [self._values[s] for s in step.sources]
            if not operator.scalars or all(isinstance(a, float) for a in args):
                args = [_spread(a, literals, (1, size)) if isinstance(a, float) else a for a in args]
            run: Any = operator.run
            if desk is not None and is_compact(operator, step.params):
                run = CompactRun(operator, step.params, desk)
                state: State | None = run.new_state(size)
            else:
                state = operator.new_state(step.params, size)
            if state is not None:
                self._states[i] = state
            # Buffers never move, so a bar is a plain run through this list; one whose value nobody needs any more
            # is the next step's.
            nodes.append((run, args, step.params, step.need, state, self._values[i]))
            for source in step.sources:
                waiting[source] -= 1
                if not waiting[source] and plan.steps[source].operator is not None:
                    free.append(self._values[source])
        return nodes

    @property
    def lookback(self) -> int:
        """Bars after which every feature is warm."""
        return max((e.lookback for e in self.expressions.values()), default=0)

    @property
    def node_count(self) -> int:
        """Nodes computed at every bar, after sharing."""
        return len(self._nodes)

    def update(self, bar_values: Mapping[str, npt.ArrayLike]) -> dict[str, Array]:
        """One closed bar.

        Args:
            bar_values: Column -> one value a symbol; NaN where a symbol did not trade. A bar missing
                altogether is an update with NaN everywhere: time must not be skipped.

        Returns:
            Feature -> one value a symbol, NaN where undefined, never infinite.

        Raises:
            UnknownNameError: A column that a feature needs is missing.
            ExpressionError: An array of the wrong length.
        """
        size = len(self.symbols)
        rows: list[tuple[Array, Array]] = []
        for i, name in self._inputs:
            if name not in bar_values:
                raise UnknownNameError(
                    f"the bar has no column {name!r}", hint="there are: " + ", ".join(sorted(bar_values))
                )
            row = np.asarray(bar_values[name], dtype=np.float64)
            if row.shape != (size,):
                raise ExpressionError(f"column {name!r} of the bar has shape {row.shape}, expected ({size},)")
            rows.append((self._values[i], row))
        with watching():
            for buffer, row in rows:
                buffer[0] = row
                # A sum of large values may overflow; then every value is looked at.
                if not np.isfinite(row.sum()):
                    buffer[np.isinf(buffer)] = np.nan
            for run, args, params, need, state, out in self._nodes:
                run(args, params, need, state, out)
        self.bars += 1
        values = self._values
        return {
            name: np.full(size, values[i]) if isinstance(values[i], float) else values[i][0].copy()
            for name, i in self._names
        }

    def warm(self, history: Mapping[str, npt.ArrayLike], bars: int) -> None:
        """Replay a history of [bars, S] arrays; the same as `update` for every row."""
        columns = {name: np.asarray(history[name], dtype=np.float64) for _, name in self._inputs}
        for first in range(0, bars, CHUNK_BARS):
            self.advance({name: values[first : min(first + CHUNK_BARS, bars)] for name, values in columns.items()})

    def advance(self, columns: Mapping[str, npt.ArrayLike], out: Array | None = None) -> None:
        """Several closed bars in one go: `update` for every row, to the last bit, step by step instead of bar by bar.

        Args:
            columns: Column -> [bars, S]; holds as many rows of every step in flight, so give it tens of bars.
            out: [bars, F, S], where the features' values are wanted.
        """
        rows = {name: np.array(columns[name], dtype=np.float64) for _, name in self._inputs}
        bars = max((len(np.asarray(column)) for column in columns.values()), default=0)
        plan, waiting, size = self._plan, list(self._plan.uses), len(self.symbols)
        values: list[Any] = [None] * len(plan.steps)
        runs = iter(self._nodes)
        places: dict[int, list[int]] = {}
        for place, i in enumerate(plan.outputs):
            places.setdefault(i, []).append(place)
        with watching():
            for i, step in enumerate(plan.steps):
                if isinstance(step.leaf, Number):
                    values[i] = step.leaf.value
                elif step.operator is None:
                    assert step.leaf is not None
                    values[i] = rows[step.leaf.name]
                    values[i][np.isinf(values[i])] = np.nan
                else:
                    args = [values[s] for s in step.sources]
                    if not step.operator.scalars or all(isinstance(a, float) for a in args):
                        args = [np.full((bars, size), a) if isinstance(a, float) else a for a in args]
                    run, _, params, need, state, _ = next(runs)
                    values[i] = np.empty((bars, size))
                    run(args, params, need, state, values[i])
                for place in places.get(i, ()):
                    if out is not None:
                        out[:, place] = values[i]
                for source in (*step.sources, *([i] * len(places.get(i, ())))):
                    waiting[source] -= 1
                    if not waiting[source]:
                        values[source] = None
        self.bars += bars

    # -- state ---------------------------------------------------------------------------------

    def state(self) -> bytes:
        """Everything remembered, as npz bytes without pickle; restoring it changes nothing."""
        arrays: dict[str, Any] = {}
        for i, state in self._states.items():
            arrays[f"w{i}"] = state.workspace
            arrays[f"c{i}"] = state.counters
        arrays["meta"] = np.frombuffer(json.dumps(self._identity() | {"bars": self.bars}).encode(), dtype=np.uint8)
        stream = io.BytesIO()
        np.savez_compressed(stream, **arrays)
        return stream.getvalue()

    def restore(self, blob: bytes) -> None:
        """Take up a state saved by an engine with the same features, columns and symbols.

        Raises:
            ExpressionError: The bytes are damaged or belong to another engine; this engine is unchanged.
        """
        try:
            with np.load(io.BytesIO(blob), allow_pickle=False) as archive:
                meta = json.loads(archive["meta"].tobytes())
                loaded = {i: (archive[f"w{i}"], archive[f"c{i}"]) for i in self._states}
        except Exception as error:
            raise ExpressionError(
                f"the saved stream state cannot be read: {error}", hint="start without it and warm up from history"
            ) from error
        bars = meta.pop("bars", None) if isinstance(meta, dict) else None
        fits = all(
            w.shape == s.workspace.shape
            and c.shape == s.counters.shape
            and w.dtype == np.float64
            and c.dtype == np.int64
            for (w, c), s in zip(loaded.values(), self._states.values(), strict=True)
        )
        if meta != self._identity() or not isinstance(bars, int) or not fits:
            raise ExpressionError(
                "the saved stream state belongs to other features, columns or symbols",
                hint="start without it and warm up from history",
            )
        for i, state in self._states.items():
            state.workspace[:], state.counters[:] = loaded[i]
        self.bars = bars

    def write(self, file: BinaryIO) -> None:
        """`state` as raw bytes, one node after another: for gigabytes, between processes of one Midas."""
        told = self._identity()
        key = hashlib.sha256(json.dumps(told).encode()).hexdigest()
        file.write(json.dumps({"key": key, "bars": self.bars}).encode() + b"\n")
        for state in self._states.values():
            file.write(state.counters.data)
            file.write(state.workspace.data)

    def read(self, file: BinaryIO) -> None:
        """Take up what `write` wrote; ExpressionError where it is another engine's, or cut short: start anew then."""
        header = json.loads(file.readline() or b"{}")
        key = hashlib.sha256(json.dumps(self._identity()).encode()).hexdigest()
        whole = header.get("key") == key
        for state in self._states.values() if whole else ():
            for array in (state.counters, state.workspace):
                view = memoryview(array.data).cast("B")
                whole = whole and file.readinto(view) == len(view)  # type: ignore[attr-defined]
        if not whole:
            raise ExpressionError("the written stream state is another's, or cut short")
        self.bars = int(header["bars"])

    def _identity(self) -> dict[str, Any]:
        return {
            "format": _FORMAT,
            "symbols": list(self.symbols),
            "nodes": [step.key for step in self._plan.steps],
        }


def parsed(
    features: Mapping[str, str | Expression],
    columns: Sequence[str],
    limits: DslLimits,
    named: Mapping[str, str] | None = None,
) -> dict[str, Expression]:
    """The features as a stream takes them: each may use the others by name, and columns that a panel derives."""
    known = frozenset(columns)
    derived = {name: text for name, text in _DERIVED.items() if name not in known}
    texts = {**derived, **(named or {}), **{name: expr for name, expr in features.items() if isinstance(expr, str)}}
    found: dict[str, Expression] = {}
    for name, expr in features.items():
        text = expr if isinstance(expr, str) else expr.text
        if not isinstance(expr, str):
            found[name] = parse_again(expr, known, limits, derived)
            continue
        # A name is not its own: inside a feature it is a column that is derived, or nobody.
        own = texts.pop(name)
        if name in derived:
            texts[name] = derived[name]
        try:
            found[name] = parse(text, columns=known, limits=limits, features=texts)
        finally:
            texts[name] = own
    return found


def _spread(number: float, known: dict[str, Array], shape: tuple[int, int]) -> Array:
    """A literal as an array, one for all that use it."""
    key = repr(number)  # -0.0 is another
    if key not in known:
        known[key] = np.full(shape, number)
    return known[key]


def parse_again(expr: Expression, columns: frozenset[str], limits: DslLimits, derived: Mapping[str, str]) -> Expression:
    """A checked expression as it is, unless it reads a column that must be derived here."""
    if set(expr.columns) <= columns:
        return expr
    return parse(expr.text, columns=columns, limits=limits, features=derived)
