"""Who vouches for a column, and that what nobody vouches for goes to shadow only."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
import pytest

from helpers_kb import START, record
from helpers_promoter import Stage
from midas_engine.errors import TransitionError
from midas_engine.loops.assessors import KnowsProof, PanelAssessor
from midas_engine.market import Panel, SyntheticMarket, load_panel
from midas_engine.market.feeds.grid import panel_between
from midas_engine.market.provenance import unproven
from midas_engine.models import FeatureState
from midas_engine.settings import Settings
from tests.helpers_loops import FixedResearcher, events_of, loop_of
from tests.test_promoter_graduation import ShortAssessor

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

READ = ("close", "returns", "funding_rate")


def test_the_sample_a_venue_and_a_synthetic_market_are_vouched_for_and_a_file_is_not(tmp_path: Path) -> None:
    sample = load_panel("sample")
    assert unproven(sample.provenance, READ) == ()
    assert unproven(sample.slice(5, 50).select(["BTCUSDT"]).provenance, READ) == ()
    assert unproven(SyntheticMarket(3, bars=300, symbols=3).panel().provenance, READ) == ()
    small = sample.slice(0, 30)
    named = Panel(small.timestamps, small.symbols, small.fields, 3600)  # as of anybody's file
    assert unproven(named.provenance, READ) == ("funding_rate",)
    assert sample.snapshot_id == Panel(sample.timestamps, sample.symbols, sample.fields, 3600).snapshot_id
    empty = panel_between(0, 3_600_000, 3600, ("close",), {"A": {}}, {"A": {0: 0.1}}, "binance")
    assert unproven(empty.provenance, READ) == ()
    assert unproven(panel_between(0, 3_600_000, 3600, ("close",), {"A": {}}, {"A": {0: 0.1}}).provenance, READ)


def test_an_assessor_of_a_panel_knows() -> None:
    panel = SyntheticMarket(3, bars=300, symbols=3).panel()
    bare = Panel(panel.timestamps, panel.symbols, panel.fields, 3600)
    assessor = PanelAssessor(bare, Settings())
    assert isinstance(assessor, KnowsProof)
    assert assessor.unproven(READ) == ("funding_rate",)


class FileAssessor(ShortAssessor):
    """Its columns came from a file."""

    def unproven(self, columns: Iterable[str]) -> tuple[str, ...]:
        return unproven({}, columns)


async def test_a_session_notes_what_its_find_reads(tmp_path: Path) -> None:
    loop = loop_of(tmp_path, FixedResearcher(["cs_rank(-funding_rate * close)"]))
    await events_of(loop, FileAssessor(1e-6))
    assert loop.kb.features()[0].metrics["unproven"] == "funding_rate"


@pytest.mark.parametrize(("mean", "confirmed"), [(0.2, True), (0.0, False)])
def test_what_nobody_vouches_for_is_promoted_when_its_forward_bars_confirm_it(
    tmp_path: Path, mean: float, confirmed: bool
) -> None:
    stage = Stage(tmp_path)
    kept = record("carry")
    stage.promoter.save_candidate(dataclasses.replace(kept, metrics=kept.metrics | {"unproven": "open_interest"}))
    with pytest.raises(TransitionError, match="it reads open_interest, which came from a file .* to shadow only"):
        stage.promoter.promote("carry")
    stage.promoter.shadow("carry")
    for t, score in enumerate(np.random.default_rng(4).normal(mean, 1.0, 600), 1):
        stage.promoter.journal.record_shadow("carry", START + timedelta(hours=t), {"score": score})
    if confirmed:
        assert stage.promoter.promote("carry").state is FeatureState.DEPLOYED
        return
    with pytest.raises(TransitionError, match=r"ln e \d.\d of 3.0 after 600 forward bars"):
        stage.promoter.promote("carry")
