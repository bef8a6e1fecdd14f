"""The look of pages: words and lines can be read in the light, in the dark and on paper; tables are aligned."""

from __future__ import annotations

import re
from typing import Any

import pytest

from midas_engine.evaluator.reports.tearsheet_words import groups, reasons
from midas_engine.html_page import BAD, GOOD, INK, LINES, SOFT, STYLE, drawn, table

WORDS = ("ink", "good", "bad", "quiet")


def variables(part: str) -> dict[str, str]:
    return dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", part))


LIGHT = variables(STYLE.partition("@media")[0])
DARK = variables(STYLE.partition("prefers-color-scheme: dark")[2].partition("@media print")[0])
PAPER = LIGHT | variables(STYLE.partition("@media print")[2])


def luminance(rgb: tuple[float, float, float]) -> float:
    red, green, blue = (v / 12.92 if v <= 0.03928 else ((v + 0.055) / 1.055) ** 2.4 for v in rgb)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def channels(colour: str) -> tuple[float, float, float]:
    red, green, blue = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return red, green, blue


def contrast(one: tuple[float, float, float], other: tuple[float, float, float]) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def turned(colour: str, page: str) -> tuple[float, float, float]:
    """What the filter of the dark makes of a plot's colour: inverted, its hue turned half round, screened."""
    red, green, blue = (1.0 - v for v in channels(colour))
    turned = (
        -0.574 * red + 1.430 * green + 0.144 * blue,
        0.426 * red + 0.430 * green + 0.144 * blue,
        0.426 * red + 1.430 * green - 0.856 * blue,
    )
    found = [1.0 - (1.0 - min(1.0, max(0.0, v))) * (1.0 - p) for v, p in zip(turned, channels(page), strict=True)]
    return found[0], found[1], found[2]


@pytest.mark.parametrize("look", [LIGHT, LIGHT | DARK, PAPER], ids=["light", "dark", "paper"])
def test_every_word_can_be_read_on_every_ground(look: dict[str, str]) -> None:
    for word in WORDS:
        for ground in ("page", "soft"):
            assert contrast(channels(look[word]), channels(look[ground])) >= 4.5, (word, ground)


def test_every_line_of_a_plot_can_be_seen_in_the_light_and_in_the_dark() -> None:
    for colour in (INK, GOOD, BAD, SOFT, *LINES):
        assert contrast(channels(colour), (1.0, 1.0, 1.0)) >= 3.0, colour
        assert contrast(turned(colour, DARK["page"]), channels(DARK["page"])) >= 3.0, colour


def test_paper_breaks_no_table_and_has_two_plots_a_row() -> None:
    paper = STYLE.partition("@media print")[2]
    assert "break-inside: avoid" in paper
    assert "grid-template-columns: 1fr 1fr" in paper
    assert "filter: none" in paper


def test_a_table_aligns_its_figures_and_names_its_columns_again_on_a_new_sheet() -> None:
    found = table(("member", "net", "since"), [("a", "+1.0 [0.2, 1.8]", "2025-01-02"), ("b", "unknown", "2025-02-03")])
    assert "<thead><tr><th>member</th><th class=n>net</th><th>since</th></tr></thead>" in found
    assert "<td class=n>unknown</td><td>2025-02-03</td>" in found


def test_figures_say_their_unit_and_nothing_that_is_not_known() -> None:
    evaluation = {
        "net_bps": -4.4, "extra": {"net": {"se": 0.334}}, "coverage": 0.985, "half_life_known": False,
        "half_life_hours": {"value": 2.0, "low": 0.8, "high": 7.1}, "bars_per_year": 8760.0, "max_correlation": 0.0,
    }  # fmt: skip
    found = {name: dict(rows) for name, rows in groups(evaluation, deployed=False)}
    assert found["Money"]["net of costs"] == "-4.4 [-4.95, -3.85] bps a bar"
    assert found["Over what"] == {"cells known": "98.5 %", "bars a year": "8,760"}
    assert found["Does it last"] == {"half-life": "unknown"}
    assert found["Beside the book"] == {"nothing is deployed": "it would be the only member"}


def test_why_it_was_refused_is_told_in_words() -> None:
    told = dict(
        reasons(
            "refused\n  trading_cost: effective_ic -0.2269, needs > 0.0000, short by 0.2269  (upper 90 % end)\n"
            "  weakest regime: HIGH_VOL (t 0.77)\n  - turnover 0.82 a bar is above 0.8: use longer windows"
        )
    )
    assert told == {
        "Refused by": ["trading cost: IC after costs -0.2269, needs > 0.0000, short by 0.2269  (upper 90 % end)"],
        "What the figures say": ["Weakest regime: HIGH_VOL (t 0.77)"],
        "What would help": ["Turnover 0.82 a bar is above 0.8: use longer windows"],
    }


def test_the_ticks_of_money_have_their_thousands_apart() -> None:
    kept: list[Any] = []

    def draw(axes: Any, figures: list[float]) -> None:
        axes.plot(figures)
        kept.append(axes)

    drawn(draw, [0.0, 9000.0])
    drawn(draw, [0.0, 0.04])
    assert [axes.yaxis.get_major_formatter()(value, 0) for axes, value in zip(kept, (9000.0, 0.02), strict=True)] == [
        "9,000",
        "0.020",
    ]
