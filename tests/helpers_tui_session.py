"""A discovery session as the terminal hears it, at a fixed time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

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


AGENTS = ("predictive_power", "stability", "trading_cost", "diversification", "regime", "overfitting")


def searched(session: str = "s1", *, replays: str = "") -> Iterator[ev.Event]:
    """A session in full: two plans, refinements of refinements, every state, a look that held and one that did not."""
    n = 0

    def at() -> datetime:
        nonlocal n
        n += 1
        return NOW + timedelta(seconds=7 * n)

    def scored(iteration: int, name: str, expression: str, t: float, why: str, **more: Any) -> ev.CandidateScored:
        failed = {w.partition(":")[0] for w in why.split("; ")}
        agents = tuple(
            ev.AgentRow(agent=a, passed=a not in failed, score=0.4 + 0.09 * i, summary=f"{a} said its part")
            for i, a in enumerate(AGENTS)
        )
        return ev.CandidateScored(
            at=at(), session_id=session, iteration=iteration, name=name, expression=expression, composite=0.61,
            accepted=not why, rank_ic=t / 100, score_t=t, line_t=2.91, trials=36, agents=agents, why=why, **more,
        )  # fmt: skip

    def proposed(iteration: int, name: str, expression: str, origin: str = "", why: str = "") -> ev.ExpressionProposed:
        return ev.ExpressionProposed(
            at=at(), session_id=session, iteration=iteration, name=name, expression=expression, refined_from=origin,
            rationale=why,
        )  # fmt: skip

    yield ev.SessionStarted(
        at=at(), session_id=session, goal="funding carry on majors", researcher="anthropic", model="claude-sonnet-5-5",
        max_iterations=6, candidates_per_iter=3, planned_trials=36, budget_usd=2.0, budget_calls=60, budget_minutes=30,
        data="sample", horizon=8, destination="api.anthropic.com", replays=replays,
    )  # fmt: skip
    yield ev.PhaseStarted(at=at(), session_id=session, iteration=1, phase="plan")
    yield ev.TokensStreamed(
        at=at(), session_id=session, iteration=1, phase="plan", text="Crowded longs pay funding.\nSlow is better.\n"
    )
    yield ev.ModelCalled(
        at=at(), session_id=session, provider="anthropic", model="claude-sonnet-5-5", tokens_in=2100, tokens_out=640,
        cost_usd=0.0721, seconds=4.1,
    )  # fmt: skip
    yield ev.PlanMade(at=at(), session_id=session, iteration=1, hypothesis="slow funding predicts the next eight hours")
    yield ev.PhaseStarted(at=at(), session_id=session, iteration=1, phase="assess")
    carry = "-cs_rank(ts_mean(funding_rate, 72))"
    yield proposed(1, "carry_72", carry, why="crowded longs pay, and unwind")
    yield scored(1, "carry_72", carry, 2.4, "predictive_power: t 2.40 is below the line 2.91; regime: dies in HIGH_VOL")
    slower = "-cs_rank(ts_mean(funding_rate, 168))"
    yield proposed(1, "carry_168", slower, "carry_72")
    yield ev.HoldoutLooked(
        at=at(), session_id=session, iteration=1, name="carry_168", passed=False, number=4, line=0.0042,
        next_line=0.0038, vetoes=("trading_cost",),
    )  # fmt: skip
    yield scored(1, "carry_168", slower, 3.3, "passed research, sealed look 4: did not hold (trading_cost)")
    held = "-cs_rank(ts_mean(funding_rate, 168)) * cs_rank(volume)"
    yield proposed(1, "carry_168_volume", held, "carry_168")
    yield ev.HoldoutLooked(
        at=at(), session_id=session, iteration=1, name="carry_168_volume", passed=True, number=5, line=0.0038,
        next_line=0.0051,
    )  # fmt: skip
    path = "knowledge/features/candidates/carry_168_volume.md"
    yield ev.CandidateAccepted(at=at(), session_id=session, name="carry_168_volume", expression=held, path=path)
    yield scored(1, "carry_168_volume", held, 3.9, "")
    yield ev.PhaseStarted(at=at(), session_id=session, iteration=2, phase="plan")
    yield ev.PlanMade(at=at(), session_id=session, iteration=2, hypothesis="open interest says who is crowded")
    yield ev.PhaseStarted(at=at(), session_id=session, iteration=2, phase="assess")
    yield ev.ExpressionRefused(
        at=at(), session_id=session, iteration=2, name="crowding", expression="ts_mean(open_interest, -1)",
        reason="a window is a positive whole number",
    )  # fmt: skip
    yield proposed(2, "crowding_24", "cs_zscore(delta(open_interest, 24))")
    yield scored(
        2, "crowding_24", "cs_zscore(delta(open_interest, 24))", -0.7, "predictive_power: t -0.70 is below the line"
    )
    yield proposed(2, "carry_slow", carry)
    yield scored(2, "carry_slow", carry, 2.4, "tried before in this session", repeated=True)
    yield proposed(2, "crowding_price", "cs_zscore(delta(open_interest, 24)) * sign(returns(close, 24))")
