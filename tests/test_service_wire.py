"""What crosses the wire: figures come out as they went in, and what does not fit is refused in words."""

from __future__ import annotations

import asyncio
import math
from datetime import UTC, datetime
from typing import Any

import pytest

from midas_engine import events as ev
from midas_engine.bus import EventBus
from midas_engine.commands import AllDone, Done
from midas_engine.events import FeatureTicked
from midas_engine.models import Alert, FeatureMetrics, FeatureRecord, FeatureState, PipelineSummary
from midas_engine.monitor.daily.brief import Brief, Sentence
from midas_engine.promoter import Preview
from midas_engine.promoter.preview import TodaysFigure
from midas_engine.service.picture import Facts, Whole
from midas_engine.service.stream import Stream
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
        Brief(NOW, NOW, (Sentence("2 kill(s).", {"kills": 2, "ids": {"a": "1f"}}, "critical", setting=False),)),
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


async def test_a_batch_is_put_together_once_for_all_who_stand_at_the_same_place() -> None:
    bus = EventBus()
    bus.bind(asyncio.get_running_loop())
    stream = Stream(bus, lambda: b"{}", lambda: b"{}")
    wakes = [stream.follow() for _ in range(3)]
    sleeping = [asyncio.create_task(stream.sleep(wake, 0)) for wake in wakes]
    await asyncio.sleep(0)
    for _ in range(3000):  # more than one message holds
        bus.publish(FeatureTicked(at=NOW, metrics=metrics("a")))
    await asyncio.gather(*sleeping)
    numbers = [0, 0, 0]
    seen = 0
    while numbers[0] < stream.last:
        bodies = [stream.batch(number) for number in numbers]
        assert all(body is bodies[0][0] for body, _ in bodies)
        seen += len(unpacked(bodies[0][0])["events"])
        numbers = [number for _, number in bodies]
    assert seen == stream.last == 3000
    assert stream.batch(3000) == (b"", 3000)
    await stream.sleep(wakes[0], 2999)  # something came: nobody waits
    late = asyncio.create_task(stream.sleep(wakes[1], 3000))
    await asyncio.sleep(0)
    bus.publish(FeatureTicked(at=NOW, metrics=metrics("b")))
    await asyncio.wait_for(late, 30)
    body, number = stream.batch(3000)
    assert number == 3001
    assert len(unpacked(body)["events"]) == 1
    stream.close()
