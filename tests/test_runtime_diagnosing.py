"""Diagnosis in the runtime: recordings that diagnose and kill by themselves, and the operator's question."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from midas_engine.clock import ManualClock
from midas_engine.errors import MonitorError
from midas_engine.evaluator.metrics.reference_score import measure_reference
from midas_engine.events import AlertRaised, DiagnosisFinished, FeatureMoved
from midas_engine.kb import KnowledgeBase
from midas_engine.market import SyntheticMarket, load_panel
from midas_engine.models import FeatureRecord, FeatureState
from midas_engine.promoter import FeaturePromoter
from midas_engine.runtime import Runtime
from midas_engine.runtime import recording as watch
from midas_engine.settings import Settings
from tests.helpers_monitor import START

if TYPE_CHECKING:
    from pathlib import Path

    from midas_engine.runtime.recorded_bars import Recording


@pytest.fixture(scope="module")
def recording() -> Recording:
    return watch.prepare(load_panel("synthetic"), [], Settings(), source="synthetic", replay=True)


def _play(recording: Recording, first: int, last: int, stage: Any = None) -> tuple[Any, list[Any]]:
    stage = stage or recording.stage(Settings(), ManualClock(START), kills=True)
    return stage, [event for bar in range(first, last) for event in stage.run_bar(bar, shown=False)]


def test_the_synthetic_replay_shows_a_decay_a_flip_and_a_slippage_shock(recording: Recording) -> None:
    broken = int(8760 * 0.75)
    assert recording.shown < broken  # it begins before anything breaks
    stage, events = _play(recording, 0, recording.stage(Settings(), ManualClock(START)).bars)
    shown = recording.times[recording.shown - recording.first]
    after = recording.times[broken - recording.first]
    called = {e.alert.feature: e.at for e in events if isinstance(e, AlertRaised) and e.alert.rule == "detector"}
    assert shown < after < called["range_position"] < called["volume_reversal"]
    said = {(e.feature, e.result.cause) for e in events if isinstance(e, DiagnosisFinished) and e.result}
    assert {("range_position", "true_decay"), ("volume_reversal", "true_decay"), ("funding_carry", "cost")} <= said
    killed = {e.feature: e.at for e in events if isinstance(e, FeatureMoved)}
    assert set(killed) == {"range_position", "volume_reversal"}
    assert killed["range_position"] > called["range_position"]
    assert {stage.fleet.status(stage.fleet.names.index(n)) for n in killed} == {"killed"}
    diagnosed = [a for a in stage.alerts.alerts(include_resolved=True) if a.rule == "detector"]
    assert all(a.diagnosis for a in diagnosed)
    # Nobody can answer for what is stopped: it was counted, and asked for, to the end of the recording.
    assert {a.closed for a in diagnosed if a.feature in killed} == {"killed"}
    assert not [a for a in stage.alerts.alerts() if a.feature in killed]


def test_a_recording_that_is_rewound_tells_the_same_again(recording: Recording) -> None:
    first = recording.shown - recording.first + 300
    stage, _ = _play(recording, 0, first)
    held = stage.state()
    _, once = _play(recording, first, first + 200, stage)
    assert [e for e in once if isinstance(e, FeatureMoved)]
    stage.restore(held)
    assert stage.fleet.kills.killed == frozenset()
    _, again = _play(recording, first, first + 200, stage)
    assert list(map(repr, once)) == list(map(repr, again))


async def test_the_operators_question_is_answered_in_the_base(tmp_path: Path) -> None:
    panel = SyntheticMarket(3, bars=2200, symbols=16, ics=(0.06, 0.08, 0.06), decay_at=0.8).panel()
    panel.save(tmp_path / "bars.parquet")
    kb = KnowledgeBase(tmp_path / "kb")
    promoter = FeaturePromoter(kb)
    text = "cs_zscore((close - low) / (high - low))"
    from midas_engine.dsl import FeatureEngine

    reference, _ = measure_reference(panel, FeatureEngine(panel).values(text), slice(0, 1700))
    assert reference is not None
    promoter.save_candidate(FeatureRecord("place", text, FeatureState.CANDIDATE))
    promoter.promote(
        "place", "never measured", force=True, expected_score=reference.score, breadth=1 / reference.variance
    )
    promoter.close()
    settings = Settings(kb=str(kb.path), data=str(tmp_path / "bars.parquet"))
    async with Runtime(settings) as midas:
        finished = midas.bus.subscribe("test", DiagnosisFinished)
        with pytest.raises(MonitorError, match="is not watched"):
            await midas.diagnosing.ask("nobody")
        assert await midas.diagnosing.ask("place") == "diagnosing place"
        with pytest.raises(MonitorError, match="being diagnosed"):
            await midas.diagnosing.ask("place")
        await midas.diagnosing.agent.settle()
        (event,) = finished.take()
        assert event.result is not None, event.error
        assert event.result.cause == "true_decay"
        assert (kb.path / event.result.report_path).is_file()
        assert (kb.path / event.result.learning_path).is_file()
        assert event.result.fix_verdict
        alert = next(a for a in midas.queries.alerts() if a.id == event.alert_id)
        assert alert.diagnosis.endswith(event.result.report_path)
    assert not np.isnan(event.result.confidence)


async def test_a_replay_answers_without_writing(tmp_path: Path) -> None:
    panel = SyntheticMarket(3, bars=2200, symbols=16, ics=(0.08, 0.08, 0.08), decay_at=0.8).panel()
    panel.save(tmp_path / "bars.parquet")
    KnowledgeBase(tmp_path / "kb")
    settings = Settings(kb=str(tmp_path / "kb"))
    async with Runtime(settings, replay=str(tmp_path / "bars.parquet")) as midas:
        finished = midas.bus.subscribe("test", DiagnosisFinished)
        name = next(iter(midas.queries.metrics()))
        await midas.diagnosing.ask(name)
        await midas.diagnosing.agent.settle()
        result = next(e.result for e in finished.take() if e.feature == name)
        assert result is not None
        assert (result.report_path, result.learning_path, result.fix_name) == ("", "", "")
    assert list((tmp_path / "kb" / "reports").rglob("*.md")) == []
