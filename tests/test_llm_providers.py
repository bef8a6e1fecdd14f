"""The table of providers: everything that names one reads it, and each row leads to something that exists."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from midas_engine.errors import SettingsError
from midas_engine.llm import make_client
from midas_engine.llm.endpoint import KEYS
from midas_engine.proposer import make_researcher
from midas_engine.providers import PROVIDERS, load
from midas_engine.settings import ModelSettings, Settings, load_settings


@pytest.mark.parametrize("name", PROVIDERS)
def test_a_row_leads_to_a_researcher_or_a_client(name: str) -> None:
    row = PROVIDERS[name]
    assert bool(row.researcher) != bool(row.client)
    assert callable(load(row.researcher or row.client))
    assert bool(row.client) == (name in KEYS)
    assert load_settings(flags={"model.provider": name}).model.provider == name


def test_a_new_row_is_all_that_a_provider_needs_beside_its_client(monkeypatch: pytest.MonkeyPatch) -> None:
    row = dataclasses.replace(
        PROVIDERS["openai"], name="another", key_name="ANOTHER_KEY", address="https://models.example/v1"
    )
    monkeypatch.setitem(PROVIDERS, "another", row)
    monkeypatch.setitem(KEYS, "another", row.key_name)  # made of the table when the module is read
    monkeypatch.setenv("ANOTHER_KEY", "sk-of-another")
    client: Any = make_client(ModelSettings(provider="another"))
    assert client.provider == "another"
    assert client.endpoint.host == "models.example"
    assert client.endpoint.key.reveal() == "sk-of-another"
    researcher = make_researcher(Settings(model=ModelSettings(provider="another")))
    assert researcher.name


def test_a_provider_without_a_row_is_refused() -> None:
    with pytest.raises(SettingsError, match="no provider 'nobody'"):
        make_researcher(Settings(), "nobody")
