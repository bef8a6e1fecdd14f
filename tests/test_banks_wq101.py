"""The 101 formulaic alphas: values by the paper's own formulas, streams, and where a history begins."""

from __future__ import annotations

import pytest

from midas_engine.banks import read_bank
from tests.helpers_banks import Kakushadze, formulas
from tests.helpers_conformance import Conformance, market

BANK = read_bank("wq101")


@pytest.fixture(scope="module")
def bank() -> Conformance:
    return Conformance({entry.name: entry.expression for entry in BANK.entries}, market())


def test_the_whole_list_is_written_inside_the_limits() -> None:
    assert [entry.name for entry in BANK.entries] == [f"alpha_{n:03d}" for n in range(1, 102)]
    assert BANK.bad == ()
    assert any("arXiv:1601.00991" in line for line in BANK.source)


def test_values_are_those_of_the_papers_formulas(bank: Conformance) -> None:
    written = {f"alpha_{n:03d}": formula for n, formula in formulas("wq101").items()}
    wrong, ties = bank.wrong(lambda sign: Kakushadze(dict(bank.columns), sign=sign), written)
    assert wrong == {}
    assert ties < 0.02


def test_a_stream_says_what_the_batch_says_to_the_bit(bank: Conformance) -> None:
    assert bank.streamed_otherwise() == {}


def test_values_do_not_depend_on_where_the_history_began(bank: Conformance) -> None:
    assert bank.begun_otherwise() == {}
