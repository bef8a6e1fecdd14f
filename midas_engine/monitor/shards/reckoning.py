"""What a watch will hold in memory, reckoned from the expressions alone, before a process is started.

Four things grow. The *windows*: what each node of the features' graph remembers, one number a symbol and row; a node
that several features use is held once (a shard). The *figures*: what the monitor keeps of every value, some sixty
numbers a feature and symbol. The bars that are kept. And what every feature and process costs, whatever it computes.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from midas_engine.dsl.compact import state_rows
from midas_engine.dsl.plan import build_plan
from midas_engine.errors import MonitorError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from midas_engine.dsl.expression import Expression
    from midas_engine.dsl.plan import Plan, Step

MB = 2**20
LANE_BYTES = 8 * 67
"""Of a value, one feature and symbol: 48 lags, 14 of score, book and input, and five copies of a bar on its way."""
FEATURE_BYTES, MANY_FEATURES_BYTES = 120_000, 90_000
"""Of a feature whatever the symbols: rings of its scores, its chart; of more than 1,000 features less is kept."""
PROCESS_BYTES = 250 * MB
"""Of a process before it holds a feature: the interpreter, numpy and the compiled kernels."""
LONG_BARS = 240
"""A window of more bars is a long one: it fits where it is shared."""
LONG_WINDOWS = 40
"""Distinct long windows that a watch in shards may have: they are reckoned as shared, not as each feature's own."""
_NAMED = 8  # features that a refusal names
_UNUSUAL = 4  # times the median: a feature that heavy is a cause


@dataclass(frozen=True, slots=True)
class FeatureWeight:
    """What one feature adds.

    Attributes:
        name: The feature.
        own: Bytes of windows that no other feature uses.
        bars: Bars of those windows.
        part: The largest of them, as an expression.
        part_bytes: Its bytes.
    """

    name: str
    own: int
    bars: int
    part: str
    part_bytes: int


@dataclass(frozen=True, slots=True)
class Reckoning:
    """What a watch holds.

    Attributes:
        symbols: How many symbols.
        weights: Each feature's own windows, in the features' order.
        windows: Bytes of all windows, a shared one counted once.
        long_windows: Distinct windows of more than 240 bars.
        compact: Windows are kept in two levels.
        steps: Bytes of each node's memory, in the order of `plan`.
        plan: The graph of all features.
        history: Bytes of the bars that are kept, and of their copy while a bar is added.
    """

    symbols: int
    weights: tuple[FeatureWeight, ...]
    windows: int
    long_windows: int
    compact: bool
    steps: tuple[int, ...]
    plan: Plan
    history: int = 0

    @property
    def figures(self) -> int:
        """Bytes that the monitor keeps of the values."""
        return len(self.weights) * self.each

    @property
    def each(self) -> int:
        """Bytes of the figures of one feature."""
        return self.symbols * LANE_BYTES + (FEATURE_BYTES if len(self.weights) <= 1000 else MANY_FEATURES_BYTES)

    def total(self, processes: int, windows: int | None = None) -> int:
        """Bytes of the whole watch over so many worker processes, 0: none; `windows` where nodes are held twice."""
        held = self.windows if windows is None else windows
        return held + self.figures + self.history + (1 + processes) * PROCESS_BYTES


def reckon(
    expressions: Mapping[str, Expression],
    symbols: int,
    *,
    min_share: float,
    compact: bool = True,
    history: int = 0,
) -> Reckoning:
    """Reckon what watching `expressions` on so many symbols, and keeping `history` bytes of bars, holds.

    Example:
        >>> from midas_engine.dsl import parse
        >>> found = reckon({"a": parse("ts_mean(close, 240)")}, 500, min_share=0.5)
        >>> round(found.windows / 2**20, 2), found.weights[0].bars
        (1.04, 240)
    """
    plan = build_plan([e.ast for e in expressions.values()], min_share)
    sizes = tuple(_bytes(step, symbols, compact) for step in plan.steps)
    users = [0] * len(plan.steps)
    reached = [steps_of(plan, i) for i in plan.outputs]
    for steps in reached:
        for i in steps:
            users[i] += 1
    weights = []
    for name, steps in zip(expressions, reached, strict=True):
        own = [i for i in steps if users[i] == 1 and sizes[i]]
        largest = max(own, key=lambda i: (sizes[i], -i), default=None)
        weights.append(
            FeatureWeight(
                name,
                sum(sizes[i] for i in own),
                sum(window_of(plan.steps[i]) for i in own),
                "" if largest is None else _told(plan.steps[largest]),
                0 if largest is None else sizes[largest],
            )
        )
    long = len(_long_steps(plan, sizes))
    return Reckoning(symbols, tuple(weights), sum(sizes), long, compact, sizes, plan, 2 * history)


def _long_steps(plan: Plan, sizes: Sequence[int]) -> list[int]:
    return [i for i, step in enumerate(plan.steps) if sizes[i] and window_of(step) > LONG_BARS]


def steps_of(plan: Plan, output: int) -> list[int]:
    """Every step that one output needs, ascending."""
    found: set[int] = set()
    waiting = [output]
    while waiting:
        i = waiting.pop()
        if i not in found:
            found.add(i)
            waiting.extend(plan.steps[i].sources)
    return sorted(found)


def window_of(step: Step) -> int:
    """Bars that a step remembers; 0 for one that remembers none, or only what fades."""
    operator = step.operator
    if operator is None or operator.state_rows is None or operator.recursive:
        return 0
    return int(step.params[0])


