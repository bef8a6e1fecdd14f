"""A midas.toml that merely lies in the working folder: what it may set, and the consent to the rest."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from midas_engine import trust
from midas_engine.errors import SettingsError
from midas_engine.factory import create_midas
from midas_engine.settings import MAX_FILE_BYTES, Settings, known_keys, load_settings
from tests.helpers_cli import run_midas
from tests.test_llm_endpoint import door
from tests.test_redaction import _midas

if TYPE_CHECKING:
    from collections.abc import Iterator

OURS = {"OPENAI_API_KEY": "sk-users-own-0123456789", "ANTHROPIC_API_KEY": "users-own-9876543210"}


@pytest.fixture
def lying(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A cloned folder, and a configuration folder of the user's own outside of it."""
    folder = tmp_path / "cloned"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return folder / "midas.toml"


def _write(path: Path, text: str) -> None:
    path.write_text(text)


def test_every_setting_was_judged() -> None:
    assert set(trust.SETTINGS) == set(known_keys()), "say in trust.SETTINGS what the new setting can do"


def test_a_setting_that_nobody_judged_needs_consent() -> None:
    assert trust.requests({"notify.webhook": "https://example.com"}, {}, Path())


DANGEROUS = {
    "model.base_url": '[model]\nbase_url = "https://evil.example/v1"',
    "model.provider": '[model]\nprovider = "openai"',
    "model.model": '[model]\nmodel = "the-dearest"',
    "model.max_tokens": "[model]\nmax_tokens = 100000",
    "model.session_calls": "[model]\nsession_calls = 5000",
    "model.session_usd": "[model]\nsession_usd = 500",
    "model.day_usd": "[model]\nday_usd = 10000",
    "monitor.kill_policy": '[monitor]\nkill_policy = "auto"',
    "monitor.diagnoses_per_day": "[monitor]\ndiagnoses_per_day = 5000",
    "data live": 'data = "live:binance"',
    "data follow": 'data = "follow:bars.parquet"',
    "data elsewhere": 'data = "/etc"',
    "data above": 'data = "../other"',
    "data of the user": 'data = "~/bars"',
    "kb elsewhere": 'kb = "/var/lib/base"',
    "kb above": 'kb = "../base"',
    "kb of the user": 'kb = "~/midas-kb"',
}


@pytest.mark.parametrize("name", DANGEROUS)
def test_what_does_something_is_refused_by_name(lying: Path, name: str) -> None:
    lying.write_text(DANGEROUS[name])
    with pytest.raises(SettingsError, match="needs your consent") as caught:
        load_settings(environ={})
    assert name.split()[0] in caught.value.message
    assert "midas trust" in caught.value.hint
    load_settings(file=lying, environ={})  # whoever names the file means it
    trust.allow(lying, lying.read_bytes())
    assert load_settings(environ={}) == load_settings(file=lying, environ={})


@pytest.mark.parametrize(
    "text",
    ['kb = "./midas-kb"', 'kb = "deep/base"', 'data = "synthetic:3"', 'data = "bars.parquet"', "seed = 3", "",
     "[costs]\nfee_bps = 2", '[model]\nprovider = "local"\nday_usd = 1\nsession_calls = 3', "[dsl]\ndepth = 5",
     '[terminal]\ntheme = "midas-light"', '[monitor]\nkill_policy = "manual"'],
)  # fmt: skip
def test_what_is_harmless_is_taken_as_before(lying: Path, text: str) -> None:
    lying.write_text(text)
    assert load_settings(environ={}) == load_settings(file=lying, environ={})
    assert not trust.store_path().exists()


def test_a_link_out_of_the_folder_is_outside(lying: Path, tmp_path: Path) -> None:
    (lying.parent / "base").symlink_to(tmp_path)
    lying.write_text('kb = "base/kb"')
    with pytest.raises(SettingsError, match="kb = 'base/kb'"):
        load_settings(environ={})


def test_what_the_user_says_himself_is_not_taken_from_the_file(lying: Path) -> None:
    lying.write_text('kb = "/elsewhere"\n[model]\nprovider = "openai"\nbase_url = "https://evil.example"\n')
    environ = {"MIDAS_KB": "./mine", "MIDAS_MODEL_BASE_URL": "https://mine.example"}
    settings = load_settings(environ=environ, flags={"model.provider": "local"})
    assert (settings.kb, settings.model.base_url, settings.model.provider) == (
        "./mine", "https://mine.example", "local",
    )  # fmt: skip


def test_consent_ends_with_a_changed_byte_and_holds_for_one_path(lying: Path, tmp_path: Path) -> None:
    lying.write_text('[model]\nprovider = "openai"\n')
    trust.allow(lying, lying.read_bytes())
    assert load_settings(environ={}).model.provider == "openai"
    lying.write_text('[model]\nprovider = "openai"\n\n')
    with pytest.raises(SettingsError, match="changed since you allowed it"):
        load_settings(environ={})
    lying.write_text('[model]\nprovider = "openai"\n')
    load_settings(environ={})
    other = tmp_path / "other"
    other.mkdir()
    (other / "midas.toml").write_bytes(lying.read_bytes())
    os.chdir(other)
    with pytest.raises(SettingsError, match="only lies in the working folder"):
        load_settings(environ={})


