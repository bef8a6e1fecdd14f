"""Which feature goes to which process: those that share windows together, the windows' bytes as even as that allows."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from midas_engine.errors import SettingsError
from midas_engine.monitor.shards.reckoning import steps_of
from midas_engine.setting_ranges import COUNTS

if TYPE_CHECKING:
    from midas_engine.monitor.shards.reckoning import Reckoning

AUTO = "auto"
LARGE_LANES = 500_000
"""Values a bar (features x symbols) from which `auto` takes processes: below, one does a bar in well under a second."""
_, _LEAST, _MOST = COUNTS["monitor.shards"]
_SLACK = 1.1  # of an even share: how much fuller a shard may be for the sake of what is shared
_SHARED = 0.9  # of a feature's cost: what must be new at most where it shares
_NODE_COST = 4096  # bytes: nodes without memory take time too


@dataclass(frozen=True, slots=True)
class ShardPlan:
    """The features of every shard.

    Attributes:
        rows: For each shard the places of its features in the order of all, ascending; none is empty.
        windows: Bytes of windows in each shard; what two shards share is in both.
    """

    rows: tuple[tuple[int, ...], ...]
    windows: tuple[int, ...]


def shards_of(setting: str, features: int, symbols: int) -> int:
    """How many worker processes the setting means for such a watch; 0: none, all of it in this process.

    Raises:
        SettingsError: The setting is neither "auto" nor a number of shards.

    Example:
        >>> shards_of("4", 100, 20), shards_of("1", 10_000, 500), shards_of("auto", 100, 20)
        (4, 0, 0)
    """
    if setting == AUTO:
        if features * symbols < LARGE_LANES:
            return 0
        count = min(os.cpu_count() or 1, _MOST)
    else:
        count = int(setting) if setting.isascii() and setting.isdigit() and len(setting) < 4 else 0
        if not _LEAST <= count <= _MOST:
            raise SettingsError(
                f"monitor.shards = {setting!r} is no number of shards", hint=f'"auto", or {_LEAST} to {_MOST}'
            )
    count = min(count, features)
    return 0 if count <= 1 else count


def cut(found: Reckoning, shards: int) -> ShardPlan:
    """Cut the features into at most `shards` parts; the same features give the same cut."""
    plan = found.plan
    cost = [size + (_NODE_COST if step.operator else 0) for size, step in zip(found.steps, plan.steps, strict=True)]
    needs = [steps_of(plan, i) for i in plan.outputs]
    room = _SLACK * sum(cost) / shards
    held: list[set[int]] = [set() for _ in range(shards)]
    loads, rows = [0] * shards, [list[int]() for _ in range(shards)]
    # the heaviest first, so that the light ones even out what those leave
    order = sorted(range(len(needs)), key=lambda k: (-sum(cost[i] for i in needs[k]), k))
    for k in order:
        new = [sum(cost[i] for i in needs[k] if i not in has) for has in held]
        fitting = [s for s in range(shards) if loads[s] + new[s] <= room]
        # a node or two that are shared by chance are no reason to fill one before the others
        shared = bool(fitting) and min(new[s] for s in fitting) <= _SHARED * max(new)
        best = min(fitting or range(shards), key=lambda s: (new[s] if shared else 0, loads[s], s))
        loads[best] += new[best]
        held[best].update(needs[k])
        rows[best].append(k)
    windows = [sum(found.steps[i] for i in has) for has in held]
    kept = [s for s in range(shards) if rows[s]]
    return ShardPlan(tuple(tuple(sorted(rows[s])) for s in kept), tuple(windows[s] for s in kept))
