"""Promotion along a stream of looks: what lifetimes promote when every look, won or lost, moves the next one's line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from midas_engine.stats.graduation import look_line
from midas_engine.stats.online_fdr import LordPlusPlus

if TYPE_CHECKING:
    from collections.abc import Sequence

SESSIONS = 20
"""Sessions of a lifetime, each with one feature to find."""

MISSES = 5
"""Lost looks after which a single look is counted too."""

_LIFETIMES = 400


def stream_share(p_values: Sequence[float], noise_looks: float, lifetimes: int = _LIFETIMES) -> float:
    """Share of features that lifetimes promote, features drawn anew in every session; NaN without features.

    Args:
        p_values: Of every feature the p of its sealed look; NaN where research refused it, which makes no look.
        noise_looks: Looks that noise takes a session, all lost; at most one is made.
        lifetimes: How many are averaged.

    Example:
        >>> round(stream_share([0.0, float("nan")], 0.0), 1)
        0.5
    """
    if not len(p_values):
        return float("nan")
    values = np.asarray(p_values, dtype=float)
    rng = np.random.default_rng(20_261_128)
    promoted = 0
    for _ in range(lifetimes):
        stream = LordPlusPlus()
        for p in values[rng.integers(0, len(values), SESSIONS)]:
            stream.tests += bool(rng.random() < noise_looks)
            if p != p:
                continue
            held = p <= look_line(stream.level())
            stream.tests += 1
            if held:
                stream.discoveries.append(stream.tests)
                promoted += 1
    return promoted / (lifetimes * SESSIONS)


def share_after(p_values: Sequence[float], misses: int = MISSES) -> int:
    """How many features hold at their look when so many looks were lost before and none was won."""
    line = look_line(LordPlusPlus(tests=misses).level())
    return sum(p <= line for p in p_values)
