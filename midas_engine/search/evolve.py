"""The search itself: three islands that ask for figures and learn from them, and exchange their elites.

Drawing and climbing come first. Once they find nothing better the strongest small trees are grown by every operator
and column in turn, for a hill that is climbed at random hides what one exact step beside it would show. A later
session on the data starts with that, sweeps what nothing small leads to beside it (`sweep`), and asks nothing that an
earlier one asked. What shows is climbed by its windows, step by step (`hills`): a later session begins with what hardly
does, for there the sweep's windows are far apart. Of the tops that this leads to every part is exchanged (`exchange`).
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from midas_engine.dsl.canonical_form import family_text
from midas_engine.dsl.doubts import doubts
from midas_engine.dsl.expression import parse
from midas_engine.dsl.nodes import Call, Column, Node, columns_of
from midas_engine.dsl.registry import OPERATORS
from midas_engine.dsl.spelling import spelled
from midas_engine.errors import ExpressionError
from midas_engine.search.archive import Archive, Elite, likeness, mark_of, quality_of
from midas_engine.search.exchange import exchanged
from midas_engine.search.grammar import Grammar
from midas_engine.search.growth import grown
from midas_engine.search.hills import Hills
from midas_engine.search.measure import Figures, short_of
from midas_engine.search.sweep import swept
from midas_engine.search.variation import MOST_OPERATORS, crossed, mutated, operators_in, typed
from midas_engine.settings import DslLimits

if TYPE_CHECKING:
    from collections.abc import Sequence

BATCH = 120
SHOWN_T = 5.0
"""A |t| on the screening slice that the luckiest of some thousand trees of noise does not reach."""
LIKE = 0.7
"""Correlation from which two features are one find."""
TWINS = 0.95
"""Elites more alike than this are one parent."""
STRONGER = 1.25
"""A likeness of 0.7 to what is there is 0.7 of its strength: what is so much stronger than a find is another one."""
FURTHER = 1.1
"""What is so much stronger than a find may be climbed: between a part of what is there and the whole lie such steps."""
ROOT_T = 4.0
"""A |t| from which a small tree is grown."""
TOP_T = 5.0
"""A |t| from which every part of a tree is exchanged."""
PAUSE = 1
"""Batches of climbing between two roots."""
ROOT_TWINS = 0.9
LARGER = 0.85
"""What a further operator takes off a root's strength: a part of what is there is small before it is strong."""
FRESH = 0.35
"""Share of a batch that is drawn anew once something shows: the rest of the columns may hold another signal."""
TOGETHER = 0.5
"""Share of what a later session draws anew that only two columns together can say."""
STEPPED = 0.45
"""Share of a later session's batch that goes to what is one step from a root or a top: what shows comes first."""
SWEPT = 0.6
"""Share of a later session's batches that the sweep of pairs takes, until all of it was asked."""
SWEPT_BESIDE = 0.3
"""The same while there are steps to take."""
CLIMBED = 0.25
"""Share of a batch that goes to the steps of hills."""
FAINT_T = 2.5
"""A |t| from which a later session climbs a hill: noise has it once in eighty trees, a signal at windows far from its
own too."""
KIN = 0.8
"""Columns whose scores over a day are so much alike are kin: what one says in a pair, the other nearly says."""
DAY = 24
_SCORED = "ts_zscore"
ATOMS = 8
"""One evaluation in so many goes to columns under a single operator, before anything is put together."""
STEPS = 6
"""Generations of a search that only climbs."""
MOST_ASKED = 4
"""Trees a search asks for one that it may evaluate: where nearly all are refused unscored it would go on for ever."""
QUIET = 14
"""Batches without a better elite among the best after which climbing is done."""


@dataclass(frozen=True, slots=True)
class SearchSpace:
    """What trees may be made of.

    Attributes:
        columns: Columns of the data.
        cross: It is a cross-section.
        horizon: Target in bars.
        limits: Of expressions, in the bars of the data.
    """

    columns: tuple[str, ...]
    cross: bool = True
    horizon: int = 1
    limits: DslLimits = dataclasses.field(default_factory=DslLimits)


