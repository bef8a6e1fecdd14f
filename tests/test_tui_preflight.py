"""Before a promotion the dialog says what stands for and against it today, each line with its figure, by the keys."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

import pytest

from helpers_kb import record
from helpers_tui import press, readable, running, screen_text, type_text, until, write_market
from midas_engine.kb import KnowledgeBase
from midas_engine.promoter import FeaturePromoter
from midas_engine.promoter.preview import Preview, TodaysFigure
from midas_tui.modals.ask import AskModal
from midas_tui.screens.pipeline import PipelineScreen
from midas_tui.shell.pipeline_question import PipelineQuestions, _gate_words
from midas_tui.store import Store
from midas_tui.theme import UNICODE

if TYPE_CHECKING:
    from pathlib import Path

    from textual.pilot import Pilot

LIVE = "-cs_rank(ts_mean(funding_rate, 72))"
NEAR = "-cs_rank(ts_mean(funding_rate, 96))"


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_market(tmp_path_factory.mktemp("market"), days=90)


@pytest.fixture
def kb(tmp_path: Path) -> Path:
    promoter = FeaturePromoter(KnowledgeBase(tmp_path / "kb"))
    promoter.save_candidate(record("carry", expression=LIVE, expected_score=0.02, breadth=5.0))
    promoter.promote("carry", "it is live", force=True)
    more = {"sealed_level": 0.004, "sealed_look": 3, "rank_ic": 0.0217, "rank_ic_se": 0.0049, "score_p": 0.0}
    promoter.save_candidate(record("slow_carry", expression=NEAR, expected_score=0.02, breadth=5.0, metrics=more))
    promoter.close()
    return tmp_path / "kb"


def state(kb: Path) -> str:
    return KnowledgeBase(kb).feature("slow_carry").state.value


async def opened(pilot: Pilot[Any]) -> str:
    """The whole text of the dialog, as it stands behind `p`."""
    app = pilot.app
    assert isinstance(app.screen, PipelineScreen)
    app.screen.show_feature("slow_carry")
    await press(pilot, "p")
    await readable(pilot, AskModal)
    await until(pilot, lambda: not app.screen.deaf)  # type: ignore[attr-defined]
    return "\n".join(line for line, _ in app.screen.question.body)  # type: ignore[attr-defined]


async def test_what_was_saved_is_said_in_the_words_of_its_card(kb: Path, market: Path) -> None:
    async with running(kb, market, mode="pipeline", size=(160, 45)) as (_, pilot):
        (saved,) = [line for line in (await opened(pilot)).split("\n") if line.startswith("saved, research:")]
        assert "rank IC +0.0217 ±0.0049" in saved
        assert not re.search(r" p |_| 0,", saved)


async def test_every_line_of_the_pre_flight_stands_in_the_dialog_and_unmet_ones_need_a_reason(
    kb: Path, market: Path
) -> None:
    async with running(kb, market, mode="pipeline", size=(160, 45)) as (app, pilot):
        text = await opened(pilot)
        figure = r"[+-]?\d[\d.e+-]*"
        for line in (
            r"something is against it: without a reason of yours it is refused",
            r"not met: today [a-z ]+ .*needs [<>]=? ",  # a gate, its value today and what it needs
            r"today, .*market\.parquet: \d{4}-\d\d-\d\d to \d{4}-\d\d-\d\d, its research part",
            rf". rank IC +{figure} ±{figure} +.* >=? {figure}",  # value, error, distance as a bar, gate
            rf"largest correlation with the book {figure}, with carry",
            rf"marginal net to the book {figure} bps/yr \[.*\], on research|marginal net to the book unknown",
            rf"its own death would be noticed in {figure} days, a flip in {figure}",
            rf"death of the whole book would be noticed (in {figure} days with it, .*\(1 members\)|is unknown: .*)",
            rf"its sealed look, number 3 of the lifetime, was charged {figure}; a promotion opens nothing and spends",
            r"same as: midas promote slow_carry",
        ):
            assert re.search(line, text), f"{line}\nis not in\n{text}"
        assert not re.search(r"[a-z]_[a-z]|e\+0", re.sub(r"\S*(/|slow_carry)\S*", "", text)), "nothing raw"
        shown = screen_text(app)
        assert "something is against it" in shown
        assert "Promote all the same" in shown
        await press(pilot, "y")
        assert isinstance(app.screen, AskModal), "y alone is refused"
        assert state(kb) == "candidate"
        await press(pilot, "tab")
        await type_text(pilot, "seen elsewhere")
        await press(pilot, "enter")
        await until(pilot, lambda: state(kb) == "deployed")
        last = KnowledgeBase(kb).feature("slow_carry").history[-1]
        assert last["reason"] == "seen elsewhere"
        assert last.get("forced")


async def test_a_small_screen_shows_what_is_against_it_first_and_scrolls_to_the_rest(kb: Path, market: Path) -> None:
    async with running(kb, market, mode="pipeline", size=(80, 24)) as (app, pilot):
        text = await opened(pilot)
        lines = text.split("\n")
        assert lines[0].startswith("something is against it")
        assert lines[1].startswith("not met: ")
        shown = screen_text(app)
        assert "something is against it" in shown
        assert "Cancel" in shown
        assert "Promote all the same" in shown
        await press(pilot, "escape")
        assert state(kb) == "candidate"


FIGURES = (
    ("rank_ic", 0.0361, 0.0047, ">=", 0.02, True, "✓", "░░░░│███░", "+3.4 se"),
    ("score_t", 3.1, 1.0, ">=", 2.97, True, "●", "░░░░│█░░░", "+0.1 se"),
    ("ir", 0.2, 0.1, ">=", 0.5, False, "✕", "░███│░░░░", "-3.0 se"),
    ("bars_scored", 5580.0, math.nan, ">=", 300.0, True, "✓", "░░░░│████", "19x"),
    ("turnover", 0.2, math.nan, "<=", 0.8, True, "✓", "░░░░│███░", "25% of it"),
    ("max_correlation", 0.9, math.nan, "<=", 0.7, False, "✕", "░░░█│░░░░", "129% of it"),
    ("marginal_ic", math.nan, math.nan, ">", 0.01, False, "◌", " " * 9, "unknown"),
    ("regime_t", 6.1, math.nan, ">=", -2.12, True, "✓", " " * 9, "6.1"),
)


def test_a_gate_shows_how_far_past_it_a_figure_is_and_unmet_met_and_unknown_differ_without_colour() -> None:
    figures = tuple(TodaysFigure("agent", *given[:6]) for given in FIGURES)
    preview = Preview(action="promote", name="x", command="midas promote x", figures=figures, data="sample: 2026")
    words = [text for text, _ in PipelineQuestions(Store(), UNICODE)._todays_words(preview)]
    for gate, *_, sign, bar, distance in FIGURES:
        (line,) = [w for w in words if f" {_gate_words(gate)} " in w]
        assert line.startswith(sign), line
        assert bar in line, line
        assert distance in line, line
        assert len(line) <= 68, "it fits the dialog"
    assert "✕ not met, ◌ unknown, ● met, within its error, ✓ met; the bar: how far past its gate" in words
    assert words.index(next(w for w in words if w.startswith("✕"))) < words.index(
        next(w for w in words if w.startswith("✓"))
    ), "what fails stands first"
