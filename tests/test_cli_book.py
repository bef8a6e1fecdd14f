"""`midas book`: members, weights with a digest, a tear sheet that asks nobody, and what an empty book says."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import re
from typing import TYPE_CHECKING, Any

import pytest

from midas_engine.book.build import book_of
from midas_engine.book.rows import member_rows, summary_rows
from midas_engine.book.tearsheet import markdown, page
from midas_engine.book.weights_out import weights_document
from midas_engine.cli.open_base import open_base, open_pipeline
from midas_engine.market import Panel, load_panel
from midas_engine.models import FeatureRecord, FeatureState
from midas_engine.settings import Settings, load_settings
from tests.helpers_cli import call_midas

if TYPE_CHECKING:
    from pathlib import Path

    from midas_engine.book.figures import BookFigures

DATA = "synthetic:3"
FEATURES = {
    "funding_carry": "-cs_zscore(funding_rate)",
    "momentum": "cs_rank(ts_mean(returns(close, 1), 168))",
    "noise": "cs_rank(ts_mean(volume, 5))",
    "elsewhere": "cs_rank(no_such_column)",
}


def promote(settings: Settings, features: dict[str, str]) -> None:
    with open_pipeline(settings, create=True) as promoter:
        for name, expression in features.items():
            promoter.save_candidate(FeatureRecord(name, expression, FeatureState.CANDIDATE))
            promoter.promote(name, "for the test", force=True)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    kb = tmp_path_factory.mktemp("book") / "kb"
    found = load_settings(environ={}, flags={"kb": str(kb), "data": DATA})
    promote(found, FEATURES)
    return found


@pytest.fixture(scope="module")
def panel() -> Panel:
    return load_panel(DATA)


@pytest.fixture(scope="module")
def book(settings: Settings, panel: Panel) -> BookFigures:
    return book_of(open_base(settings, read_only=True), panel, settings)


def test_every_member_has_a_weight_and_a_worth_with_its_error(book: BookFigures) -> None:
    assert {m.name for m in book.members} == set(FEATURES) - {"elsewhere"}
    assert dict(book.left_out)["elsewhere"].count("no_such_column")
    assert sum(m.weight for m in book.members) <= 1.0
    first = book.members[0]
    assert first.weight > 0.3
    assert first.marginal.low < first.marginal.value < first.marginal.high
    assert book.forecast.year.low < book.forecast.sharpe.low < book.forecast.sharpe.high < book.forecast.year.high
    assert sum(abs(x) for x in book.holdings.values()) <= 1.0 + 1e-9
    assert max(abs(x) for x in book.holdings.values()) <= 0.25 + 1e-9
    assert 0.0 < book.turnover < 1.05 * book.members_turnover  # one member rules; caps cost a few trades
    assert book.capacity_usd > 0.0
    assert book.drawdown_bps > 0.0


def test_the_text_says_unknown_and_never_nan(book: BookFigures) -> None:
    bare = dataclasses.replace(book, capacity_usd=math.nan, drawdown_bps=math.nan, days_to_notice=math.nan)
    rows = dict(summary_rows(bare))
    assert rows["Capacity"].startswith("unknown")
    assert rows["Drawdown"] == rows["A death of all"] == "unknown"
    words = str(member_rows(bare)) + str(rows) + markdown(bare)
    assert "nan" not in words.lower().replace("finance", "")


def test_weights_leave_with_a_digest_of_what_is_traded(book: BookFigures) -> None:
    document = weights_document(book)
    body = {key: value for key, value in document.items() if key != "digest"}
    text = json.dumps(body, sort_keys=True, separators=(",", ":"))
    assert document["digest"] == hashlib.sha256(text.encode()).hexdigest() == book.digest
    assert all(m["version"] == 1 and m["expression"] for m in document["members"])
    other = dataclasses.replace(book, capital_usd=1.0)
    assert weights_document(other)["digest"] != book.digest


def test_a_tear_sheet_asks_nobody(book: BookFigures) -> None:
    text = page(dataclasses.replace(book, data="<script>x"))
    assert text.count("data:image/png;base64,") == 2
    assert "http" not in text
    assert "<script" not in text
    assert "funding_carry" in markdown(book)
    headed = r"(?:<h2>[^<]+</h2>)<table>(?:<thead>)"
    assert len(re.findall(headed, text)) == text.count("<table>") > 0, "each table says what it is, and so its columns"
    tables = [part for part in markdown(book).split("\n\n") if part.startswith("|")]
    heads = [line for line in markdown(book).split("\n") if line.startswith("## ")]
    assert len(tables) == len(heads)


def test_neutral_books_hold_as_much_long_as_short(settings: Settings, panel: Panel) -> None:
    flat = dataclasses.replace(settings, book=dataclasses.replace(settings.book, neutrality="dollar"))
    held = book_of(open_base(settings, read_only=True), panel, flat).holdings
    assert abs(sum(held.values())) < 1e-9
    assert held


def test_the_verb_prints_and_writes(settings: Settings, book: BookFigures, tmp_path: Path, capsys: Any) -> None:
    sheet = tmp_path / "book.html"
    ran = call_midas(capsys, "book", "--kb", settings.kb, "--data", DATA, "--tearsheet", str(sheet))
    assert ran.code == 0, ran.err
    assert "marginal net bps/yr" in ran.out
    assert "Not in the book: elsewhere" in ran.out
    assert "<img" in sheet.read_text()
    assert book.digest[:16] in ran.out  # the same data and base, the same book


def test_an_empty_book_says_what_to_do(tmp_path: Path, capsys: Any) -> None:
    kb = str(tmp_path / "kb")
    with open_pipeline(load_settings(environ={}, flags={"kb": kb}), create=True):
        pass
    ran = call_midas(capsys, "book", "--kb", kb)
    assert ran.code == 0
    assert "midas promote NAME" in ran.out
    assert call_midas(capsys, "book", "--kb", kb, "--weights", "--json").document["members"] == []
