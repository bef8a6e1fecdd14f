"""A researcher without a model: a typed search over families of signals that learns within and across sessions."""

from __future__ import annotations

import math
import re
from collections import deque
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from midas_engine.dsl.doubts import doubts
from midas_engine.dsl.expression import canonical
from midas_engine.dsl.generate import random_expression
from midas_engine.dsl.validator import DSLValidator
from midas_engine.errors import ExpressionError
from midas_engine.kb.names import MAX_NAME
from midas_engine.proposer.families import FAMILIES, Template, families_of
from midas_engine.proposer.protocol import DiagnosisDraft, LearningDraft, Plan, Proposal
from midas_engine.proposer.reading import best_by_family, gates_short, ranked, remedy
from midas_engine.proposer.recalled import recalled
from midas_engine.proposer.rewrites import negated, scaled, smoothed
from midas_engine.proposer.screened import Step, screened, tried

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from midas_engine.proposer.protocol import DiagnosisBrief, OnText, ResearchContext, TrialResult

SMOOTHING = (1, 6, 12, 24, 48, 72)
# Below this |t| a result is noise not worth a descendant: each costs a trial.
WORTH_T = 1.5
# What a family that no session has tried is taken for: above noise, below anything that has shown.
UNKNOWN_T = 2.5
# Share of the proposals that are relative where three to nine symbols are scored in time: t 4.6 against 6.4 on three
# (`sim_relative.py`), but nothing of it for what moves all of them.
RELATIVE = 0.5
# Plans that build on one result: after two without a pass another one is nearer.
MOST_PLANS = 2


