"""A client from the settings; keys come by their names, see `secret_sources`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from midas_engine.clock import WallClock
from midas_engine.errors import SettingsError
from midas_engine.llm.asking import asking_of
from midas_engine.llm.endpoint import KEYS, find_endpoint
from midas_engine.providers import PROVIDERS, load
from midas_engine.secret_sources import have_secret

if TYPE_CHECKING:
    from collections.abc import Mapping

    from midas_engine.clock import Clock
    from midas_engine.llm.client import ModelClient
    from midas_engine.settings import ModelSettings


def available_providers(environ: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """Researchers that can be used now: `local` always, a model provider when its key is there."""
    env = os.environ if environ is None else environ
    return ("local", *(name for name, key in KEYS.items() if have_secret(key, env)))


def make_client(settings: ModelSettings, api_key: str | None = None, *, clock: Clock | None = None) -> ModelClient:
    """The client of `settings.provider`; `endpoint` says where it asks and with which key.

    Raises:
        ModelKeyError: There is no key for it, or the key can be none.
        SettingsError: The provider needs no client, needs an address, or has one that a key must not go to.
    """
    provider, clock = settings.provider, clock or WallClock()
    if provider not in KEYS:
        raise SettingsError(f"{provider!r} needs no model client", hint="providers with a model: " + ", ".join(KEYS))
    endpoint = find_endpoint(settings, api_key)
    kind = load(PROVIDERS[provider].client)
    model = settings.model or os.environ.get(PROVIDERS[provider].model_variable or "-", "").strip()
    made: ModelClient = kind(
        endpoint, clock, model=model, deadline_seconds=settings.deadline_seconds, provider=provider,
        asking=asking_of(settings, model or getattr(kind, "default_model", ""), endpoint),
    )  # fmt: skip
    return made
