"""A feature's card: a block a stretch of time, error beside value, what it is held against, nothing cut or raw."""

from __future__ import annotations

import math
import re

import pytest

from helpers_kb import record
from midas_tui.screens.card import card_content

# As a session saves a candidate: two parts, two look figures, and what belongs to neither.
SAVED = {
    "rank_ic": 0.021673, "rank_ic_se": 0.004912, "score_t": 3.63, "score_p": 0.0001437, "ir": 0.31,
    "half_life_hours": 4096.0, "turnover": 0.0123456, "net_bps": 0.09, "net_se": 0.36, "effective_ic": 0.02,
    "max_correlation": 0.31, "marginal_ic": 0.011, "oos_ic": 0.0201, "effective_breadth": 14.199, "bars_scored": 5859,
    "sealed_rank_ic": 0.031, "sealed_rank_ic_se": 0.004, "sealed_score_t": 4.1, "sealed_net_bps": 0.62,
    "sealed_net_se": 0.21, "sealed_bars_scored": 3237, "sealed_effective_breadth": 20.9, "sealed_look": 3,
    "sealed_passed": True, "composite": 0.71, "line_t": 2.91, "trials": 36, "overall_pass": True,
    "confirmation_rank_ic": 0.02, "confirmation_rank_ic_se": 0.01, "confirmation_score_p": 0.02,
    "passed_agents": "predictive_power, decay, diversification, overfitting, regimes", "failed_agents": "trading_cost",
}  # fmt: skip


@pytest.mark.parametrize("width", [24, 42, 66])
@pytest.mark.parametrize("whole", [False, True])
def test_a_card_says_value_error_and_gate_of_each_part_and_cuts_no_label(width: int, whole: bool) -> None:
    lines = card_content(record(metrics=SAVED), width=width, whole=whole).plain.split("\n")
    assert max(map(len, lines)) <= max(width, 34), "a long label has a line of its own"
    text = re.sub(r"\s+", " ", "\n".join(lines))
    places = [text.index(f" {part} ") for part in ("research", "confirmation", "sealed")]
    assert places == sorted(places)
    research, sealed = text[places[0] : places[1]], text[places[2] :]
    for said in (
        "rank IC +0.0217 ±0.0049",
        "t +3.63 against 2.91: over it",
        "+0.09 ±0.36 bps a bar, undecided",
        "5,859 bars",
    ):
        assert said in research
    for said in ("+0.0310 ±0.0040", "+0.62 ±0.21 bps a bar, pays", "3,237 bars, 20.9 independent", "look 3 held"):
        assert said in sealed
    assert "5 of 6; missed trading_cost" in text
    assert ("p of the score 0.00014" in text) == whole
    assert ("half-life 4,096 h" in text) == whole
    assert ("more figures" in text) != whole
    labels = [line for line in lines if "confirmation p of the score" in line]
    assert len(labels) == whole, "two labels that begin alike stay two"
    assert not re.search(r"\d\.\d{7}|rank_ic|nan", text)


@pytest.mark.parametrize(
    ("metrics", "said"),
    [
        ({"net_bps": -2.0, "net_se": 0.5}, "loses"),
        ({"net_bps": 0.5}, "error unknown"),
        ({"score_t": 2.0, "line_t": 2.9}, "short of it"),
        ({"sealed_passed": False}, "did not hold"),
        ({"gates": [{"name": "rank_ic", "value": 0.0123456, "comparison": ">=", "threshold": 0.02}]}, "missed"),
    ],
)
def test_what_is_against_a_feature_is_said(metrics: dict[str, object], said: str) -> None:
    assert said in card_content(record(metrics=metrics)).plain


def test_unknown_is_no_figure() -> None:
    text = card_content(record(metrics={"rank_ic": math.nan, "net_bps": None, "score_t": True}), whole=True).plain
    assert "research" not in text
    assert "nan" not in text.lower()


def test_a_p_too_small_for_eight_decimals_is_not_zero() -> None:
    text = card_content(record(metrics={"rank_ic": 0.02, "score_p": 0.0, "confirmation_score_p": 3e-12}), whole=True)
    said = re.sub(r"\s+", " ", text.plain)
    assert "p of the score <5e-09" in said
    assert "confirmation p of the score 3e-12" in said
