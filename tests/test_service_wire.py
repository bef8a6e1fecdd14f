"""What crosses the wire: figures come out as they went in, and what does not fit is refused in words."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import pytest

from midas_engine import events as ev
from midas_engine.commands import AllDone, Done
from midas_engine.events import FeatureTicked
from midas_engine.models import Alert, FeatureMetrics, FeatureRecord, FeatureState, PipelineSummary
from midas_engine.promoter import Preview
from midas_engine.promoter.preview import TodaysFigure
from midas_engine.service.picture import Facts, Whole
from midas_engine.service.vitals import Vital
from midas_engine.service.wire import WireError, decoded, encoded, event_of, packed, unpacked
from tests.helpers_tui import alert, metrics, scripted_book, session_events

NOW = datetime(2026, 1, 5, tzinfo=UTC)
RECORD = FeatureRecord("a", "close", FeatureState.DEPLOYED, created_at=NOW, metrics={"t": 2.0}, history=({"at": "x"},))
FIGURES = (TodaysFigure("q", "ic", 0.1, 0.2, ">", 0.0, True),)


@pytest.mark.parametrize(
    "value",
    [
        RECORD,
        PipelineSummary((RECORD,), (), (RECORD,), ()),
        metrics("a"),
        alert("a"),
        Done("kill", RECORD, waits="later"),
        Preview("promote", "a", changes=(("write", "x"),), figures=FIGURES),
        AllDone("kill", ("a",), {"a": "later"}),
        Facts("LIVE", "live:x", "running", False, 60, "/kb", newest=NOW),
        Whole((metrics("a"),), (alert("a"),)),
        scripted_book(),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_crosses_the_wire_is_what_was_there(value: Any) -> None:
    found = decoded(type(value), unpacked(packed({"v": value}))["v"])
    assert repr(found) == repr(value)  # NaN is not equal to itself


def test_infinity_keeps_its_sign_and_unknown_stays_unknown() -> None:
    assert decoded(tuple[float, ...], encoded((math.inf, -math.inf, 1.0)))[:2] == (math.inf, -math.inf)
    assert math.isnan(decoded(float, encoded(math.nan)))


def test_every_event_crosses_the_wire() -> None:
    figures = [FeatureTicked(at=NOW, metrics=metrics("a")), ev.AlertRaised(at=NOW, alert=alert("a"))]
    for event in [*session_events(), *figures]:
        assert repr(event_of(unpacked(packed(event)))) == repr(event)
    assert event_of({"type": "OfANewerMidas"}) is None


@pytest.mark.parametrize("kind", [FeatureMetrics, Alert, Vital, PipelineSummary, Preview, Done, Facts])
@pytest.mark.parametrize("value", [None, 3, "x", [], [1], {"at": 3}, {"feature": []}, {"deployed": [[]]}])
def test_what_does_not_fit_is_refused_in_words(kind: Any, value: Any) -> None:
    with pytest.raises(WireError):
        decoded(kind, value)
