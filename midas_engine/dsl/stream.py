"""`StreamEngine`: the same features, one closed bar at a time."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

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
    ) -> None:
        self.symbols = tuple(symbols)
        self.columns = tuple(columns)
        self.limits = limits if limits is not None else DslLimits()
        self.bars = 0
        known, derived = self._with_derived()
        texts = {name: expr for name, expr in features.items() if isinstance(expr, str)}
        self.expressions: dict[str, Expression] = {}
        for name, expr in features.items():
            text = expr if isinstance(expr, str) else expr.text
            named = {**derived, **{k: v for k, v in texts.items() if k != name}}
            self.expressions[name] = (
                parse(text, columns=known, limits=self.limits, features=named)
                if isinstance(expr, str)
                else parse_again(expr, known, self.limits, derived)
            )
        self._plan = build_plan([e.ast for e in self.expressions.values()], self.limits.min_share, min_shares)
        if len(self.symbols) == 1:
            for expression in self.expressions.values():
                refuse_cross_section(expression, build_plan([expression.ast], self.limits.min_share))
        self._nodes = self._compile(self._plan)
        self._inputs = [(i, s.leaf.name) for i, s in enumerate(self._plan.steps) if isinstance(s.leaf, Column)]
        self._names = list(zip(self.expressions, self._plan.outputs, strict=True))

    def _with_derived(self) -> tuple[frozenset[str], dict[str, str]]:
        stored = frozenset(self.columns)
        return stored, {name: text for name, text in _DERIVED.items() if name not in stored}

    def _compile(self, plan: Plan) -> list[tuple[Any, ...]]:
        size = len(self.symbols)
        self._values: list[Any] = [None] * len(plan.steps)
        self._states: dict[int, State] = {}
        nodes = []
        for i, step in enumerate(plan.steps):
            if isinstance(step.leaf, Number):
                self._values[i] = step.leaf.value
                continue
            self._values[i] = np.full((1, size), np.nan)
            if step.operator is None:
                continue
            args = [self._values[s] for s in step.sources]
            if not step.operator.scalars or all(isinstance(a, float) for a in args):
                args = [np.full((1, size), a) if isinstance(a, float) else a for a in args]
            state = step.operator.new_state(step.params, size)
            if state is not None:
                self._states[i] = state
            # Buffers never move, so a bar is a plain run through this list.
            nodes.append((step.operator.run, args, step.params, step.need, state, self._values[i]))
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
        for t in range(bars):
            self.update({name: values[t] for name, values in columns.items()})

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

    def _identity(self) -> dict[str, Any]:
        return {
            "format": _FORMAT,
            "symbols": list(self.symbols),
            "nodes": [step.key for step in self._plan.steps],
        }


def parse_again(expr: Expression, columns: frozenset[str], limits: DslLimits, derived: Mapping[str, str]) -> Expression:
    """A checked expression as it is, unless it reads a column that must be derived here."""
    if set(expr.columns) <= columns:
        return expr
    return parse(expr.text, columns=columns, limits=limits, features=derived)
