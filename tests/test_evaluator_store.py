"""What the evaluator takes from a store: one data set while bars are appended, and a boundary that never moves."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
import pytest

from midas_engine.clock import ManualClock
from midas_engine.errors import EvaluationError
from midas_engine.evaluator import EvaluationContext, split_panel
from midas_engine.evaluator.context.history_split import Parts
from midas_engine.loops import PanelAssessor
from midas_engine.market import Panel
from midas_engine.market.shared_panel import read_panel, share_panel
from midas_engine.market.store import MarketStore, Provenance
from midas_engine.settings import ModelSettings, Settings

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 1, 1, tzinfo=UTC)
GIVEN = Provenance("fetched", "x", "candles", NOW)


@pytest.fixture
def store(tmp_path: Path) -> MarketStore:
    store = MarketStore(tmp_path / "store", clock=ManualClock(NOW))
    _grow(store, 0, 1000)
    return store


def _grow(store: MarketStore, start: int, stop: int) -> None:
    times = np.datetime64("2025-01-01", "ns") + np.arange(start, stop) * np.timedelta64(1, "h")
    rng = np.random.default_rng(start)
    close = np.exp(np.cumsum(rng.normal(0, 0.01, (stop - start, 3)), axis=0))
    store.append_panel("x", Panel(times, ("A", "B", "C"), {"close": close}, 3600), GIVEN)


def _split(store: MarketStore, source: str = "store:x", settings: Settings | None = None) -> Parts:
    return split_panel(store.panel(source), settings or Settings(), 1)


def test_appended_bars_are_sealed_and_unseal_nothing(store: MarketStore) -> None:
    before = _split(store)
    identity = PanelAssessor(store.panel("store:x"), Settings()).snapshot_id
    assert Parts.bars(before.sealed) == 350
    _grow(store, 1000, 1400)
    after = _split(store)
    assert after.research == before.research
    assert after.sealed == slice(650, 1400)
    assessor = PanelAssessor(store.panel("store:x"), Settings())
    assert assessor.snapshot_id == identity, "old trial keys stay valid"
    rows = EvaluationContext.from_panel(store.panel("store:x"), rows=after.research)
    assert rows.snapshot_id == identity
    assert _split(store, "store:x:A,B") == after, "another universe takes the boundary over"
    assert PanelAssessor(store.panel("store:x:A,B"), Settings()).snapshot_id != identity


def test_the_first_use_decides_whatever_share_is_set_later(store: MarketStore) -> None:
    first = PanelAssessor(store.panel("store:x"), Settings())
    assert store.series("store:x").seals[0].sealed_from == 1735689600 + 650 * 3600
    smaller = Settings(evaluation=type(Settings().evaluation)(sealed_share=0.2))
    assert _split(store, settings=smaller).sealed.start == 650
    assert PanelAssessor(store.panel("store:x"), smaller).snapshot_id == first.snapshot_id


def test_a_model_that_knows_some_sealed_bars_is_judged_on_the_others(store: MarketStore) -> None:
    _split(store)
    knows = Settings(model=ModelSettings(model="m", cutoffs={"m": "2025-02-05"}))
    ends = knows.model.knowledge_ends
    assert ends is not None
    parts = _split(store, settings=knows)
    assert parts.research == slice(0, 649)
    assert str(store.panel("store:x").timestamps[parts.sealed.start])[:19] == ends.isoformat()[:19]
    late = Settings(model=ModelSettings(model="m", cutoffs={"m": "2025-06-05"}))
    with pytest.raises(EvaluationError, match="nothing for the sealed"):
        _split(store, settings=late)


def test_workers_see_the_same_boundary(store: MarketStore, tmp_path: Path) -> None:
    _split(store)
    _grow(store, 1000, 1100)
    panel = store.panel("store:x")
    (tmp_path / "shared").mkdir()
    share_panel(panel, tmp_path / "shared")
    copy = read_panel(tmp_path / "shared")
    assert (copy.identity, copy.snapshot_id) == (panel.identity, panel.snapshot_id)
    assert split_panel(copy, Settings(), 1) == split_panel(panel, Settings(), 1)


def test_a_panel_that_is_what_it_is_goes_by_its_content(tmp_path: Path) -> None:
    times = np.datetime64("2025-01-01", "ns") + np.arange(200) * np.timedelta64(1, "h")
    panel = Panel(times, ("A",), {"close": np.arange(200.0)[:, None] + 1}, 3600)
    assert panel.identity == panel.snapshot_id
    assert split_panel(panel, Settings(), 1).sealed == slice(130, 200)