def _bytes(step: Step, symbols: int, compact: bool) -> int:
    return 0 if step.operator is None else 8 * symbols * state_rows(step.operator, step.params, compact=compact)


def _told(step: Step) -> str:
    assert step.operator is not None
    literals = ", ".join(f"{p:g}" for p in step.params)
    return f"{step.operator.name}(.., {literals})" if literals else f"{step.operator.name}(..)"


def refuse_too_large(found: Reckoning, processes: int, allowed_mb: int, windows: int | None = None) -> None:
    """Refuse a watch that does not fit, in megabytes, and say which features are the cause where some are.

    Raises:
        MonitorError: It does not fit.
    """
    wanted = found.total(processes, windows)
    if wanted <= allowed_mb * MB:
        return
    count, held = len(found.weights), (found.windows if windows is None else windows)
    message = (
        f"watching {count:,} features on {found.symbols:,} symbols holds {wanted / MB:,.0f} MB, more than the limit "
        f"monitor.memory_mb = {allowed_mb:,} (windows {held / MB:,.0f}, figures {found.figures / MB:,.0f}, "
        f"history {found.history / MB:,.0f}, processes {(1 + processes) * PROCESS_BYTES / MB:,.0f}); "
        "nothing was started"
    )
    raise MonitorError(message, hint=_cause(found, wanted, allowed_mb))


def refuse_long_windows(found: Reckoning) -> None:
    """Refuse a watch in shards with more distinct long windows than it may have; those that fewest features share.

    Raises:
        MonitorError: There are too many; names windows, features and megabytes.
    """
    if found.long_windows <= LONG_WINDOWS:
        return
    plan, users = found.plan, dict[int, list[str]]()
    for weight, output in zip(found.weights, plan.outputs, strict=True):
        for i in steps_of(plan, output):
            users.setdefault(i, []).append(weight.name)
    long = sorted(_long_steps(plan, found.steps), key=lambda i: (len(users[i]), -found.steps[i], i))
    count = len(found.weights)
    message = (
        f"watching {count:,} features on {found.symbols:,} symbols in shards takes {len(long):,} distinct windows of "
        f"more than {LONG_BARS} bars, {_mb(sum(found.steps[i] for i in long))} of them; at most {LONG_WINDOWS} may be "
        "distinct; nothing was started"
    )
    over = long[: len(long) - LONG_WINDOWS]
    named = "; ".join(
        f"{_told(plan.steps[i])} {_mb(found.steps[i])} of {users[i][0]}"
        + (f" and {len(users[i]) - 1:,} more" if len(users[i]) > 1 else "")
        for i in over[:_NAMED]
    )
    more = f"; and {len(over) - _NAMED:,} more" if len(over) > _NAMED else ""
    hint = f"least shared are {named}{more}; write them so that features share them, or take at most {LONG_BARS} bars"
    raise MonitorError(message, hint=hint)


def _cause(found: Reckoning, wanted: int, allowed_mb: int) -> str:
    """Which features to leave out, where a few are the cause; else how much would fit."""
    over, count = wanted - allowed_mb * MB, len(found.weights)
    each = found.each
    weights = sorted(found.weights, key=lambda w: -w.own)
    usual, heavy, freed = weights[count // 2].own, list[FeatureWeight](), 0
    for weight in weights[:_NAMED]:
        if freed >= over or (weight.own <= _UNUSUAL * usual and count > 1):
            break
        heavy.append(weight)
        freed += weight.own + each
    if heavy and 4 * freed >= over:
        named = "; ".join(
            f"{w.name} {_mb(w.own)} for {w.bars:,} bars of its own (of it {w.part} {_mb(w.part_bytes)})" for w in heavy
        )
        enough = "without them it fits: " if freed >= over else "the largest are "
        return f"{enough}{named}; shorten those windows, or write them so that features share them"
    if wanted - found.figures - found.windows >= allowed_mb * MB:
        return "processes and history alone hold that much: raise monitor.memory_mb, or take fewer monitor.shards"
    fixed = wanted - found.figures - max(found.windows, 1)
    fit = max(0, int((allowed_mb * MB - fixed) * count / (wanted - fixed)))
    long = f"{found.long_windows:,} distinct windows have more than {LONG_BARS} bars; " if found.long_windows else ""
    return (
        f"{long}no single feature is the cause: of these about {fit:,} fit, or all of them on about "
        f"{fit * found.symbols // count:,} symbols; shorten the windows, or raise monitor.memory_mb"
    )


def _mb(size: int) -> str:
    return f"{size / MB:,.0f} MB" if size >= 10 * MB else f"{size / MB:.1f} MB"


def allowed_memory(setting_mb: int) -> int:
    """Megabytes a watch may hold: the setting, or three quarters of what this machine, or its container, has."""
    if setting_mb:
        return setting_mb
    return max(512, machine_bytes() * 3 // 4 // MB)


def machine_bytes(limits: Sequence[Path] = (Path("/sys/fs/cgroup/memory.max"),)) -> int:
    """Memory of this machine, or of the container where that has less; 16 GB where nobody says."""
    known = 16 * 2**30
    with contextlib.suppress(ValueError, OSError, AttributeError):
        known = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for path in limits:
        with contextlib.suppress(OSError, ValueError):
            known = min(known, int(path.read_text(encoding="ascii").strip()))
    return known