def test_consent_is_private_and_outside_of_the_folder(lying: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lying.write_text('[model]\nprovider = "openai"\n')
    trust.allow(lying, lying.read_bytes())
    store = trust.store_path()
    assert not store.is_relative_to(lying.parent)
    assert store.stat().st_mode & 0o777 == 0o600
    assert store.parent.stat().st_mode & 0o777 == 0o700
    monkeypatch.setenv("XDG_CONFIG_HOME", str(lying.parent / "config"))
    trust._write_store({str(lying.resolve()): trust.digest(lying.read_bytes())})  # as a cloned folder would bring it
    with pytest.raises(SettingsError, match="needs your consent"):
        load_settings(environ={})
    with pytest.raises(SettingsError, match="its own folder"):
        trust.allow(lying, lying.read_bytes())
    monkeypatch.setenv("XDG_CONFIG_HOME", "config")
    assert trust.store_path() == Path.home() / ".config" / "midas" / "trust.json"


def test_a_store_that_others_may_write_allows_nothing(lying: Path) -> None:
    lying.write_text('[model]\nprovider = "openai"\n')
    trust.allow(lying, lying.read_bytes())
    for spoil, said in (
        (lambda store: store.chmod(0o666), "others than you"),
        (lambda store: (store.chmod(0o600), store.write_text("[" * 100_000)), "cannot be read"),
        (lambda store: (store.unlink(), store.symlink_to("/dev/zero")), "cannot be read"),
        (lambda store: (store.unlink(), os.mkfifo(store)), "others than you|cannot be read"),
    ):
        spoil(trust.store_path())
        with pytest.raises(SettingsError, match=said):
            load_settings(environ={})


def test_an_address_with_a_key_in_it_is_not_printed(lying: Path) -> None:
    lying.write_text('[model]\nbase_url = "https://user:hunter2hunter2@evil.example/v1?key=abc"\n')
    with pytest.raises(SettingsError, match="model.base_url = 'evil.example'") as caught:
        load_settings(environ={})
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("text", ["x = " + "[" * 50_000, "#" * (MAX_FILE_BYTES + 1)])
def test_a_file_that_is_a_bomb_is_refused_in_words(lying: Path, text: str) -> None:
    lying.write_text(text)
    with pytest.raises(SettingsError, match="cannot be read|has more than"):
        load_settings(environ={})


def test_the_library_refuses_too(lying: Path) -> None:
    lying.write_text('[model]\nprovider = "openai"\nbase_url = "https://evil.example/v1"\n')
    with pytest.raises(SettingsError, match="needs your consent"):
        create_midas(kb_path="kb")
    assert list(lying.parent.iterdir()) == [lying]
    create_midas(kb_path="kb", settings=Settings()).close()


@pytest.mark.parametrize("provider", ["openai", "anthropic", "compatible"])
async def test_no_byte_leaves_for_a_lying_address(lying: Path, provider: str) -> None:
    async with door() as evil:
        _write(lying, f'[model]\nprovider = "{provider}"\nbase_url = "{evil.url}"\n')
        keys = OURS | {"MIDAS_API_KEY": "users-own-abcdefgh"}
        for call in (("discover", "carry"), ("discover", "carry", "--provider", provider), ("demo",), ("status",)):
            code, out = await _midas(lying.parent, *call, **keys)
            # What only looks at a base answers, without what the file asks, and says so.
            assert code == (0 if call == ("status",) else 2), out
            assert ("model.base_url are left out" if call == ("status",) else "model.base_url = '127.0.0.1'") in out
            assert "midas trust" in out
        assert evil.seen == []
        # Allowed, it is asked, told, and gets the key that is meant for it alone.
        code, out = await _midas(lying.parent, "trust")
        assert code == 0
        assert "model.base_url = '127.0.0.1'" in out
        code, out = await _midas(lying.parent, "discover", "carry", "--data", "synthetic", **keys)
        assert "asks 127.0.0.1" in out
    heard = b"".join(evil.seen)
    assert b"users-own-abcdefgh" in heard
    for key in OURS.values():
        assert key.encode() not in heard


def test_the_verb_shows_allows_and_forgets(lying: Path) -> None:
    lying.write_text('data = "live:binance"\n[model]\nday_usd = 500\n')
    shown = run_midas("trust", "--dry-run", cwd=lying.parent)
    assert "data = 'live:binance'" in shown.out
    assert "nothing was allowed" in shown.out
    assert run_midas("discover", "carry", cwd=lying.parent).code == 2
    assert "left out (`midas trust`)" in run_midas("status", cwd=lying.parent).err
    told: Any = run_midas("trust", "--json", cwd=lying.parent).document
    assert told["allowed"] is True
    assert [a["setting"] for a in told["asks"]] == ["data", "model.day_usd"]
    assert json.loads(Path(told["kept_in"]).read_text())["files"] == {told["path"]: told["sha256"]}
    assert "left out" not in run_midas("status", cwd=lying.parent).err
    assert run_midas("trust", "--forget", cwd=lying.parent).code == 0
    assert "left out" in run_midas("status", cwd=lying.parent).err
    assert "left out" not in run_midas("status", "--config", "midas.toml", cwd=lying.parent).err
    assert run_midas("trust", "none.toml", cwd=lying.parent).code == 2
