"""A plan made ready for one panel: everything that can be decided before the numbers come is decided once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from midas_engine.dsl.lanes import pieces
from midas_engine.dsl.nodes import Number

if TYPE_CHECKING:
    from midas_engine.dsl.plan import Plan
    from midas_engine.dsl.registry import Operator, Params, Run


@dataclass(frozen=True, slots=True)
class Order:
    """One operator to run.

    Attributes:
        index: The step of the plan.
        key: The step's key, for the cache.
        operator: The operator.
        sources: Steps of the arguments.
        params: Literal parameters.
        need: Valid bars a window needs.
        run: The operator's batch form, or the form that both engines share.
        stateful: `run` wants a fresh state.
        cut: The history is laid out in pieces side by side.
        spread: Places of arguments that are literals and must be arrays.
        done: Steps that nobody needs after this one.
        worth_keeping: Computing it again would cost more than the fresh pages that a kept value takes from the
            pool: windows and cross-sections, and results, whose pages are the caller's anyway.
    """

    index: int
    key: str
    operator: Operator
    sources: tuple[int, ...]
    params: Params
    need: int
    run: Run
    stateful: bool
    cut: bool
    spread: tuple[int, ...]
    done: tuple[int, ...]
    worth_keeping: bool


def orders_of(plan: Plan, bars: int, symbols: int) -> tuple[Order, ...]:
    """The orders of a plan for a panel of bars x symbols, in the plan's order."""
    last: dict[int, int] = {}
    for i, step in enumerate(plan.steps):
        for source in step.sources:
            last[source] = i
    kept = set(plan.outputs)
    found = []
    for i, step in enumerate(plan.steps):
        operator = step.operator
        if operator is None:
            continue
        literal = [isinstance(plan.steps[s].leaf, Number) for s in step.sources]
        spread = not operator.scalars or all(literal)
        batch = operator.batch
        if batch is not None and operator.literals and int(step.params[0]) >= bars:
            batch = None
        run = batch or operator.run
        assert run is not None
        ended = {s for s in step.sources if last[s] == i and s not in kept and plan.steps[s].operator is not None}
        found.append(
            Order(
                i,
                step.key,
                operator,
                step.sources,
                step.params,
                step.need,
                run,
                batch is None and operator.state_rows is not None,
                operator.blocked and pieces(bars, symbols, int(step.params[0]))[1] > 1,
                tuple(k for k, is_literal in enumerate(literal) if is_literal) if spread else (),
                tuple(sorted(ended)),
                i in kept or operator.family == "cross_section" or (run is operator.run and bool(operator.state_rows)),
            )
        )
    return tuple(found)
