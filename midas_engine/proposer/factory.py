"""A researcher by provider name."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from midas_engine.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable

    from midas_engine.llm.client import ModelReply, ModelRequest
    from midas_engine.proposer.protocol import Researcher
    from midas_engine.settings import Settings


def make_researcher(
    settings: Settings,
    provider: str = "",
    *,
    api_key: str | None = None,
    day_spent_usd: float = 0.0,
    on_reply: Callable[[ModelRequest, ModelReply], None] | None = None,
) -> Researcher:
    """The researcher of `provider` (default: the settings').

    `local` and `mock` need no key. `mock` is the local search under another name, kept because the
    original's demo is called with it.

    Raises:
        ModelKeyError: There is no key.
        SettingsError: There is no such provider.
    """
    chosen = provider or settings.model.provider
    if chosen in ("local", "mock"):
        from midas_engine.proposer.local_researcher import LocalResearcher

        return LocalResearcher(settings.seed)
    if chosen not in ("openai", "anthropic", "compatible"):
        raise SettingsError(
            f"there is no provider {chosen!r}", hint="one of local, mock, openai, anthropic, compatible"
        )
    from midas_engine.llm import Budget, make_client
    from midas_engine.proposer.llm_researcher import LLMResearcher

    model = dataclasses.replace(settings.model, provider=chosen)
    return LLMResearcher(make_client(model, api_key), Budget.from_settings(model, day_spent_usd), on_reply=on_reply)
