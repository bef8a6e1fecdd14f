"""What a terminal that attaches late is told of discovery: the last sessions, bounded."""

from __future__ import annotations

import json
from typing import Any

from helpers_tui_session import NOW, searched
from midas_engine import events as ev
from midas_engine.bus import EventBus
from midas_engine.service.picture import SESSIONS_KEPT, Past


def _told(past: Past) -> list[dict[str, Any]]:
    return [event for _, event in json.loads(past.message())]


def test_several_sessions_are_told_and_ended_ones_without_their_stream() -> None:
    bus = EventBus()
    past = Past(bus)
    for name in ("old", "also", "new"):
        for event in searched(name):
            bus.publish(event)
        if name == "old":
            bus.publish(ev.SessionEnded(at=NOW, session_id=name, result="failed"))
    told = _told(past)
    assert [e["session_id"] for e in told if e["type"] == "SessionStarted"] == ["old", "also", "new"]
    assert [e["session_id"] for e in told if e["type"] == "TokensStreamed"] == ["also", "new"]
    assert sum(e["type"] == "CandidateScored" for e in told if e["session_id"] == "old") == 5
    for number in range(2 * SESSIONS_KEPT):
        bus.publish(ev.SessionStarted(at=NOW, session_id=f"s{number}", goal="g", researcher="local"))
    begun = [e["session_id"] for e in _told(past) if e["type"] == "SessionStarted"]
    assert begun == [f"s{number}" for number in range(SESSIONS_KEPT, 2 * SESSIONS_KEPT)]
    past.close()
