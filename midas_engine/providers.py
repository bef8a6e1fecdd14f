"""Who can propose: one row a provider. Settings, keys, addresses, clients and the help read this table.

A new provider is one row here and its client (or its researcher) in a file of its own. A package from outside brings
a researcher by entry point instead, see `midas_engine.plugins`.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from midas_engine.secret_sources import have_secret

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Provider:
    """One provider.

    Attributes:
        name: As in `model.provider` and `--provider`.
        researcher: "module:attribute" of what proposes, called with the seed; empty for a model behind `client`.
        client: "module:attribute" of the model client, called with (endpoint, clock, model=, deadline_seconds=,
            provider=, asking=).
        key_name: Environment variable of its key.
        address: Its own address; empty: `model.base_url` must be set.
        address_variable: Environment variable that replaces its own address.
        model_variable: Environment variable that names its model where the settings name none.
        key_prefixes: How its keys begin: what `create_midas(api_key=...)` knows it by.
        model_prefixes: How its models are called.
    """

    name: str
    researcher: str = ""
    client: str = ""
    key_name: str = ""
    address: str = ""
    address_variable: str = ""
    model_variable: str = ""
    key_prefixes: tuple[str, ...] = ()
    model_prefixes: tuple[str, ...] = ()


_LOCAL = "midas_engine.proposer.local_researcher:LocalResearcher"
_OPENAI = "midas_engine.llm.openai_client:OpenAIClient"
_ANTHROPIC = "midas_engine.llm.anthropic_client:AnthropicClient"

PROVIDERS: dict[str, Provider] = {
    provider.name: provider
    for provider in (
        Provider("local", researcher=_LOCAL),
        # The local search under another name, kept because the original's demo is called with it.
        Provider("mock", researcher=_LOCAL),
        Provider(
            "openai",
            "",
            _OPENAI,
            "OPENAI_API_KEY",
            "https://api.openai.com/v1",
            "OPENAI_BASE_URL",
            "OPENAI_MODEL",
            ("sk-",),
            ("gpt-", "o1", "o3", "o4", "chatgpt-"),
        ),
        Provider(
            "anthropic",
            "",
            _ANTHROPIC,
            "ANTHROPIC_API_KEY",
            "https://api.anthropic.com",
            "ANTHROPIC_BASE_URL",
            "ANTHROPIC_MODEL",
            ("sk-ant-",),
            ("claude-",),
        ),
        Provider("compatible", "", _OPENAI, "MIDAS_API_KEY"),
    )
}


def inferred(api_key: str, model: str, base_url: str) -> str:
    """The provider that a key is of: by the address that was set, else by how the key begins, else by the model's name.

    Empty when nothing tells.

    Example:
        >>> inferred("sk-ant-api03-x", "", ""), inferred("sk-proj-x", "", ""), inferred("x", "claude-haiku-5-5", "")
        ('anthropic', 'openai', 'anthropic')
    """
    if base_url:
        return "compatible"
    for prefixes, text in (("key_prefixes", api_key.strip()), ("model_prefixes", model)):
        fitting = {p: row.name for row in PROVIDERS.values() for p in getattr(row, prefixes) if text.startswith(p)}
        if fitting:
            return fitting[max(fitting, key=len)]
    return ""


def unused_keys(provider: str, *, given: bool = False, environ: Mapping[str, str] | None = None) -> list[str]:
    """Keys that are there while nobody is asked; none for a provider that asks a model, or comes from a package.

    Args:
        provider: Who proposes.
        given: A key was given by hand.
        environ: Instead of the process's environment.
    """
    row = PROVIDERS.get(provider)
    if row is None or row.client:
        return []
    names = dict.fromkeys(r.key_name for r in PROVIDERS.values() if r.key_name)
    return [*(["--api-key"] if given else []), *(name for name in names if have_secret(name, environ))]


def load(target: str) -> Any:
    """What "module:attribute" names."""
    module, _, attribute = target.partition(":")
    return getattr(importlib.import_module(module), attribute)
