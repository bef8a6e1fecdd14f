"""Features that are used by name inside other expressions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from helpers_dsl import make_panel
from midas_engine.cli.judging import named_features
from midas_engine.dsl import FeatureEngine, StreamEngine, explain, parse
from midas_engine.errors import ExpressionError
from midas_engine.kb import KnowledgeBase
from midas_engine.loops.worker import PanelJudge
from midas_engine.market import SyntheticMarket
from midas_engine.models import FeatureRecord, FeatureState
from midas_engine.proposer.protocol import Proposal
from midas_engine.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

NAMES = {"gain": "returns(close, 4)", "strong": "ts_zscore(gain, 24)", "calm": "-ts_std(gain, 24)"}


def test_names_resolve_through_names() -> None:
    parsed = parse("cs_rank(strong + calm)", columns=["close"], features=NAMES)
    plain = parse("cs_rank(ts_zscore(returns(close, 4), 24) - ts_std(returns(close, 4), 24))", columns=["close"])
    assert parsed.lineage == ("calm", "gain", "strong")
    assert parsed.canonical == plain.canonical
    assert parsed.hash == plain.hash
    assert parsed.lookback == plain.lookback


def test_standalone_text_needs_no_names() -> None:
    parsed = parse("cs_rank(strong) * 2", columns=["close"], features=NAMES)
    alone = parse(parsed.standalone, columns=["close"])
    assert alone.canonical == parsed.canonical
    assert alone.lineage == ()
    assert parse("close * 2").standalone == "close * 2"


def test_batch_and_stream_agree() -> None:
    panel = make_panel(2, 90, 4)
    text = "cs_rank(strong) + calm"
    batch = FeatureEngine(panel, features=NAMES, cache_bytes=0).values(text)
    engine = StreamEngine({**NAMES, "f": text}, tuple(panel.fields), panel.symbols)
    rows = [engine.update({c: v[t] for c, v in panel.fields.items()})["f"] for t in range(panel.T)]
    assert np.array_equal(np.array(rows), batch, equal_nan=True)


@pytest.mark.parametrize(
    "features",
    [{"a": "a + 1"}, {"a": "b + 1", "b": "a * 2"}, {"a": "ts_mean(b, 4)", "b": "c", "c": "close + b"}],
)
def test_circles_are_refused(features: dict[str, str]) -> None:
    with pytest.raises(ExpressionError, match="in a circle"):
        parse("a", columns=["close"], features=features)


def test_a_broken_part_is_named() -> None:
    with pytest.raises(ExpressionError, match="feature 'gain'"):
        parse("gain * 2", columns=["close"], features={"gain": "delay(close, -1)"})


def test_explain_tells_the_lineage() -> None:
    text = explain(parse("cs_rank(strong)", columns=["close"], features=NAMES))
    assert "built on   gain, strong" in text


def test_deployed_and_candidate_features_of_a_base_have_names(tmp_path: Path) -> None:
    base = KnowledgeBase(tmp_path / "kb")
    for name, state in (("gain", FeatureState.CANDIDATE), ("calm", FeatureState.DEPLOYED)):
        base.write_feature(FeatureRecord(name=name, expression="returns(close, 4)", state=state))
    base.write_feature(FeatureRecord(name="gone", expression="close", state=FeatureState.ARCHIVED))
    assert set(named_features(Settings(kb=str(tmp_path / "kb")))) == {"gain", "calm"}
    assert named_features(Settings(kb=str(tmp_path / "none"))) == {}


def test_finds_of_a_session_have_names() -> None:
    judge = PanelJudge(
        SyntheticMarket(3, bars=1500, symbols=11).panel(), Settings(), {"carry": "ts_mean(funding_rate, 8)"}
    )
    found = {"gain": "-delta(close, 4)"}
    verdict = judge.judge(Proposal("f", "cs_rank(carry) - cs_rank(gain)"), "research", 2, {}, found)
    plain = judge.judge(
        Proposal("f", "cs_rank(ts_mean(funding_rate, 8)) - cs_rank(-delta(close, 4))"),
        "research",
        2,
        {},
        found,
    )
    assert verdict.evaluation.rank_ic == plain.evaluation.rank_ic
