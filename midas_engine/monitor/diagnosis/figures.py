"""The figures of a diagnosis: which there are, their ids, and how they are written. An id never changes its meaning."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from midas_engine.models import Figure

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


@dataclass(frozen=True, slots=True)
class Spec:
    """One kind of figure.

    Attributes:
        id: What claims cite.
        key: What the tests call it.
        label: What a reader is told.
        unit: "share" is written as per cent.
        digits: Decimals shown.
    """

    id: str
    key: str
    label: str
    unit: str = ""
    digits: int = 2


SPECS: tuple[Spec, ...] = (
    Spec("F1", "missing_bars", "time without any value", "bars", 0),
    Spec("F2", "frozen_bars", "time with the very same values", "bars", 0),
    Spec("F3", "coverage", "values present in the last five days", "share", 1),
    Spec("F4", "coverage_usual", "values usually present", "share", 1),
    Spec("F5", "unscored", "bars of the last five days that could not be scored", "share", 1),
    Spec("F6", "stuck", "symbols whose value has not moved for a day", "share", 1),
    Spec("F7", "stuck_usual", "symbols that usually do not move for a day", "share", 1),
    Spec("F8", "rescaled", "symbols whose steps shrank or grew beyond anything usual", "share", 1),
    Spec("F9", "outliers", "steps above twelve times the usual one beyond what is usual, in bars, lately", "bars", 2),
    Spec("F10", "slippage_bps", "realised slippage over the last day", "bps", 2),
    Spec("F11", "expected_slippage_bps", "expected slippage", "bps", 2),
    Spec("F12", "slippage_ratio", "realised over expected slippage", "x", 2),
    Spec("F13", "turnover", "turnover a bar over the last five days", "", 3),
    Spec("F14", "turnover_usual", "usual turnover a bar", "", 3),
    Spec("F15", "gross_bps", "usual gross return a bar, lately", "bps", 3),
    Spec("F16", "cost_bps", "what a bar's turnover costs", "bps", 3),
    Spec("F17", "other_costs", "spread, fees and funding over what was expected of them", "x", 2),
    Spec("F18", "correlation", "correlation with the nearest live feature, now", "", 2),
    Spec("F19", "correlation_usual", "correlation with it as it usually was", "", 2),
    Spec("F20", "promised", "promised score a bar", "", 4),
    Spec("F21", "score_5d", "score of the last five days", "", 4),
    Spec("F22", "score_after", "score since the likeliest break", "", 4),
    Spec("F23", "score_before", "score before it", "", 4),
    Spec("F24", "break_ago", "age of the likeliest break", "bars", 0),
    Spec("F25", "log_s", "ln S of the sequential test when it was highest", "ln S", 2),
    Spec("F26", "portfolio_log_s", "ln S of the test on all live features together", "ln S", 2),
    Spec("F27", "score_in_regime", "score in the regime that fails it most", "", 4),
    Spec("F28", "score_other_regimes", "score in the other regimes since the break", "", 4),
    Spec("F29", "regime_bars", "time in that regime since the break", "bars", 0),
    Spec("F30", "odds_decay", "ln odds of decay against chance", "ln", 2),
    Spec("F31", "odds_regime", "ln odds of a regime's failure against chance", "ln", 2),
    Spec("F32", "pnl_1d_bps", "contribution of the last day", "bps", 1),
)
_BY_KEY = {spec.key: spec for spec in SPECS}


def make_figures(values: Mapping[str, float], details: Mapping[str, str] | None = None) -> tuple[Figure, ...]:
    """The figures whose value is known, in the order of their ids.

    Example:
        >>> make_figures({"slippage_ratio": 2.5, "coverage": float("nan")})
        (Figure(id='F12', label='realised over expected slippage', value=2.5, unit='x', detail=''),)
    """
    notes = details or {}
    return tuple(
        Figure(s.id, s.label, float(values[s.key]), s.unit, notes.get(s.key, ""))
        for s in SPECS
        if math.isfinite(values.get(s.key, math.nan))
    )


def figure_id(key: str) -> str:
    """Id of the figure that the tests call `key`."""
    return _BY_KEY[key].id


def written(figure: Figure) -> str:
    """A figure's value as it is shown.

    Example:
        >>> written(Figure("F3", "values present", 0.913, "share"))
        '91.3 %'
    """
    digits = next((s.digits for s in SPECS if s.id == figure.id), 2)
    if figure.unit == "share":
        return f"{figure.value * 100:.{digits}f} %"
    return f"{figure.value:.{digits}f} {figure.unit}".rstrip()


def figure_line(figure: Figure) -> str:
    """One line for prompts and documents.

    Example:
        >>> figure_line(Figure("F12", "realised over expected slippage", 2.5, "x"))
        'F12: realised over expected slippage = 2.50 x'
    """
    detail = f" ({figure.detail})" if figure.detail else ""
    return f"{figure.id}: {figure.label} = {written(figure)}{detail}"


def ordered(figures: Iterable[Figure], first: Iterable[str]) -> tuple[Figure, ...]:
    """The figures with the keys `first` in front, in that order."""
    wanted = [figure_id(key) for key in first]
    every = list(figures)
    front = [f for i in wanted for f in every if f.id == i]
    return (*front, *(f for f in every if f.id not in wanted))
