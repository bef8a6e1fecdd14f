"""What a worker holds: bounded by a setting, mapped where it can be, and never of weight in a verdict."""

from __future__ import annotations

import mmap
from typing import TYPE_CHECKING

import numpy as np
import pytest

from midas_engine.evaluator import DEFAULT_THRESHOLDS
from midas_engine.evaluator.context import horizons
from midas_engine.evaluator.context.horizons import PartReturns
from midas_engine.executor_settings import ExecutorSettings
from midas_engine.hypothesis import Hypothesis
from midas_engine.loops.worker import PanelJudge
from midas_engine.market import SyntheticMarket
from midas_engine.market.shared_panel import SharedPanel
from midas_engine.proposer import Proposal
from midas_engine.settings import EvaluationSettings, Settings

if TYPE_CHECKING:
    from midas_engine.market import Panel

TEXTS = [f"ts_zscore({column}, {n})" for column in ("returns", "volume", "vwap") for n in (12, 24, 36)]
BESIDE = {"carry": "-cs_zscore(funding_rate)"}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> SharedPanel:
    return SharedPanel.write(SyntheticMarket(5, bars=2000, symbols=12).panel(), tmp_path_factory.mktemp("shared"))


def _aimed(name: str, text: str, horizon: int) -> Proposal:
    return Proposal(name, text, hypothesis=Hypothesis(horizon=horizon))


def _settings(cache_mb: int) -> Settings:
    # The target is none of the first: the shortest horizon, the target and the others each go their own way.
    return Settings(evaluation=EvaluationSettings(target=4), executor=ExecutorSettings(cache_mb=cache_mb))


def _told(judge: PanelJudge) -> list[str]:
    """What a session may ask of a worker, in an order in which contexts make room for one another."""
    found: list[object] = [judge.power(10, 0.01, DEFAULT_THRESHOLDS)]
    for _ in range(2):  # the second time some of it is kept
        found += [judge.screened(TEXTS), judge.family(TEXTS[:4], 0.05)]
        for k, text in enumerate(TEXTS[:5]):
            # Some aim elsewhere: at a horizon that is given, and at one that is compounded.
            proposal = _aimed(f"f{k}", text, (0, 24, 7)[k % 3])
            found.append(judge.judge(proposal, "research", 10, DEFAULT_THRESHOLDS))
        found.append(judge.judge(Proposal("last", TEXTS[0]), "sealed", 10, DEFAULT_THRESHOLDS))
    return [repr(figure) for figure in found]


@pytest.fixture(scope="module")
def plenty(shared: SharedPanel) -> list[str]:
    """What is told by a worker that has room for all of it."""
    return _told(PanelJudge(shared.open(), _settings(96), BESIDE))


@pytest.mark.parametrize("large", [False, True])
def test_what_a_worker_keeps_is_bounded_and_moves_no_bit(
    shared: SharedPanel, plenty: list[str], large: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if large:  # returns are made when they are asked for, as on the year of 200 symbols
        monkeypatch.setattr(horizons, "LARGE_BYTES", 0)
    settings = _settings(1)
    judge = PanelJudge(shared.open(), settings, BESIDE)
    assert _told(judge) == plenty
    allowed = settings.executor.cache_bytes // 2
    assert 0 < judge.kept.used <= allowed == judge.kept.budget
    assert 0 < judge.ranks.used <= allowed == judge.ranks.budget
    assert list(judge._contexts) == ["sealed"]  # one part at a time
    context = judge.context("research")
    assert isinstance(context.returns, PartReturns)
    assert set(context.returns._kept) == ({1, 4} if large else {1, 4, 8, 24, 48})
    assert context.deployed.names == ("carry",)
    assert context._existing == {}  # ranked and squared, and not kept beside that


def test_no_budget_at_all_says_the_same(shared: SharedPanel, plenty: list[str]) -> None:
    judge = PanelJudge(shared.open(), _settings(0), BESIDE)
    assert _told(judge) == plenty
    assert judge.kept.used == judge.ranks.used == 0


def test_a_quarter_of_the_memory_limit_is_the_most_that_is_kept() -> None:
    assert ExecutorSettings(cache_mb=96).cache_bytes == 96_000_000
    assert ExecutorSettings(cache_mb=96, memory_mb=200).cache_bytes == 50_000_000
    assert ExecutorSettings(cache_mb=96, memory_mb=8000).cache_bytes == 96_000_000


def test_what_is_screened_lies_in_the_mapped_panel(shared: SharedPanel) -> None:
    judge = PanelJudge(shared.open(), _settings(1), {})
    for part in (judge.screen._first, judge.screen._whole):
        for name in judge.panel.columns:  # derived ones too
            values = part.values(name)
            assert np.shares_memory(values, judge.panel.values(name))
            assert isinstance(_owner(values), mmap.mmap)
        assert part.snapshot_id == judge.panel.slice(0, part.T).snapshot_id


def test_a_horizon_says_the_same_whoever_was_judged_before(shared: SharedPanel) -> None:
    """What is deployed is squared by folds, and folds belong to a target: it was the first candidate's."""
    far, near = _aimed("far", TEXTS[0], 48), Proposal("near", TEXTS[1])
    told = []
    for order in ((far, near), (near, far)):
        judge = PanelJudge(shared.open(), _settings(96), BESIDE)
        verdicts = {p.name: judge.judge(p, "research", 10, DEFAULT_THRESHOLDS) for p in order}
        told.append([repr(verdicts[name]) for name in ("far", "near")])
    assert told[0] == told[1]


def test_horizons_of_single_candidates_make_room(shared: SharedPanel) -> None:
    judge = PanelJudge(shared.open(), _settings(96), {})
    for horizon in range(5, 45):
        judge.judge(_aimed("visitor", TEXTS[0], horizon), "research", 10, DEFAULT_THRESHOLDS)
    made = judge.context("research").made
    given = set(judge.settings.evaluation.horizons) | {4}
    for kept in (made._extra, made._horizons, made._scaled, made._paid):
        assert len(set(kept) - given) <= horizons._VISITORS
    assert 44 in made._scaled


def _owner(values: object) -> object:
    while (base := getattr(values, "base", None)) is not None or isinstance(values, memoryview):
        values = values.obj if isinstance(values, memoryview) else base
    return values


def test_a_panel_without_a_folder_is_headed_alike() -> None:
    panel: Panel = SyntheticMarket(5, bars=300, symbols=3).panel()
    head = panel.head(200)
    assert head.shape == (200, 3)
    assert head.columns == panel.columns
    for name in panel.columns:
        np.testing.assert_array_equal(head.values(name), panel.slice(0, 200).values(name))
