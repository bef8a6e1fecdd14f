"""The live target: which columns live bars have, and that discovery, evaluation and promotion keep to them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from midas_engine.errors import SettingsError
from midas_engine.kb import KnowledgeBase
from midas_engine.loops.assessors import PanelAssessor
from midas_engine.market import Panel, load_panel
from midas_engine.market.feeds.target import target_columns
from midas_engine.market.venues import open_venue
from midas_engine.market.venues.base import FUNDING_COLUMNS
from midas_engine.market.venues.live_columns import LIVE, venue_columns
from midas_engine.models import FeatureRecord, FeatureState
from midas_engine.preflight import preflight
from midas_engine.promoter import FeaturePromoter
from midas_engine.settings import load_settings
from tests.helpers_cli import call_midas

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def panel() -> Panel:
    """A slice of the sample with an open interest beside it."""
    whole = load_panel("sample").slice(-900, None)
    interest = 1000.0 + np.cumsum(np.ones(whole.shape), axis=0)
    return Panel(whole.timestamps, whole.symbols, {**whole.fields, "open_interest": interest}, whole.bar_seconds)


@pytest.mark.parametrize("name", sorted(LIVE))
@pytest.mark.parametrize("bar", ["1m", "2h", "1d"])
async def test_the_table_says_what_the_venues_code_gives(name: str, bar: str) -> None:
    pytest.importorskip("ccxt")
    venue = open_venue(name)
    try:
        groups = venue.groups(inverse=False)
    finally:
        await venue.close()
    given = {c for g in groups if not g.lengths or bar in g.lengths for c in g.columns}
    assert set(venue_columns(name, bar)) - {"vwap", "returns"} == given


def test_any_other_venue_has_prices_volume_and_funding() -> None:
    assert set(target_columns("live:gate:BTC_USDT@1h")) == {
        "open", "high", "low", "close", "volume", "returns", *FUNDING_COLUMNS,
    }  # fmt: skip


@pytest.mark.parametrize("text", ["sample", "live:", "live:binance@7x", "binance"])
def test_what_names_no_live_source_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="names no live source"):
        target_columns(text)


def test_a_file_that_grows_says_itself_what_it_has(panel: Panel, tmp_path: Path) -> None:
    panel.save(tmp_path / "panel.parquet")
    assert "open_interest" in target_columns(f"follow:{tmp_path}@grace=5m")


def test_discovery_for_a_target_sees_only_its_columns(panel: Panel) -> None:
    free = PanelAssessor(panel, load_settings(environ={}))
    bound = PanelAssessor(panel, load_settings(environ={}, flags={"target": "live:hyperliquid@1h"}))
    assert "open_interest" in free.columns
    assert set(free.columns) - set(bound.columns) >= {"open_interest"}
    assert set(bound.columns) <= set(venue_columns("hyperliquid", "1h"))


def test_evaluation_names_the_column_the_target_lacks(
    panel: Panel, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    panel.save(tmp_path / "panel.parquet")
    args = ("evaluate", "cs_rank(delta(open_interest, 24))", "--data", str(tmp_path), "--kb", str(tmp_path / "kb"))
    refused = call_midas(capsys, *args, "--for", "live:hyperliquid@1h")
    assert refused.code == 4
    assert "live:hyperliquid@1h gives no open_interest" in refused.err
    assert call_midas(capsys, *args, "--for", "live:binance@1h").code == 0


def test_promotion_refuses_by_name(panel: Panel, tmp_path: Path) -> None:
    kb = KnowledgeBase(tmp_path / "kb")
    promoter = FeaturePromoter(kb)
    for name, text in (("crowd", "cs_rank(delta(open_interest, 24))"), ("gated", "cs_rank(close)")):
        gate = "open_interest - delay(open_interest, 24)" if name == "gated" else ""
        record = FeatureRecord(name, text, FeatureState.CANDIDATE, expected_score=0.05, gate=gate, hold_bars=4)
        promoter.save_candidate(record)
    promoter.close()
    settings = load_settings(environ={}, flags={"target": "live:okx@1m", "kb": str(tmp_path / "kb")})
    for name in ("crowd", "gated"):
        found = preflight(kb, "promote", name, panel, settings)
        assert found.withdrawn == ("live:okx@1m gives no open_interest: it could not be computed there",)
