"""Pages that leave Midas say first what matters, in groups with units, in one look for screen, dark and paper."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from helpers_tui_parts import scripted_book
from midas_engine.book.tearsheet import first_sentence, markdown, page
from midas_engine.evaluator.reports.tearsheet_words import first_sentences, groups
from midas_engine.html_page import document
from midas_engine.models import Estimate


def sheet(net: float | None, se: float | None, gross: float = 1.0, ic: float = 0.0184) -> dict[str, Any]:
    evaluation = {
        "rank_ic": {"value": ic, "se": 0.004, "low": ic - 0.0066, "high": ic + 0.0066},
        "net_bps": net, "gross_bps": gross, "turnover": 0.43229758, "bars_scored": 6088, "half_life_hours": None,
        "half_life_known": False, "something_new": 0.5, "extra": {} if se is None else {"net": {"se": se}}, "folds": [],
    }  # fmt: skip
    return {
        "verdict": {
            "overall_pass": False,
            "failed_agents": ["trading_cost", "decay_analysis"],
            "evaluation": evaluation,
        }
    }


@pytest.mark.parametrize(
    ("figures", "said"),
    [
        (sheet(-3.0, 0.5, -0.4), "the ranks are right more often, and the large moves go against them"),
        (sheet(-3.0, 0.5, 0.4), "A positive IC that loses money: trading costs more than the ranks earn"),
        (sheet(-3.0, 0.5), "-3.00 bps a bar after costs [-3.82, -2.18]: it loses"),
        (sheet(0.2, 0.5), "undecided"),
        (sheet(2.0, 0.5), "it pays"),
        (sheet(2.0, None), "its error is unknown"),
        (sheet(None, None), "what it earns after costs is unknown"),
    ],
)
def test_a_sheet_begins_with_how_it_ended_and_what_it_earns(figures: dict[str, Any], said: str) -> None:
    told = first_sentences(figures)
    assert told.startswith("Refused by trading cost and decay analysis. Rank IC +0.0184 [0.0118, 0.0250]; ")
    assert said in told
    assert ("A positive IC that loses" in told) == (figures["verdict"]["evaluation"]["net_bps"] == -3.0)


def test_every_figure_stands_in_a_group_in_words_with_its_unit() -> None:
    evaluation = sheet(-3.0, 0.5)["verdict"]["evaluation"]
    found = dict(groups(evaluation))
    assert ("turnover", "0.432 of the book a bar") in found["Money"]
    assert ("rank IC", "0.0184 [0.0118, 0.025]") in found["Skill"]
    assert ("bars scored", "6,088") in found["Over what"]
    assert found["Else"] == [("something new", "0.5")], "a figure that is new is shown, and no flag is a figure"
    assert not any("_" in name for rows in found.values() for name, _ in rows)


def test_the_book_begins_with_what_it_earned() -> None:
    book = scripted_book()
    earned = "1 of 2 members hold weight; net of costs +812 [154, 1,470] bps a year: more"
    assert first_sentence(book).startswith(earned)
    assert first_sentence(replace(book, net=Estimate(-9.0, 1.0, -11.0, -7.0))).endswith("a loss beyond chance.")
    assert first_sentence(replace(book, members=())).startswith("The book is empty")
    assert first_sentence(book) in markdown(book)
    text = page(book)
    assert text.index(first_sentence(book)) < text.index("<table>")
    assert text.count("<figcaption>") == 2


def test_a_page_is_read_in_the_light_in_the_dark_and_on_paper() -> None:
    text = document("a < b", "<p>x</p>")
    assert "<title>a &lt; b</title>" in text
    for needed in ("prefers-color-scheme: dark", "@media print", "color-scheme: light dark"):
        assert needed in text
    assert "<script" not in text
    assert "http" not in text