class LocalResearcher:
    """Searches templates x windows x transforms, keeps to the goal's families first, improves what nearly passed.

    It is told only research figures, as a model is. Flipped signs, changed windows and smoothed versions are
    trials like any other. What earlier sessions tried is not tried again, and where the goal leaves it open, the
    families that showed most in them come first.

    Args:
        seed: The same seed, goal and data give the same session.
    """

    name = "local"

    def __init__(self, seed: int = 7) -> None:
        self._seed, self._rng = seed, np.random.default_rng(seed)
        self._searched: list[Step] = []
        self._ideas: deque[Proposal] = deque()
        self._seen: set[str] = set()
        self._read: set[str] = set()
        self._numbers: dict[str, int] = {}
        self._stories: dict[str, str] = {}
        self._target: TrialResult | None = None
        self._built: dict[str, int] = {}
        self._waiting: dict[str, list[Template]] = {}
        self._been_through: set[str] = set()

    async def plan(self, context: ResearchContext, on_text: OnText) -> Plan:
        """Explore at first; later improve the best of what was tried, or move to the next family."""
        families = self._families(context)
        self._target = top = self._most_promising(context)
        on_text(f"goal: {context.goal}\nfamilies that speak to it: {', '.join(families)}\n")
        past = best_by_family(context.learnings)
        if past:
            told = ", ".join(f"{family} t {t:+.2f}" for family, t in sorted(past.items(), key=lambda kv: -abs(kv[1])))
            on_text(f"best of earlier sessions: {told}\n")
        if top is None and not families:
            text = "explore: none of the known families fits these columns; random expressions of the grammar"
        elif top is None:
            family = families[(context.iteration - 1) % len(families)]
            story = next(iter(FAMILIES[family])).story
            text = f"explore {family}: {story}"
        else:
            self._built[top.expression] = self._built.get(top.expression, 0) + 1
            text = f"build on {top.expression} (t {top.score_t:+.2f}): {remedy(top)}"
        on_text(text + "\n")
        return Plan(
            text, f"families in order: {', '.join(families)}", tuple(r.expression for r in context.results[-20:])
        )

    async def write(self, context: ResearchContext, plan: Plan, count: int, on_text: OnText) -> list[Proposal]:
        """`count` new, valid expressions: descendants of what nearly passed, then fresh templates."""
        self._remember(context)
        validator = DSLValidator(context.columns, context.limits)
        chosen: list[Proposal] = []
        for step in (recalled, screened):  # what is remembered first: it may save the search
            if not self._ideas and step not in self._searched:
                self._searched.append(step)
                self._ideas.extend(await tried(step, context, self._seed, self._name, on_text))
        descendants = self._descendants(context) if self._target is not None else iter(())
        for proposal in chain(self._dealt(), self._mixed(descendants, self._fresh(context), count)):
            key = self._new_key(proposal.expression, context)
            if key is None or not validator.validate(proposal.expression).ok:
                continue
            self._seen.add(key)
            chosen.append(proposal)
            on_text(f"{proposal.name} = {proposal.expression}\n  {proposal.rationale}\n")
            if len(chosen) == count:
                break
        return chosen

    async def refine(
        self, context: ResearchContext, proposal: Proposal, result: TrialResult, on_text: OnText
    ) -> Proposal | None:
        """One change that answers the verdicts, when the signal is there at all."""
        self._remember(context)
        if not math.isfinite(result.score_t) or abs(result.score_t) < WORTH_T:
            on_text(f"{proposal.name}: t {result.score_t:+.2f} is noise; not worth another trial\n")
            return None
        validator = DSLValidator(context.columns, context.limits)
        for changed in self._changes(result, context):
            key = self._new_key(changed.expression, context)
            if key is not None and validator.validate(changed.expression).ok:
                self._seen.add(key)
                on_text(f"{proposal.name} failed {', '.join(result.failed_agents)}: {changed.rationale}\n")
                return changed
        return None

    async def learn(self, context: ResearchContext, outcome: str, on_text: OnText) -> LearningDraft:
        """What the figures say, by family."""
        strongest = ranked(context.results)
        scored = [r for r in context.results if not r.refused]
        passed = [r for r in scored if r.passed]
        by_family: dict[str, list[float]] = {}
        for r in scored:
            by_family.setdefault(self._family_of(r), []).append(r.score_t)
        lines = [f"{name}: best t {max(ts, key=abs):+.2f} in {len(ts)} tries" for name, ts in by_family.items()]
        pattern = "; ".join(lines) or "nothing could be scored"
        failures: dict[str, int] = {}
        for r in scored:
            for agent in r.failed_agents:
                failures[agent] = failures.get(agent, 0) + 1
        often = ", ".join(f"{a} ({n} of {len(scored)})" for a, n in sorted(failures.items(), key=lambda kv: -kv[1])[:3])
        near = [r for r in strongest if not r.passed][:1]
        on_text(f"tried {len(scored)}; {pattern}\n")
        family = max(by_family, key=lambda k: max(map(abs, by_family[k])), default="nothing")
        return LearningDraft(
            title=f"{family} on {context.goal}"[:90],
            pattern_identified=pattern,
            what_worked="; ".join(r.line for r in passed[:4]),
            what_failed=(near[0].line + ". " if near else "") + (f"gates that refused most: {often}" if often else ""),
            recommendation=f"next: {remedy(near[0])} on {near[0].expression}" if near else "try another family",
            tags=tuple(dict.fromkeys([family, *families_of(context.goal)]))[:8],
        )

    async def diagnose(self, brief: DiagnosisBrief, on_text: OnText) -> DiagnosisDraft:
        """A template per cause, resting on the figures given."""
        from midas_engine.proposer.local_diagnosis import explain_cause

        draft = explain_cause(brief)
        on_text(draft.root_cause + "\n")
        return draft

    async def close(self) -> None:
        """Nothing is held."""

    # -- what to try -----------------------------------------------------------------------------

    def _most_promising(self, context: ResearchContext) -> TrialResult | None:
        """What is nearest to passing and has not been built upon twice already; None when nothing is worth it."""
        open_ends = [
            r
            for r in ranked(context.results)
            if not r.passed and abs(r.score_t) >= WORTH_T and self._built.get(r.expression, 0) < MOST_PLANS
        ]
        return min(open_ends, key=gates_short, default=None)

    def _families(self, context: ResearchContext) -> list[str]:
        wanted = families_of(context.goal)
        usable = [f for f in wanted if any(_fits(t, context) for t in FAMILIES[f])]
        rest = [f for f in FAMILIES if f not in usable and any(_fits(t, context) for t in FAMILIES[f])]
        if len(wanted) == len(FAMILIES):  # the goal names none: what showed before comes before what did not
            past = best_by_family(context.learnings)
            usable.sort(key=lambda family: -abs(past.get(family, UNKNOWN_T)))
        # After the goal's own families come to nothing the others are next: a session that could
        # only repeat itself is wasted.
        return usable or rest

    def _dealt(self) -> Iterator[Proposal]:
        """What the screening brought, strongest first, each once."""
        while self._ideas:
            yield self._ideas.popleft()

    def _fresh(self, context: ResearchContext) -> Iterator[Proposal]:
        families = self._families(context)
        start = (context.iteration - 1) % len(families) if families else 0
        order = families[start:] + families[:start]
        for attempt in range(200):
            if order and attempt < 150:
                yield self._from_template(self._next_template(order[attempt % len(order)], context), context)
            else:
                exclude = () if context.cross else ("cross_section",)
                text = random_expression(
                    self._rng, list(context.columns), 3, max_window=context.limits.window_bars, exclude=exclude
                )
                yield Proposal(
                    self._name("random"), self._normalised(text, context, 1), "a random expression of the grammar"
                )

    def _next_template(self, family: str, context: ResearchContext) -> Template:
        """Every template of the family once, the classic first, before any comes again."""
        waiting = self._waiting.setdefault(family, [])
        if not waiting:
            fitting = [t for t in FAMILIES[family] if _fits(t, context)]
            if family in self._been_through:
                fitting = [fitting[int(i)] for i in self._rng.permutation(len(fitting))]
            self._been_through.add(family)
            waiting.extend(fitting)
        return waiting.pop(0)

    def _from_template(self, template: Template, context: ResearchContext) -> Proposal:
        windows = [w for w in template.windows if w <= context.limits.window_bars] or [template.windows[0]]
        a = int(self._rng.choice(windows))
        b = int(self._rng.choice([w for w in (24, 48, 72, 168) if w <= context.limits.window_bars] or [a]))
        smooth = int(self._rng.choice(SMOOTHING))
        core = template.core.format(a=a, b=b)
        name = self._name(f"{template.name}_{a}" + (f"_s{smooth}" if smooth > 1 else ""))
        self._stories[name] = template.name
        return Proposal(name, self._normalised(core, context, smooth), template.story)

    def _normalised(self, core: str, context: ResearchContext, smooth: int) -> str:
        if smooth > 1:
            core = f"ts_mean({core}, {smooth})"
        if context.cross:
            return f"cs_rank({core})" if self._rng.random() < 0.5 else f"cs_zscore({core})"
        if context.relative and self._rng.random() < RELATIVE:
            return f"cs_demean(ts_zscore({core}, {int(self._rng.choice([72, 168]))}))"
        return f"ts_zscore({core}, {int(self._rng.choice([72, 168]))})" if self._rng.random() < 0.7 else core

    def _descendants(self, context: ResearchContext) -> Iterator[Proposal]:
        strongest = [r for r in ranked(context.results) if abs(r.score_t) >= WORTH_T]
        if self._target is not None:
            yield from self._changes(self._target, context)
        for result in [r for r in strongest if not r.passed][:3]:
            yield from self._changes(result, context)
        for first, second in zip(strongest, strongest[1:], strict=False):
            a, b = _signed(first), _signed(second)
            rank = "cs_rank" if context.cross else "ts_zscore"
            tail = "" if context.cross else ", 168"
            yield Proposal(
                self._name("blend"),
                f"{rank}({a}{tail}) + {rank}({b}{tail})",
                f"the two strongest so far, t {first.score_t:+.2f} and {second.score_t:+.2f}, rest on different moves",
            )

    def _changes(self, result: TrialResult, context: ResearchContext) -> Iterator[Proposal]:
        expression, t = result.expression, result.score_t
        base = re.sub(r"(_v\d+|_w)+$", "", result.name[:MAX_NAME])
        if t < 0:
            yield Proposal(self._name(base + "_flip"), negated(expression), f"the sign was wrong: t {t:+.2f}")
            return
        if "trading_cost" in result.failed_agents or "decay_analysis" in result.failed_agents:
            for n in (24, 48, 72, 168, 12):
                if n <= context.limits.window_bars:
                    yield Proposal(
                        self._name(re.sub(r"(_s\d+)*$", f"_s{n}", base, count=1)),
                        smoothed(expression, n),
                        f"turnover {result.turnover:.2f} eats it: hold longer",
                    )
        if "diversification" in result.failed_agents and context.cross and context.existing:
            other = next(iter(context.existing.values()))
            yield Proposal(
                self._name(base + "_residual"),
                f"cs_neutralize({expression}, {other})",
                "keep what the live book does not have",
            )
        if "regime_robustness" in result.failed_agents:
            calm = f"if_else(ts_rank(ts_std(returns(close, 1), 24), 168) < 0.67, {expression}, 0)"
            yield Proposal(self._name(base + "_calm"), calm, "it fails in one regime: stand aside in the loudest third")
        for factor in (2.0, 0.5):
            text = scaled(expression, factor, context.limits.window_bars)
            yield Proposal(self._name(f"{base}_w"), text, f"windows times {factor:g}: is it the length or the idea")

    def _mixed(self, first: Iterable[Proposal], second: Iterable[Proposal], count: int) -> Iterator[Proposal]:
        """Two thirds descendants, one third fresh: improving alone would never leave its hill."""
        a, b = iter(first), iter(second)
        turn = 0
        while True:
            source = b if turn % 3 == 2 else a
            turn += 1
            item = next(source, None)
            if item is None:
                yield from b
                return
            yield item

    # -- memory ----------------------------------------------------------------------------------

    def _remember(self, context: ResearchContext) -> None:
        for expression in [*context.tried, *(r.expression for r in context.results)]:
            if expression in self._read:
                continue
            self._read.add(expression)
            try:
                self._seen.add(canonical(expression))
            except ExpressionError:
                continue  # an old trial may use what this version lacks

    def _new_key(self, expression: str, context: ResearchContext) -> str | None:
        try:
            key = canonical(expression)
            if doubts(expression):  # what mixes units says what its larger part says
                return None
        except ExpressionError:
            return None
        return None if key in self._seen else key

    def _name(self, base: str) -> str:
        slug = re.sub(r"[^a-z0-9_]+", "_", base.lower())[:60].strip("_") or "idea"
        name, n = slug, self._numbers.get(slug, 1)
        while name in self._stories:
            n += 1
            name = f"{slug}_v{n}"
        self._numbers[slug] = n
        self._stories[name] = slug
        return name

    @staticmethod
    def _family_of(result: TrialResult) -> str:
        for family, templates in FAMILIES.items():
            if any(result.name.startswith(t.name) for t in templates):
                return family
        return result.name.split("_")[0]


def _fits(template: Template, context: ResearchContext) -> bool:
    return set(template.needs) <= set(context.columns)


def _signed(result: TrialResult) -> str:
    return result.expression if result.score_t > 0 else negated(result.expression)
