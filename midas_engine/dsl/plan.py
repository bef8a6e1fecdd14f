"""From trees to an ordered list of steps: equal parts interned to one step, uses counted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from midas_engine.dsl.nodes import Call, Column, Node, Number
from midas_engine.dsl.parser import expanded
from midas_engine.dsl.registry import OPERATORS, Operator, Params

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True, slots=True)
class Step:
    """One node to compute.

    Attributes:
        key: Text that identifies the computation to the last bit; the cache's key.
        leaf: The literal or column, for leaves.
        operator: The operator, for the rest.
        sources: Indices of the argument steps.
        params: Literal parameters.
        need: Valid bars a window needs.
    """

    key: str
    leaf: Number | Column | None
    operator: Operator | None
    sources: tuple[int, ...]
    params: Params
    need: int


@dataclass(frozen=True, slots=True)
class Plan:
    """Steps in an order that computes arguments first.

    Attributes:
        steps: The steps.
        outputs: The step of each asked expression.
        uses: How often each step is an argument or an output.
    """

    steps: tuple[Step, ...]
    outputs: tuple[int, ...]
    uses: tuple[int, ...]


def build_plan(trees: Sequence[Node], min_share: float, min_shares: Mapping[str, float] | None = None) -> Plan:
    """The plan of several trees."""
    return _Planner(min_share, min_shares or {}).plan(trees)


def peak_bytes(plan: Plan, bars: int, symbols: int) -> int:
    """Memory that running a plan holds at once: values still needed, literals spread out, the state of a window."""
    waiting = list(plan.uses)
    cell, live, peak = 8 * bars * symbols, 0, 0
    for step in plan.steps:
        if step.operator is None:
            continue
        live += 1
        spread = sum(isinstance(plan.steps[s].leaf, Number) for s in step.sources)
        rows = step.operator.state_rows(step.params) if step.operator.state_rows is not None else 0
        peak = max(peak, (live + spread) * cell + 8 * rows * symbols)
        for source in step.sources:
            waiting[source] -= 1
            live -= not waiting[source] and plan.steps[source].operator is not None
    return peak


class _Planner:
    def __init__(self, min_share: float, min_shares: Mapping[str, float]) -> None:
        self.min_share = min_share
        self.min_shares = min_shares
        self.steps: list[Step] = []
        self.index: dict[Any, int] = {}
        self.seen: dict[int, int] = {}

    def plan(self, trees: Sequence[Node]) -> Plan:
        whole = [expanded(tree) for tree in trees]
        outputs = tuple(self.visit(tree) for tree in whole)
        uses = [0] * len(self.steps)
        for step in self.steps:
            for source in step.sources:
                uses[source] += 1
        for i in outputs:
            uses[i] += 1
        return Plan(tuple(self.steps), outputs, tuple(uses))

    def visit(self, node: Node) -> int:
        if isinstance(node, Call):
            if id(node) not in self.seen:
                self.seen[id(node)] = self.call(node)
            return self.seen[id(node)]
        identity = ("n", node.value) if isinstance(node, Number) else ("c", node.name)
        if identity not in self.index:
            text = repr(node.value) if isinstance(node, Number) else node.name
            self.index[identity] = self.add(Step(text, node, None, (), (), 0))
        return self.index[identity]

    def call(self, node: Call) -> int:
        operator = OPERATORS[node.op]
        sources = tuple(self.visit(a) for a in node.args)
        if operator.state_rows is None and operator.family != "cross_section":
            constants = [leaf.value for s in sources if isinstance(leaf := self.steps[s].leaf, Number)]
            if len(constants) == len(sources):
                return self.visit(Number(_fold(operator, constants, node.params)))
        swappable = operator.commutative and operator.state_rows is None
        if swappable and sources[0] > sources[1]:
            # Exact: these give the same bits either way. Rolling pairs do not, so they are left as written.
            sources = (sources[1], sources[0])
        need = operator.need(node.params, self.min_shares.get(node.op, self.min_share))
        identity = (node.op, sources, node.params, need)
        if identity not in self.index:
            parts = [self.steps[s].key for s in sources]
            if swappable:
                parts.sort()
            literals = [repr(p) for p in node.params] + ([f"need={need}"] if need else [])
            key = f"{node.op}({','.join(parts + literals)})"
            self.index[identity] = self.add(Step(key, None, operator, sources, node.params, need))
        return self.index[identity]

    def add(self, step: Step) -> int:
        self.steps.append(step)
        return len(self.steps) - 1


def _fold(operator: Operator, constants: list[float], params: Params) -> float:
    """An operator on literals, computed by the operator itself; NaN where it is undefined."""
    out = np.empty((1, 1))
    assert operator.run is not None
    operator.run([np.full((1, 1), c) for c in constants], params, 0, None, out)
    return float(out[0, 0])
