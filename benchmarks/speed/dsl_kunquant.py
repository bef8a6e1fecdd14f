"""KunQuant as a peer: one compiled module an expression, in the mode that survives missing values.

Its windows need every bar, so only cells that are valid in both are compared. Demeaning and z-scores across symbols
are not in its language: their argument is compiled, the last step is bottleneck's.
"""

# ruff: noqa: D102 - the methods are named after the operators they compute

from __future__ import annotations

from typing import Any

import KunQuant.ops as kun
import numpy as np
from dsl_peers import Bottleneck
from KunQuant.Driver import KunCompilerConfig
from KunQuant.jit import cfake
from KunQuant.Op import Builder, ConstantOp, Input, Output, Rank
from KunQuant.runner import KunRunner
from KunQuant.Stage import Function

from midas_engine.dsl.nodes import Call, Number, to_text
from midas_engine.dsl.parser import expanded
from midas_engine.dsl.registry import OPERATORS

_BY_NUMPY = ("cs_zscore", "cs_demean")
_BINARY = {"add": kun.Add, "sub": kun.Sub, "mul": kun.Mul, "div": kun.Div, "max": kun.Max, "min": kun.Min}
_UNARY = {"log": kun.Log, "abs": kun.Abs, "sign": kun.Sign}
_WINDOW = {
    "ts_mean": kun.WindowedAvg, "ts_sum": kun.WindowedSum, "ts_std": kun.WindowedStddev, "ts_max": kun.WindowedMax,
    "ts_min": kun.WindowedMin, "delay": kun.BackRef,
}  # fmt: skip


class KunQuant(Bottleneck):
    """Modules compiled before anything is timed; a run is one call into the library."""

    name = "kunquant"
    overlap_only = True

    def prepare(self, trees: list[Any]) -> None:
        config = KunCompilerConfig(
            partition_factor=8, dtype="double", blocking_len=8, input_layout="TS", output_layout="TS",
            allow_unaligned=True, options={"no_fast_stat": True},
        )  # fmt: skip
        self.inner = {}
        parts = []
        for i, tree in enumerate(trees):
            node = expanded(tree)
            while isinstance(node, Call) and node.op in (*_BY_NUMPY, "neg"):
                node = node.args[0]
            name = f"f{i}"
            self.inner[to_text(node)] = (name, _columns(node))
            parts.append((name, _function(node), config))
        self.library = cfake.compileit(parts, "peer", cfake.CppCompilerConfig())
        self.executor = KunRunner.createSingleThreadExecutor()

    def run(self, tree: Any) -> Any:
        node = expanded(tree)
        return self._outer(node)

    def _outer(self, node: Any) -> Any:
        known = self.inner.get(to_text(node))
        if known is None:
            with np.errstate(all="ignore"):
                return getattr(self, "op_" + node.op)(self._outer(node.args[0]))
        name, columns = known
        inputs = {column: self.data[column] for column in columns}
        rows = next(iter(inputs.values())).shape[0]
        return KunRunner.runGraph(self.executor, self.library.getModule(name), inputs, 0, rows)["out"]


def _columns(node: Any) -> list[str]:
    if isinstance(node, Number):
        return []
    if not isinstance(node, Call):
        return [node.name]
    return sorted({c for a in node.args for c in _columns(a)})


def _function(node: Any) -> Any:
    builder = Builder()
    with builder:
        inputs = {name: Input(name) for name in _columns(node)}
        Output(_build(node, inputs, {}), "out")
    return Function(builder.ops)


def _build(node: Any, inputs: dict[str, Any], memo: dict[str, Any]) -> Any:
    if isinstance(node, Number):
        return ConstantOp(node.value)
    if not isinstance(node, Call):
        return inputs[node.name]
    key = to_text(node)
    if key not in memo:
        args = [_build(a, inputs, memo) for a in node.args]
        memo[key] = _operator(node, args)
    return memo[key]


def _operator(node: Any, args: list[Any]) -> Any:
    op, n = node.op, int(node.params[0]) if node.params else 0
    if op in _BINARY:
        return _BINARY[op](*args)
    if op in _UNARY:
        return _UNARY[op](args[0])
    if op in _WINDOW:
        return _WINDOW[op](args[0], n)
    if op == "neg":
        return kun.Mul(args[0], ConstantOp(-1.0))
    if op == "delta":
        return kun.Sub(args[0], kun.BackRef(args[0], n))
    if op == "ts_zscore":
        return kun.Div(kun.Sub(args[0], kun.WindowedAvg(args[0], n)), kun.WindowedStddev(args[0], n))
    if op == "ts_rank":
        return kun.Div(kun.TsRank(args[0], n), ConstantOp(float(n)))
    if op == "ts_corr":
        return kun.WindowedCorrelation(args[0], n, args[1])
    if op == "ema":
        return kun.ExpMovingAvg(args[0], n)
    if op == "gt":
        return kun.GreaterThan(*args)
    if op == "if_else":
        return kun.Select(*args)
    if op == "cs_rank":
        return Rank(args[0])
    raise NotImplementedError(f"{op} of {len(OPERATORS)} operators has no counterpart")