class Search:
    """Asks for figures of trees and learns from them. No clock, no data: the same answers give the same questions.

    Args:
        space: What trees may be made of.
        seed: Same seed, same search.
        archive: Elites of earlier sessions on this data.
        seeds: Expressions of the model's island: a model's, or those of templates.
        budget: Evaluations at most.
        climbs: Only change what the archive holds; nothing is drawn anew.
    """

    def __init__(
        self,
        space: SearchSpace,
        seed: int,
        archive: Archive | None = None,
        seeds: Sequence[str] = (),
        budget: int = 3000,
        *,
        climbs: bool = False,
    ) -> None:
        self.space, self.budget = space, budget
        self.archive = archive if archive is not None else Archive()
        self.evaluated = self._asked = 0
        self._later = self.archive.rounds > 0 and not climbs
        self._rng = np.random.default_rng([seed, 12, self.archive.rounds])
        longest = space.limits.window_bars
        self._grammar = Grammar(self._rng, space.columns, space.cross, min(longest, 168))
        self._trees: dict[str, Node] = {}
        self._islands: dict[str, str] = {}
        self._days = {} if climbs else {spelled(n): c for c, n in self._scored_columns(min(DAY, longest))}
        self._day_sketches: dict[str, tuple[float, ...]] = {}
        self._queue: list[tuple[Node | None, str]] = [(self._read(text), "grammar") for text in self._days]
        self._queue += [(self._read(text), "model") for text in seeds]
        self._steps: list[tuple[Node | None, str]] = []
        atoms = self._grammar.atoms()
        self._queue += [(atom, "grammar") for atom in atoms[: 0 if climbs else budget // ATOMS]]
        if self._later:
            columns = [n for c in self._grammar.columns for n in grown(Column(c), self._grammar)]
            self._queue += [(columns[int(i)], "grammar") for i in self._rng.permutation(len(columns))]
        order = np.random.default_rng([seed, 13])
        self._sweep = swept(self._grammar, order, self.archive.kin) if self._later else iter(())
        self._hills = Hills(self._grammar.windows[-1], self.archive.kin)
        self._origins: dict[str, float] = {}
        self._swept: set[str] = set()
        self._sweeping = self._later
        self._climbs = climbs
        self._batch = max(1, budget // STEPS) if climbs else BATCH
        self._best = 0.0
        self._quiet = self._since = self._grown = self._turn = 0
        self._closed = [(e.sketch, e.quality) for e in self.archive if not e.open]
        self._judged = [e.sketch for e in self.archive if e.fate]
        for elite in self.archive:
            self._know(elite.text)

    @property
    def done(self) -> bool:
        """Whether the budget is spent, or climbing has come to an end."""
        waiting = self._queue or self._steps or self._sweeping or self._hills
        spent = self._best >= SHOWN_T and self._quiet >= QUIET and not waiting
        return (
            self.evaluated >= self.budget
            or self._asked >= MOST_ASKED * self.budget + BATCH
            or (spent and (self._climbs or (self._root() is None and self._top() is None)))
        )

    # -- asking ----------------------------------------------------------------------------------

    def ask(self) -> list[str]:
        """The next batch of new trees, as text."""
        wanted = min(self._batch, self.budget - self.evaluated)
        batch: list[str] = []
        self._grow()
        self._climb(round(wanted * CLIMBED), batch)
        share = SWEPT_BESIDE if self._steps else SWEPT
        self._draw(self._steps, min(wanted, len(batch) + round(wanted * STEPPED)) if self._later else wanted, batch)
        most = min(wanted, len(batch) + round(wanted * share))
        while self._sweeping and len(batch) < most:
            node = next(self._sweep, None)
            self._sweeping = node is not None
            if self._offer(node, "grammar", batch):
                self._swept.add(batch[-1])
        rest = wanted - len(batch)
        self._draw(self._queue, wanted - rest // 2 if self._later else wanted, batch)
        parents = self._parents()
        for _ in range(40 * BATCH):
            if len(batch) >= wanted:
                break
            self._offer(*self._made(parents), batch)
        self._asked += len(batch)
        return batch

    def _draw(self, queue: list[tuple[Node | None, str]], most: int, batch: list[str]) -> None:
        while queue and len(batch) < most:
            self._offer(*queue.pop(0), batch)

    def _climb(self, most: int, batch: list[str]) -> None:
        """The next steps of hills."""
        while self._hills and len(batch) < most:
            node, strength = self._hills.step()
            if self._offer(node, "grammar", batch):
                self._origins[batch[-1]] = strength

    def _made(self, parents: list[Elite]) -> tuple[Node | None, str]:
        draw = self._rng.random()
        fresh = 0.0 if self._climbs else FRESH if self._best >= SHOWN_T else 0.6
        if not parents or draw < fresh:
            together = self._later and self._rng.random() < TOGETHER
            return self._grammar.interaction() if together else self._grammar.tree(), "grammar"
        first = self._drawn(parents)
        if draw < fresh + 0.2 and len(parents) > 1:
            second = self._drawn(parents)
            return crossed(self._tree(first.text), self._tree(second.text), self._grammar), "crossed"
        fine = 0.45 if abs(first.t) >= SHOWN_T else 0.2
        return mutated(self._tree(first.text), self._grammar, fine), first.island

    def _grow(self) -> None:
        """Queue every tree one operator larger than the next root, or one exchange from the next top, in turn."""
        self._since += 1
        if self._steps or self._climbs or self._since <= PAUSE or not (self._later or self._quiet >= QUIET):
            return
        self._turn += 1
        top = self._top() if self._turn % 2 else None
        if top is not None:
            self.archive.update(dataclasses.replace(top, exchanged=True))
            self._steps += [(n, top.island) for n in exchanged(self._tree(top.text), self._grammar)]
            self._since = 0
        elif (root := self._root()) is not None:
            self.archive.update(dataclasses.replace(root, grown=True))
            self._steps += [(n, root.island) for n in grown(self._tree(root.text), self._grammar)]
            self._since, self._grown = 0, self._grown + 1

    def _root(self) -> Elite | None:
        """The strongest small tree that was not grown yet, nor any twin of it; a find is one too.

        Twins end in the same operator: `rsi(close, 24)` ranks as `returns(close, 24)` does, but its sign says nothing.
        Every second root is one of a hill that nobody judged, where there is one: there may be more than one signal.
        """
        roots = [e for e in self.archive if e.is_root and abs(e.strength) >= ROOT_T]
        done = [(e.outermost, e.sketch) for e in roots if e.grown]
        waiting = []
        for elite in sorted(roots, key=lambda e: (-e.strength * LARGER**e.operators, e.text)):
            twins = (other for outermost, other in done if outermost == elite.outermost)
            if not elite.grown and all(abs(likeness(elite.sketch, other)) < ROOT_TWINS for other in twins):
                waiting.append(elite)
        elsewhere = (e for e in waiting if self._grown % 2 and not self._settled(e))
        return next(elsewhere, waiting[0] if waiting else None)

    def _top(self) -> Elite | None:
        """The strongest of what shows of which no part was exchanged, nor any of its like that is as strong."""
        tops = [e for e in self.archive if abs(e.strength) >= TOP_T]
        done = [(e.sketch, e.strength) for e in tops if e.exchanged]
        waiting = sorted(
            (e for e in tops if not e.exchanged), key=lambda e: (-e.strength * LARGER**e.operators, e.text)
        )
        for elite in waiting:
            like = (known for other, known in done if abs(likeness(elite.sketch, other)) >= ROOT_TWINS)
            if all(elite.strength > FURTHER * known for known in like):
                return elite
        return None

    def _parents(self) -> list[Elite]:
        """The best by expected gain: strong, not yet drawn often, and near a gate that a change can mend."""
        ranked = sorted(self.archive.ranked(), key=lambda e: -_gain(e))
        return self.archive.diverse(24, [e for e in ranked[:200] if not self._settled(e, FURTHER)], TWINS)

    def _settled(self, elite: Elite, stronger: float = STRONGER) -> bool:
        """Whether this one or its like is decided: a search starts again where nothing is known yet.

        What was refused for something that a change can mend stays a parent: so a model's near miss is climbed here.
        What is far stronger than what was decided is not its like, however much they share.
        """
        return any(
            abs(likeness(elite.sketch, other)) >= LIKE and elite.quality < stronger * quality
            for other, quality in self._closed
        )

    def _told(self, elite: Elite) -> bool:
        """Whether an earlier session judged this very one."""
        return any(abs(likeness(elite.sketch, other)) >= TWINS for other in self._judged)

    def _drawn(self, parents: list[Elite]) -> Elite:
        """One parent, by the cube of its gain: a strong one is climbed, a weak one is visited."""
        gains = np.array([max(_gain(e), 1e-3) for e in parents]) ** 3
        place = int(self._rng.choice(len(parents), p=gains / gains.sum()))
        chosen = dataclasses.replace(parents[place], drawn=parents[place].drawn + 1)
        parents[place] = chosen
        self.archive.update(chosen)
        return chosen

    def _offer(self, node: Node | None, island: str, batch: list[str]) -> bool:
        """Into the batch, unless it is none, was asked before or means nothing; says whether it went."""
        if node is None or not columns_of(node):
            return False
        node = typed(node, self._grammar)
        if operators_in(node) > MOST_OPERATORS:
            return False
        text = spelled(node)
        try:
            mark = mark_of(family_text(node))  # asks what it is put together from: refused where no window fits
            if mark in self.archive.tried:
                return False
            self.archive.tried[mark] = None
            parsed = parse(text, columns=self.space.columns, limits=self.space.limits)
        except ExpressionError:
            return False
        if doubts(parsed):
            return False
        self._trees[text] = node
        self._islands[text] = island
        batch.append(text)
        return True

    # -- learning --------------------------------------------------------------------------------

    def tell(self, answers: Sequence[Figures]) -> None:
        """Take the figures of a batch."""
        better = False
        for figures in answers:
            self.evaluated += figures.scored
            if figures.refused or figures.text not in self._trees:
                continue
            node = self._trees[figures.text]
            elite = elite_of(figures, node, self.space.horizon, self._islands[figures.text])
            self._heard(node, elite, abs(figures.strength), self.archive.add(elite))
            if elite.quality > self._best * 1.01:
                self._best, better = elite.quality, True
        kept = {e.text for e in self.archive}
        self._trees = {text: node for text, node in self._trees.items() if text in kept}
        self._quiet = 0 if better else self._quiet + 1

    def _heard(self, node: Node, elite: Elite, strength: float, best: bool) -> None:
        """Climb on from a tree that shows; note how a column moves.

        Where a hill is drawn from there are many trees near it: of those only the best of a cell is climbed, and
        nothing that is decided. A tree of the sweep is climbed all the same: a faint part of a find may lead to the
        whole, and its steps are few.
        """
        origin = self._origins.pop(elite.text, 0.0)
        stepped = origin > 0.0 or elite.text in self._swept
        self._swept.discard(elite.text)
        shows = strength >= (FAINT_T if self._later else ROOT_T) and not self._climbs
        if shows and (stepped or (best and not self._settled(elite, FURTHER))):
            self._hills.climb(node, strength, origin)
        column = self._days.get(elite.text)
        if column is not None:
            kin = (c for c, other in self._day_sketches.items() if likeness(elite.sketch, other) >= KIN)
            self.archive.kin[column] = first = next(kin, column)
            if first == column:
                self._day_sketches[column] = elite.sketch

    def finalists(self, count: int) -> list[Elite]:
        """The best that differ and would miss no gate that the slice can tell."""
        open_ends = [e for e in self.archive.ranked() if not e.missed and not self._settled(e) and not self._told(e)]
        return self.archive.diverse(count, open_ends, LIKE)

    def _scored_columns(self, bars: int) -> list[tuple[str, Node]]:
        """Each column beside its own last day: what of them moves alike."""
        low = max(bars, int(OPERATORS[_SCORED].literals[0].low))
        return [(c, Call(_SCORED, (Column(c),), (low,))) for c in self._grammar.columns]

    # -- reading ---------------------------------------------------------------------------------

    def _know(self, text: str) -> None:
        node = self._read(text)
        if node is not None:
            self.archive.tried[mark_of(family_text(node))] = None

    def _tree(self, text: str) -> Node:
        if text not in self._trees:
            self._trees[text] = parse(text).ast
        return self._trees[text]

    def _read(self, text: str) -> Node | None:
        try:
            return parse(text, columns=self.space.columns, limits=self.space.limits).ast
        except ExpressionError:
            return None


def elite_of(figures: Figures, node: Node, horizon: int, island: str) -> Elite:
    """A tree with its figures, as the archive takes it."""
    return Elite(
        figures.text, columns_of(node), horizon, figures.t, figures.turnover, figures.net_high, figures.standing,
        quality_of(figures, operators_in(node)), short_of(figures), island, sketch=figures.sketch,
        operators=operators_in(node), outermost=node.op if isinstance(node, Call) else "",
    )  # fmt: skip


def _gain(elite: Elite) -> float:
    """What a child may gain: strength, less for parents that gave all they had, half for a gate still missed."""
    return elite.quality / (1.0 + elite.drawn / 60.0)
