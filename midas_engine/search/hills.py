"""Every hill climbed by its windows, the highest first, from where it hardly shows.

Windows at twice or half of those that are there leave a half to a fifth of a signal: a |t| that one tree of noise in
a hundred has. To ask what lies beside those costs a fraction of asking every window of every structure.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

from midas_engine.dsl.nodes import Call, Column, Node, walk
from midas_engine.search.sweep import CHANGES, MEANS
from midas_engine.search.variation import replaced
from midas_engine.search.windows import FINE, STEPS, stepped, turned

if TYPE_CHECKING:
    from collections.abc import Mapping

BETTER = 1.05
"""A step up is so much stronger than where it began: less is the same hill, whose steps were asked."""
SHOWS = 4.0
"""A |t| from which steps are fine and of two windows at a time, and twins of columns and operators are asked: below it
they only follow noise."""


class Hills:
    """Steps that are still to be taken, the strongest origin first.

    Args:
        longest: Longest window in bars.
        kin: Of each column the first one that moves as it does.

    Example:
        >>> from midas_engine.dsl.expression import parse
        >>> from midas_engine.dsl.spelling import spelled
        >>> hills = Hills(168, {"open": "open", "close": "open"})
        >>> hills.climb(parse("ema(close, 24)").ast, 3.0, 0.0)
        >>> [spelled(hills.step()[0]) for _ in range(len(hills))]
        ['ema(close, 12)', 'ema(close, 48)']
    """

    def __init__(self, longest: int, kin: Mapping[str, str]) -> None:
        self._longest, self._kin = longest, kin
        self._steps: list[tuple[float, int, Node]] = []
        self._count = 0

    def __len__(self) -> int:
        return len(self._steps)

    def climb(self, node: Node, strength: float, origin: float) -> None:
        """Queue the steps from a tree of that strength, if it is better than the one whose step it was (0: none)."""
        if strength < BETTER * origin:
            return
        factors = (*STEPS, *FINE) if strength >= SHOWS else STEPS
        found = stepped(node, self._longest, factors)
        if strength >= SHOWS:
            found += turned(node, self._longest, FINE)
            found += self._twins(node)
        for step in found:
            self._count += 1
            heapq.heappush(self._steps, (-strength, self._count, step))

    def step(self) -> tuple[Node, float]:
        """The next one, with the strength of where it begins."""
        strength, _, node = heapq.heappop(self._steps)
        return node, -strength

    def _twins(self, node: Node) -> list[Node]:
        """The tree with each column and operator in turn exchanged for those that move as it does."""
        found = []
        for part in walk(node):
            if isinstance(part, Column):
                first = self._kin.get(part.name, part.name)
                same = (c for c, kin in self._kin.items() if kin == first and c != part.name)
                found += [replaced(node, part, Column(c)) for c in same]
            elif isinstance(part, Call):
                group = next((g for g in (MEANS, CHANGES) if part.op in g), ())
                found += [replaced(node, part, Call(o, part.args, part.params)) for o in group if o != part.op]
        return found
