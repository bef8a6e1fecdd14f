"""What a pair goes through: signals that nobody spelled, one a theme, on a new market each session."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

import numpy as np

from midas_engine.compound.markets import Truth, correlation, draw_formula, ranked
from midas_engine.compound.plan import THEMES, CompoundPlan, Market, Pair
from midas_engine.dsl import FeatureEngine
from midas_engine.dsl.doubts import doubts
from midas_engine.dsl.expression import parse
from midas_engine.dsl.nodes import Call
from midas_engine.dsl.registry import OPERATORS
from midas_engine.dsl.spelling import spelled
from midas_engine.errors import MidasError
from midas_engine.search.variation import replaced
from midas_engine.search.windows import window_places, windows_of

if TYPE_CHECKING:
    from midas_engine.settings import Settings

TRIES = 12
"""Draws of the windows of a family before its first spelling is taken again."""
_SHORTEST, _LONGEST = 2, 168
_UNLIKE = 0.2
_APART = 0.5


def draw_pair(plan: CompoundPlan, settings: Settings, number: int) -> Pair:
    """The markets of a pair, and a false lesson; the same for every arm."""
    rng = np.random.default_rng([plan.seed, number, 31])
    truth = Truth(settings, plan.world, int(rng.integers(2**31)))
    themes = THEMES[: plan.themes]
    families: dict[str, str] = {}
    for theme in themes:
        families[theme] = _unlike(truth, list(families.values()), rng)
    markets = []
    for k in range(plan.sessions):
        seed = int(rng.integers(2**31))
        theme = themes[int(rng.integers(len(themes)))]
        surprise = k > 0 and rng.random() < plan.surprise
        formula = truth.formula(rng) if surprise else _relative(families[theme], truth, seed, rng)
        markets.append(Market(seed, theme, formula, bool(surprise)))
    return Pair(number, tuple(markets), _false(truth, [m.formula for m in markets], rng))


def _unlike(truth: Truth, others: list[str], rng: np.random.Generator) -> str:
    """A signal of its own for a theme."""
    engine = FeatureEngine(truth.empty, cache_bytes=0)
    while True:
        formula = truth.formula(rng)
        z = ranked(engine.values(formula))
        if all(abs(correlation(z, ranked(engine.values(other)))) < _APART for other in others):
            return formula


def _relative(formula: str, truth: Truth, seed: int, rng: np.random.Generator) -> str:
    """The same idea at other windows, such that a search could find it on this market."""
    for _ in range(TRIES):
        other = with_new_windows(formula, rng)
        if truth.holds(other, truth.world.market(seed, other)):
            return other
    return formula


def with_new_windows(formula: str, rng: np.random.Generator) -> str:
    """The formula with every window drawn anew, alike on a logarithmic scale.

    Example:
        >>> import numpy as np
        >>> with_new_windows("ts_mean(volume, 24)", np.random.default_rng(1))
        'ts_mean(volume, 19)'
    """
    node = parse(formula).ast
    for place in range(window_places(node)):
        call, index = windows_of(node)[place]
        low = max(_SHORTEST, int(OPERATORS[call.op].literals[index].low))
        drawn = round(math.exp(rng.uniform(math.log(low), math.log(_LONGEST))))
        node = replaced(node, call, Call(call.op, call.args, (*call.params[:index], drawn, *call.params[index + 1 :])))
    try:
        parse(spelled(node))
    except MidasError:
        return formula  # windows that must stand in an order do not
    return spelled(node)


def _false(truth: Truth, formulas: list[str], rng: np.random.Generator) -> str:
    """An expression that has nothing to do with what is planted, at its windows or at any others.

    A session asks a lesson at the windows of its own market: what is like a planted signal there is no false lesson.
    """
    engine = FeatureEngine(truth.empty, cache_bytes=0)
    planted = [ranked(engine.values(f)) for f in dict.fromkeys(formulas)]
    while True:
        text = draw_formula(rng, truth.world.columns, truth.world.operators)
        try:
            z = ranked(engine.values(text))
            if doubts(text) or truth.nominal(text) or (z != 0.0).mean() < 0.5:
                continue
            spellings = dict.fromkeys([text, *(with_new_windows(text, rng) for _ in range(TRIES))])
            found = [ranked(engine.values(other)) for other in spellings]
        except MidasError:
            continue
        if all(abs(correlation(one, other)) < _UNLIKE for one in found for other in planted):
            return text


def small(settings: Settings) -> Settings:
    """The settings of a session inside a worker: it judges in its own thread."""
    return dataclasses.replace(settings, evaluation=dataclasses.replace(settings.evaluation, workers=0))
