"""Model clients for the tests: real SDKs against the local mock provider, scripts, and a researcher on a script."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from midas_engine.clock import ManualClock, WallClock
from midas_engine.llm import Budget, ModelRequest, ScriptedClient, make_client
from midas_engine.proposer import LLMResearcher
from midas_engine.settings import ModelSettings

if TYPE_CHECKING:
    from midas_engine.clock import Clock
    from midas_engine.llm import ModelClient

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ASK = ModelRequest("What moves prices?", "You are terse.", 500, "plan")


def client(provider: str, *, deadline: float = 20.0, clock: Clock | None = None, **more: Any) -> ModelClient:
    """The client of a provider; the llmock fixture has put its address and key into the environment."""
    settings = ModelSettings(provider=provider, deadline_seconds=deadline, **more)
    return make_client(settings, clock=clock or WallClock())


def block(**fields: Any) -> str:
    """A reply as the prompts ask for it."""
    return f"Thinking aloud.\n```json\n{json.dumps(fields)}\n```"


def plan(**more: Any) -> str:
    return block(**{"hypothesis": "carry is paid", "approach": "smooth funding", "avoid": []} | more)


def candidates(*expressions: str, name: str = "idea") -> str:
    return block(
        candidates=[{"name": f"{name}_{i}", "expression": e, "rationale": "why"} for i, e in enumerate(expressions)]
    )


def learning(**more: Any) -> str:
    return block(**{"title": "What was seen", "pattern_identified": "nothing held"} | more)


def scripted(*answers: Any, budget: Budget | None = None, clock: Clock | None = None) -> LLMResearcher:
    """A model researcher that replies from a script; `researcher._client.requests` holds what was asked."""
    return LLMResearcher(ScriptedClient(answers), budget or Budget(60, 2.0, 10.0), clock=clock or ManualClock(NOW))
