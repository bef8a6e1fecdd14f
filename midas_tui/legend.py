"""What every word and column of the terminal means, with the numbers of the feature under the cursor put in."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from midas_engine.sentence import share_of_gate
from midas_tui.formats import days, number, with_error

if TYPE_CHECKING:
    from collections.abc import Callable

    from midas_engine.models import FeatureMetrics

WORDS: tuple[tuple[str, str], ...] = (
    ("IC", ("Information coefficient: rank correlation of the values of a bar with what the symbols earn after it. "
           "0 is no skill; 0.02 to 0.05 is usual for what works.")),
    ("± and se", "Standard error. The true figure lies within 1.6 of them with 90 %."),
    ("bps", "Basis points: hundredths of a percent of capital."),
    ("score", ("The causal score of a bar: what the feature's positions earned, in units of the market's size on that "
              "bar. Promised: what it was when the feature was found.")),
    ("t", "A figure over its standard error. The line it must pass rises with everything that was tried."),
    ("agents", ("Six checks of a candidate: predictive power, decay, trading cost, diversification, overfitting, "
               "regimes. Each says pass or fail against its gate.")),
    ("research, sealed, forward", ("Three stretches of time: searched at will, opened once and charged, and bars that "
                                  "did not exist when the feature was frozen.")),
    ("shadow", "Watched and measured as if live, without money."),
    ("killed", "Stopped for good. Only a new promotion by name brings it back."),
    ("evidence of harm", ("The test whose gate proposes a kill: it grows only while the feature loses more than "
                         "nothing, whatever it promised.")),
    ("regime", "LOW_VOL, MID_VOL or HIGH_VOL: whether the market moves less or more than its own usual."),
    ("x12", "An alert held for 12 bars."),
    ("bar 12 ms", "What Midas took to work through the newest bar."),
    ("zz 15:00", "Snoozed: silent until 15:00."),
    ("incident", "At least three features that one rule speaks of at once. They have one cause, and one answer."),
    ("looks, budget", "Every opening of sealed data spends some of a lifetime's chance of a false discovery."),
)  # fmt: skip


def column_meaning(key: str, m: FeatureMetrics | None) -> str:
    """What a column of the feature table says, in the numbers of `m`; empty for a column without a legend."""
    if m is None:
        return _ALONE.get(key, "")
    made = _WITH_NUMBERS.get(key)
    return made(m) if made is not None else ""


def promise(m: FeatureMetrics) -> str:
    """The promise behind the evidence bar, in words."""
    share = share_of_gate(m)
    if not math.isfinite(share):
        return "nothing was promised: no test runs, its death would go unnoticed"
    return (
        f"{min(share, 9.99):.0%} of the way to \"dead\"; would notice a drop in {days(m.days_to_detect_drop)}, "
        f"a flip in {days(m.days_to_detect_flip)}, "
        f"{number(m.false_alarms_per_year, 1, signed=False)} false alarms a year"
    )  # fmt: skip


def _evidence(m: FeatureMetrics) -> str:
    if m.expected_score is None:
        return f"{m.feature}: {promise(m)}."
    return (
        f"Evidence that {m.feature} died: ln of the Shiryaev-Roberts statistic is {number(m.decay_log_s, 1)}, and "
        f"calls at {number(m.decay_threshold, 1)}. The bar runs from 0 to that gate: {promise(m)}. A healthy "
        "feature wanders between a third and two thirds; it has no memory of good times, so that a death shows soon."
    )


def _ic(days_: str, window: str) -> str:
    return (
        f"Mean rank correlation of its values with the next return over {window}: {days_}. Behind the sign ± stands "
        "one standard error."
    )


def _ratio(m: FeatureMetrics) -> str:
    return (
        f"IC of 5 days over IC of 30 days: {number(m.ic_ratio, 2)}. Below 0.70 it warns. It starts nothing: chance "
        "alone takes it there in most healthy months."
    )  # fmt: skip


def _slippage(m: FeatureMetrics) -> str:
    if not math.isfinite(m.slippage_ratio):
        return f"No fills of {m.feature} are known: what trading costs cannot be compared with what was expected."
    paid, expected = (number(v, 1, signed=False) for v in (m.slippage_bps, m.expected_slippage_bps))
    return (
        f"{m.feature} pays {paid} bps where {expected} were expected: {m.slippage_ratio:.2f}x. "
        "1.5x warns, 2x is critical."
    )  # fmt: skip


def _earned(m: FeatureMetrics) -> str:
    return (
        f"Paper return of {m.feature}'s share of the book on the last day, after costs: "
        f"{number(m.pnl_net_1d_bps, 1)} bps ({number(m.pnl_1d_bps, 1)} before). One day says little."
    )


def _noticed(m: FeatureMetrics) -> str:
    if m.expected_score is None:
        return f"Nothing was promised for {m.feature}: its death would go unnoticed."
    return (
        f"How long the test needs on average: {days(m.days_to_detect_drop)} to see that {m.feature} is dead, "
        f"{days(m.days_to_detect_flip)} that it turned its sign, at its IC and breadth."
    )


def _status(m: FeatureMetrics) -> str:
    return f"{m.feature} is {m.status}. ▲ critical, ● warning, · healthy, ✕ killed, ‖ paused, ◌ stale or not known."


_WITH_NUMBERS: dict[str, Callable[[FeatureMetrics], str]] = {
    "sign": _status,
    "name": lambda m: f"{m.feature}, {m.bars} bars watched, last bar {m.at:%Y-%m-%d %H:%M}.",
    "evidence": _evidence,
    "ic5d": lambda m: _ic(with_error(m.ic_5d), "5 days"),
    "ic30d": lambda m: _ic(with_error(m.ic_30d), "30 days"),
    "ratio": _ratio,
    "slip": _slippage,
    "bps": _earned,
    "detect": _noticed,
    "spark": lambda m: (
        "The 5-day IC over the last 120 bars, the last of each of eight stretches. "
        "The scale spans 0.04 at least, what chance alone moves it: noise is flat."
    ),
}
_ALONE = {"evidence": "Evidence that a feature died, from 0 to the gate where its test calls."}
