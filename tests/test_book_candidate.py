"""What a candidate is worth to the book is said before it is promoted, and opens nothing sealed."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from midas_engine.book.candidate import candidate_worth
from midas_engine.cli.open_base import open_base, open_pipeline
from midas_engine.evaluator.context.history_split import split_panel
from midas_engine.market import Panel, load_panel
from midas_engine.models import FeatureRecord, FeatureState
from midas_engine.settings import Settings, load_settings
from tests.helpers_cli import call_midas

if TYPE_CHECKING:
    from midas_engine.kb import KnowledgeBase

DATA = "synthetic:3"
CARRY = "-cs_zscore(funding_rate)"
TREND = "cs_rank(ts_mean(returns(close, 1), 168))"


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    kb = tmp_path_factory.mktemp("worth") / "kb"
    found = load_settings(environ={}, flags={"kb": str(kb), "data": DATA})
    with open_pipeline(found, create=True) as promoter:
        for name, expression in (("trend", TREND), ("carry", CARRY), ("trend_again", TREND)):
            promoter.save_candidate(FeatureRecord(name, expression, FeatureState.CANDIDATE))
        promoter.promote("trend", "for the test", force=True)
    return found


@pytest.fixture(scope="module")
def base(settings: Settings) -> KnowledgeBase:
    return open_base(settings, read_only=True)


def test_sealed_bars_change_nothing(settings: Settings, base: KnowledgeBase) -> None:
    panel = load_panel(DATA)
    worth = candidate_worth(base, base.feature("carry"), panel, settings)
    assert math.isfinite(worth.value)
    assert worth.low < worth.value < worth.high
    sealed = split_panel(panel, settings, max(settings.evaluation.horizons)).sealed
    fields = {name: np.array(values) for name, values in panel.fields.items()}
    for values in fields.values():
        values[sealed] *= np.linspace(1.0, 3.0, sealed.stop - sealed.start)[:, None]
    other = Panel(panel.timestamps, panel.symbols, fields, panel.bar_seconds)
    assert candidate_worth(base, base.feature("carry"), other, settings) == worth


def test_a_copy_of_a_member_is_worth_nothing(settings: Settings, base: KnowledgeBase) -> None:
    panel = load_panel(DATA)
    copy = candidate_worth(base, base.feature("trend_again"), panel, settings)
    carry = candidate_worth(base, base.feature("carry"), panel, settings)
    assert not math.isfinite(copy.value) or abs(copy.value) < 0.05 * abs(carry.value)


def test_a_promotion_says_it_beside_its_verdict(settings: Settings, capsys: Any) -> None:
    ran = call_midas(capsys, "promote", "carry", "--dry-run", "--kb", settings.kb, "--data", DATA)
    assert "marginal net to the book +" in ran.err + ran.out
    assert "predictive_power" in ran.err
