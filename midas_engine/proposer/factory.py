"""A researcher by provider name."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from midas_engine.errors import MidasError, SettingsError
from midas_engine.providers import PROVIDERS, load

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
    if chosen not in PROVIDERS:
        return _from_plugin(chosen, settings)
    if PROVIDERS[chosen].researcher:
        own: Researcher = load(PROVIDERS[chosen].researcher)(settings.seed)
        return own
    from midas_engine.llm import Budget, make_client
    from midas_engine.proposer.llm_researcher import LLMResearcher

    model = dataclasses.replace(settings.model, provider=chosen)
    return LLMResearcher(make_client(model, api_key), Budget.from_settings(model, day_spent_usd), on_reply=on_reply)


def screened_by(settings: Settings, provider: str = "") -> int:
    """Raw expressions that a session of this provider may screen: none for a model, which does not screen.

    A session's line is drawn for the family it may screen, so only who screens pays for it.
    """
    known = PROVIDERS.get(provider or settings.model.provider)
    return 0 if known is not None and known.client else settings.evaluation.screened


def _from_plugin(name: str, settings: Settings) -> Researcher:
    from midas_engine.plugins import listed

    plugins = {plugin.name: plugin for plugin in listed("midas.researchers")}
    if name not in plugins:
        raise SettingsError(f"there is no provider {name!r}", hint="one of " + ", ".join([*PROVIDERS, *plugins]))
    try:
        made: Researcher = plugins[name].load()(settings)
    except MidasError:
        raise
    except Exception as error:
        raise SettingsError(
            f"the researcher {name} of {plugins[name].origin} cannot be used: {type(error).__name__}: {error}",
            hint="ask its author, or uninstall the package",
        ) from error
    return made
