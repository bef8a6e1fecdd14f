"""From the settings and an expression to a verdict: the array path, no pandas between text and figures."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from midas_engine.evaluator import EvaluationContext
    from midas_engine.models import MultiAgentResult
    from midas_engine.settings import Settings


class Arrays(NamedTuple):
    """What a verdict was given on.

    Attributes:
        values: The feature over the whole panel [T, S].
        context: What it was scored against.
        gate: Values of the gate of an event feature; None without one.
    """

    values: Any
    context: EvaluationContext
    gate: Any


@dataclass(frozen=True, slots=True)
class Judged:
    """A verdict and what it was given on.

    Attributes:
        bars: First and last bar of the part that was scored, as text.
        compared: Names of the features it was compared with.
        arrays: Values, context and gate; of a long history they are made when they are asked for.
        capacity_usd: Gross exposure at 1 % of the traded volume; NaN when volume is unknown.
    """

    expression: str
    canonical: str
    source: str
    part: str
    bars: tuple[str, str]
    bar_hours: float
    compared: tuple[str, ...]
    verdict: MultiAgentResult
    arrays: Callable[[], Arrays]
    capacity_usd: float = math.nan

    @property
    def document(self) -> dict[str, Any]:
        """For machines: where it comes from, then the whole verdict."""
        from midas_engine.jsonable import plain

        return {
            "expression": self.expression,
            "canonical": self.canonical,
            "data": self.source,
            "part": self.part,
            "from": self.bars[0],
            "to": self.bars[1],
            "bar_hours": self.bar_hours,
            "compared_with": list(self.compared),
            "capacity_usd": plain(self.capacity_usd),
            **plain(self.verdict),
        }


def judge_expression(
    settings: Settings,
    expression: str,
    *,
    existing: Sequence[str] = (),
    part: str = "research",
    trials: int | None = None,
    name: str = "",
    gate: str = "",
    hold: int = 0,
) -> Judged:
    """Score `expression` on the data and by the thresholds that the settings name.

    Deployed features of the knowledge base are what it is compared with, and `existing` expressions too.
    With a `gate` only the bars where that expression is above zero are scored, over `hold` bars each; without one
    `hold` is how long the book holds each forecast. A history that is
    much larger than memory likes is walked over, with the same figures.

    Raises:
        ExpressionError: The expression is refused.
        DataError: The data cannot be used.
        SettingsError: The thresholds are wrong.
    """
    from midas_engine.market.sources import make_room

    make_room(settings.data)  # before anything loads the libraries
    from midas_engine.dsl import FeatureEngine, parse
    from midas_engine.dsl.nominal import nominal_size
    from midas_engine.evaluator import (
        EvaluationContext,
        ScoringOptions,
        capacity_of,
        evaluate_values,
        judge,
        split_panel,
    )
    from midas_engine.evaluator.long.evaluate import evaluate_long, is_long
    from midas_engine.market import load_panel, regime_labels

    # A typing mistake is told before the data is read.
    unread = settings.dsl.at(1.0)  # how long its bars are is not known before: no window is too long for any
    parse(expression, limits=unread)
    if gate:
        parse(gate, limits=unread)
    thresholds, deployed = base_inputs(settings)
    named = named_features(settings)
    panel = load_panel(settings.data, store=settings.store)
    engine = FeatureEngine(panel, limits=settings.dsl, features=named)
    parsed = parse(expression, columns=panel.columns, limits=engine.limits, features=named)
    _check_target(settings, parsed.columns, parse(gate, limits=unread).columns if gate else ())
    chosen = settings.evaluation
    scored = "research" if part == "all" else part
    rows = None if part == "all" else split_panel(panel, settings, chosen.target).named(part)
    beside = {n: e for n, e in {**deployed, **{e: e for e in existing}}.items() if n != name}
    nominal = nominal_size(parsed)

    @cache
    def arrays() -> Arrays:
        context = EvaluationContext.from_panel(
            panel,
            horizons=chosen.horizons,
            existing={n: engine.values(e) for n, e in beside.items()},
            regimes=regime_labels(panel),
            rows=rows,
            options=ScoringOptions.from_settings(settings, scored),
        )
        return Arrays(engine.values(expression), context, engine.values(gate) if gate else None)

    if not (gate or hold or beside) and is_long(panel, chosen.mode):
        result, capacity = evaluate_long(
            panel, parsed, settings, rows=rows, part=scored, regimes=regime_labels(panel), name=name or expression,
            nominal=nominal,
        )  # fmt: skip
    else:
        values, context, triggers = arrays()
        result = evaluate_values(values, context, name or expression, gate=triggers, hold=hold, nominal=nominal)
        capacity = capacity_of(values, context, result.horizon_bars, gate=triggers)
    times = panel.timestamps if rows is None else panel.timestamps[rows]
    return Judged(
        expression=parsed.text,
        canonical=parsed.canonical,
        source=settings.data,
        part=part,
        bars=(str(times[0])[:16], str(times[-1])[:16]),
        bar_hours=panel.hours_per_bar,
        compared=tuple(beside),
        verdict=judge(result, thresholds, trials or 1),
        arrays=arrays,
        capacity_usd=capacity,
    )


def _check_target(settings: Settings, *used: Sequence[str]) -> None:
    from midas_engine.errors import UnknownNameError
    from midas_engine.market.feeds.target import not_there, refusal

    lacking = not_there(settings.target, sorted({c for columns in used for c in columns}))
    if lacking:
        raise UnknownNameError(
            refusal(settings.target, lacking), hint="leave it out, or set another target (--for, `target`)"
        )


def at_horizon(settings: Settings, bars: int) -> Settings:
    """The settings with the horizon that a feature speaks of as the target; 0 leaves them as they are."""
    if not bars:
        return settings
    return dataclasses.replace(settings, evaluation=dataclasses.replace(settings.evaluation, target=bars))


def base_inputs(settings: Settings) -> tuple[Mapping[str, Any] | None, dict[str, str]]:
    """Thresholds and deployed features of the knowledge base, if there is one."""
    if not settings.kb_path.is_dir():
        return None, {}
    from midas_engine.cli.open_base import open_base
    from midas_engine.models import FeatureState

    base = open_base(settings, read_only=True)
    return base.thresholds(), {r.name: r.expression for r in base.features(FeatureState.DEPLOYED)}


def named_features(settings: Settings) -> dict[str, str]:
    """Features usable by name inside an expression: candidates, shadows and deployed ones."""
    if not settings.kb_path.is_dir():
        return {}
    from midas_engine.cli.open_base import open_base
    from midas_engine.models import FeatureState

    base = open_base(settings, read_only=True)
    states = (FeatureState.CANDIDATE, FeatureState.SHADOW, FeatureState.DEPLOYED)
    return {r.name: r.expression for state in states for r in base.features(state)}
