"""Keys and secrets: one way to read one, in one order; what others could read is refused; none is ever printed."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import keyring
import keyring.backend
import keyring.errors
import pytest

from midas_engine.errors import SettingsError
from midas_engine.llm.endpoint import find_endpoint
from midas_engine.llm.factory import available_providers
from midas_engine.outbound.destination import addresses_of
from midas_engine.redaction import redact
from midas_engine.secret_keeping import forget_secret, keep_secret
from midas_engine.secret_sources import Found, find_secret, have_secret, key_file, read_keys
from midas_engine.settings import load_settings
from tests.helpers_cli import run_midas

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEY = "sk-4f1d8a27c09b63e5"
SECRET = "a93bd1c87e5f4062a93bd1c87e5f4062"


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.endswith("_API_KEY") or name.startswith("MIDAS_S")]:
        monkeypatch.delenv(name)
    path = tmp_path / "keys"
    monkeypatch.setenv("MIDAS_KEY_FILE", str(path))
    return path


def _write(path: Path, text: str, mode: int = 0o600) -> None:
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)


class Ring(keyring.backend.KeyringBackend):
    priority = 1  # type: ignore[assignment]

    def __init__(self) -> None:
        super().__init__()
        self.held: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.held.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.held[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        self.held.pop((service, username))


@pytest.fixture
def ring() -> Iterator[Ring]:
    before, made = keyring.get_keyring(), Ring()
    keyring.set_keyring(made)
    yield made
    keyring.set_keyring(before)


def test_the_environment_goes_before_the_file_and_the_file_before_nothing(file: Path) -> None:
    assert not find_secret("OPENAI_API_KEY")
    _write(file, f"# mine\n\nexport OPENAI_API_KEY = '{KEY}'\n")
    assert find_secret("OPENAI_API_KEY") == Found(KEY, f"OPENAI_API_KEY in {file}")
    given = {"OPENAI_API_KEY": "of-the-environment", "MIDAS_KEY_FILE": str(file)}
    assert find_secret("OPENAI_API_KEY", given).value == "of-the-environment"
    assert available_providers() == ("local", "openai")
    assert KEY not in repr(find_secret("OPENAI_API_KEY"))
    assert redact(f"it is {KEY}") == "it is [redacted]"


def test_the_model_and_the_far_side_read_it_the_same_way(file: Path) -> None:
    _write(file, f"OPENAI_API_KEY={KEY}\nMIDAS_SECRET_BOT={SECRET}\nVENUE_KEY=abcdefgh-read-only\n")
    settings = load_settings(file=None, environ={}, flags={"model.provider": "openai"})
    endpoint = find_endpoint(settings.model)
    assert endpoint.key.reveal() == KEY
    assert KEY not in endpoint.description
    assert f"OPENAI_API_KEY in {file}" in endpoint.description
    (bot,) = addresses_of("kills", {"bot": "webhook:http://127.0.0.1:1/${VENUE_KEY}"}, {"bot.key": "${VENUE_KEY}"})
    assert bot.secret() == SECRET
    assert bot.reach().endswith("/abcdefgh-read-only")
    assert bot.filled(bot.options["key"]) == "abcdefgh-read-only"
    file.unlink()
    with pytest.raises(SettingsError, match="needs MIDAS_SECRET_BOT") as refused:
        bot.secret()
    assert "midas keys MIDAS_SECRET_BOT --set" in str(refused.value)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o644, 0o666])
def test_a_file_that_others_may_read_is_refused_by_name(file: Path, mode: int) -> None:
    _write(file, f"OPENAI_API_KEY={KEY}\n")
    assert find_secret("OPENAI_API_KEY")
    file.chmod(mode)  # though it was read before
    with pytest.raises(SettingsError, match="may be read or written by others") as refused:
        find_secret("OPENAI_API_KEY")
    assert str(file) in str(refused.value)
    assert KEY not in str(refused.value)
    assert not have_secret("OPENAI_API_KEY")
    assert available_providers() == ("local",)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        (KEY, "line 1 .* is no NAME=VALUE"),
        (f"A=1\nOPENAI API KEY={KEY}", "line 2 .* is no NAME=VALUE"),
        (f"OPENAI_API_KEY=\n{KEY}", "line 1 .* is no NAME=VALUE"),
        (f"A={KEY}\nA={KEY}", "line 2 .* gives A once more"),
        ("A=" + "x" * 70_000, "more than 64,000 bytes"),
    ],
)
def test_a_line_that_is_none_is_named_and_not_shown(file: Path, text: str, match: str) -> None:
    _write(file, text)
    with pytest.raises(SettingsError, match=match) as refused:
        find_secret("OPENAI_API_KEY")
    assert KEY not in str(refused.value)


def test_what_is_no_file_is_refused(file: Path, tmp_path: Path) -> None:
    file.write_bytes(b"A=\xff\xfe\n")
    file.chmod(0o600)
    with pytest.raises(SettingsError, match="UTF-8"):
        find_secret("A")
    file.unlink()
    os.mkfifo(file)
    with pytest.raises(SettingsError, match="named pipe"):
        find_secret("A")
    file.unlink()
    _write(tmp_path / "other", f"A={KEY}\n")
    file.symlink_to(tmp_path / "other")
    with pytest.raises(SettingsError, match="symbolic link"):
        find_secret("A")


def test_where_the_file_is_without_a_name_of_its_own() -> None:
    assert str(key_file({"HOME": "/h", "XDG_CONFIG_HOME": "/x"})) == "/x/midas/keys"
    assert str(key_file({"HOME": "/h", "XDG_CONFIG_HOME": "relative"})) == "/h/.config/midas/keys"
    assert key_file({}) is None


def test_the_keyring_holds_what_the_file_says_it_holds(file: Path, ring: Ring) -> None:
    keep_secret("OPENAI_API_KEY", KEY, in_keyring=True)
    assert ring.held == {("midas", "OPENAI_API_KEY"): KEY}
    assert file.read_text() == "OPENAI_API_KEY=keyring:\n"
    assert find_secret("OPENAI_API_KEY") == Found(KEY, "OPENAI_API_KEY in the keyring")
    assert available_providers() == ("local", "openai")
    ring.held.clear()
    with pytest.raises(SettingsError, match="and it is not"):
        find_secret("OPENAI_API_KEY")
    keep_secret("OPENAI_API_KEY", KEY, in_keyring=True)
    assert forget_secret("OPENAI_API_KEY")
    assert not forget_secret("OPENAI_API_KEY")
    assert ring.held == {}


def test_a_keyring_that_hangs_or_fails_is_said_and_waited_for_no_longer(
    file: Path, ring: Ring, monkeypatch: pytest.MonkeyPatch
) -> None:
    _write(file, "OPENAI_API_KEY=keyring:\n")
    monkeypatch.setattr("midas_engine.secret_sources.KEYRING_SECONDS", 0.05)
    answered = threading.Event()
    monkeypatch.setattr(ring, "get_password", lambda *_: answered.wait(60))
    with pytest.raises(SettingsError, match="did not answer"):
        find_secret("OPENAI_API_KEY")
    answered.set()

    def locked(*_: str) -> None:
        raise keyring.errors.KeyringLocked(KEY)

    monkeypatch.setattr("midas_engine.secret_sources.KEYRING_SECONDS", 30.0)
    monkeypatch.setattr(ring, "get_password", locked)
    with pytest.raises(SettingsError, match="KeyringLocked") as refused:
        find_secret("OPENAI_API_KEY")
    assert KEY not in str(refused.value)


def test_keeping_leaves_the_other_lines_and_its_file_is_private(file: Path) -> None:
    _write(file, "# of the desk\nA=1\nB=2\n")
    keep_secret("A", KEY)
    assert file.read_text() == f"# of the desk\nB=2\nA={KEY}\n"
    assert file.stat().st_mode & 0o777 == 0o600
    assert read_keys(file) == {"B": "2", "A": KEY}
    for name, value in (("A B", KEY), ("A", ""), ("A", "two\nlines"), ("A", "keyring:")):
        with pytest.raises(SettingsError):
            keep_secret(name, value)
    assert forget_secret("B")
    assert file.read_text() == f"# of the desk\nA={KEY}\n"


def test_the_verb_shows_where_each_comes_from_and_never_the_key(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    environ = {"MIDAS_KEY_FILE": str(file), "ANTHROPIC_API_KEY": "sk-ant-0123456789abcdef", "OPENAI_API_KEY": ""}
    done = run_midas("keys", "OPENAI_API_KEY", "--set", cwd=tmp_path, stdin=KEY + "\n", env=environ)
    assert done.code == 0, done.err
    assert file.read_text() == f"OPENAI_API_KEY={KEY}\n"
    shown = run_midas("keys", "--json", cwd=tmp_path, env=environ)
    by_name = {row["name"]: row["from"] for row in shown.document["keys"]}
    assert by_name["OPENAI_API_KEY"] == "key file"
    assert by_name["ANTHROPIC_API_KEY"] == "environment"
    assert by_name["MIDAS_API_KEY"] is None
    assert KEY not in shown.out + shown.err + done.out + done.err
    file.chmod(0o644)
    refused = run_midas("keys", cwd=tmp_path, env=environ)
    assert refused.code == 2
    assert "may be read or written by others" in refused.err
    assert run_midas("keys", "--set", cwd=tmp_path, env=environ).code == 2
