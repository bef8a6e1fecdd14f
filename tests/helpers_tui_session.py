"""A discovery session as the terminal hears it, at a fixed time."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from midas_engine import events as ev

if TYPE_CHECKING:
    from collections.abc import Iterator

NOW = datetime(2026, 1, 19, 12, tzinfo=UTC)


def session_events(session: str = "s1") -> Iterator[ev.Event]:
    """A discovery session from goal to end."""
    yield ev.SessionStarted(
        at=NOW, session_id=session, goal="funding carry on majors", researcher="local", max_iterations=3
    )
    yield ev.PhaseStarted(at=NOW, session_id=session, iteration=1, phase="plan")
    for word in ("Crowded ", "longs ", "pay ", "funding.\n"):
        yield ev.TokensStreamed(at=NOW, session_id=session, iteration=1, phase="plan", text=word)
    yield ev.PlanMade(at=NOW, session_id=session, iteration=1, hypothesis="slow funding predicts")
    yield ev.ExpressionRefused(
        at=NOW, session_id=session, iteration=1, expression="ts_mean(close, -1)", reason="a window is positive"
    )
    yield ev.ExpressionProposed(
        at=NOW, session_id=session, iteration=1, name="carry_72", expression="-cs_rank(ts_mean(funding_rate, 72))"
    )
