"""A client from the settings; keys come from the environment."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from midas_engine.clock import WallClock
from midas_engine.errors import ModelKeyError, SettingsError
from midas_engine.llm.client import ModelClient, Secret

if TYPE_CHECKING:
    from collections.abc import Mapping

    from midas_engine.clock import Clock
    from midas_engine.settings import ModelSettings

KEYS = {"openai": "OPENAI_API_KEY", "anthropic": "ANTHROPIC_API_KEY", "compatible": "MIDAS_API_KEY"}


def available_providers(environ: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """Researchers that can be used now: `local` always, a model provider when its key is there."""
    env = os.environ if environ is None else environ
    return ("local", *(name for name, key in KEYS.items() if env.get(key)))


def make_client(settings: ModelSettings, api_key: str | None = None, *, clock: Clock | None = None) -> ModelClient:
    """The client of `settings.provider`.

    Raises:
        ModelKeyError: There is no key for it.
        SettingsError: The provider needs no client, or needs an address.
    """
    provider, clock = settings.provider, clock or WallClock()
    if provider not in KEYS:
        raise SettingsError(f"{provider!r} needs no model client", hint="providers with a model: " + ", ".join(KEYS))
    key = Secret(api_key or os.environ.get(KEYS[provider], ""))
    if provider == "compatible" and not settings.base_url:
        raise SettingsError("provider compatible needs model.base_url", hint="e.g. http://127.0.0.1:8000/v1")
    if not key and provider != "compatible":
        raise ModelKeyError(
            f"there is no API key for {provider}", hint=f"export {KEYS[provider]}=..., or use --provider local"
        )
    if provider == "anthropic":
        from midas_engine.llm.anthropic_client import AnthropicClient

        return AnthropicClient(
            key, clock, model=settings.model, base_url=settings.base_url, deadline_seconds=settings.deadline_seconds
        )
    from midas_engine.llm.openai_client import OpenAIClient

    return OpenAIClient(
        key or Secret("none"), clock, model=settings.model, base_url=settings.base_url,
        deadline_seconds=settings.deadline_seconds, provider=provider,
    )  # fmt: skip
