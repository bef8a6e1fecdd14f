"""The door's rules without a server: addresses, secrets, frames, places, options."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from multidict import CIMultiDict

from midas_engine.errors import SettingsError
from midas_tui import cli
from midas_tui.web.address import Address, read_public_url
from midas_tui.web.command import keep_to_owner, program_arguments
from midas_tui.web.door import NONCE_SECONDS, NONCES, WRONG_HOST, WRONG_ORIGIN, Door
from midas_tui.web.frames import Focus, Keys, Ping, Size, read_frame, read_size
from midas_tui.web.places import Places
from tests.helpers_cli import ROOT

if TYPE_CHECKING:
    import argparse

PUBLIC = "https://midas.example.org"
OWN = "http://127.0.0.1:8000"


class Watch:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def door(public: str = "") -> Door:
    return Door(Address(8000, public), Watch())


def asked(
    door: Door, host: str | None, origin: str | None = None, *, method: str = "GET", upgrade: bool = False
) -> str:
    headers: CIMultiDict[str] = CIMultiDict()
    if host is not None:
        headers.add("Host", host)
    if origin is not None:
        headers.add("Origin", origin)
    return door.foreign(method, headers, upgrade=upgrade)


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost:8000", "LOCALHOST:8000", "[::1]:8000"])
def test_own_hosts_may_ask_for_a_page(host: str) -> None:
    assert asked(door(), host) == ""
    assert asked(door(), host, f"http://{host.lower()}", upgrade=True) == ""


@pytest.mark.parametrize(
    "host",
    [None, "", "evil.example", "evil.example:8000", "127.0.0.1", "127.0.0.1:8001", "localhost", "localhost.:8000",
     "localhost.evil.example:8000", "127.0.0.1:8000.evil.example", "0.0.0.0:8000", "127.1:8000", "2130706433:8000",
     "127.0.0.1:8000@evil.example", "evil@127.0.0.1:8000", "[::1%lo]:8000", "[::ffff:127.0.0.1]:8000",
     "127.0.0.1:08000", " 127.0.0.1:8000", "127.0.0.1:8000,evil.example", "midas.example.org"],
)  # fmt: skip
def test_foreign_hosts_get_nothing(host: str | None) -> None:
    assert asked(door(), host) == WRONG_HOST
    assert asked(door(), host, OWN, upgrade=True) == WRONG_HOST


def test_two_hosts_or_two_origins_are_none() -> None:
    hosts = CIMultiDict([("Host", "127.0.0.1:8000"), ("Host", "evil.example")])
    assert door().foreign("GET", hosts, upgrade=False) == WRONG_HOST
    origins = CIMultiDict([("Host", "127.0.0.1:8000"), ("Origin", OWN), ("Origin", "http://evil.example")])
    assert door().foreign("GET", origins, upgrade=True) == WRONG_ORIGIN


@pytest.mark.parametrize(
    "origin",
    [None, "", "null", "http://evil.example", "https://127.0.0.1:8000", "http://127.0.0.1", "http://127.0.0.1:8001",
     "http://localhost:8000", "http://127.0.0.1:8000/", "http://127.0.0.1:8000.evil.example", "HTTP://127.0.0.1:8000",
     "http://127.0.0.1:8000 http://evil.example", "file://", "chrome-extension://x"],
)  # fmt: skip
@pytest.mark.parametrize(
    "how", [{"upgrade": True}, {"method": "POST"}, {"method": "PUT"}, {"method": "DELETE"}], ids=str
)
def test_what_acts_must_come_from_our_page(origin: str | None, how: dict[str, object]) -> None:
    assert asked(door(), "127.0.0.1:8000", origin, **how) == WRONG_ORIGIN  # type: ignore[arg-type]


def test_a_page_needs_no_origin_but_may_have_no_foreign_one() -> None:
    assert asked(door(), "127.0.0.1:8000", None) == ""
    assert asked(door(), "127.0.0.1:8000", "http://evil.example") == WRONG_ORIGIN


def test_a_tunnel_is_let_in_by_its_name_only() -> None:
    it = door(PUBLIC)
    for host in ("midas.example.org", "midas.example.org:443"):
        assert asked(it, host, PUBLIC, upgrade=True) == ""
    assert asked(it, "127.0.0.1:8000", PUBLIC, upgrade=True) == ""  # a tunnel that rewrites Host
    assert asked(it, "midas.example.org", OWN, upgrade=True) == WRONG_ORIGIN
    assert asked(it, "midas.example.org", "http://midas.example.org", upgrade=True) == WRONG_ORIGIN
    assert asked(it, "other.example.org", PUBLIC, upgrade=True) == WRONG_HOST


def test_port_80_is_left_out_by_browsers() -> None:
    address = Address(80)
    assert address.origins_for("localhost") == address.origins_for("localhost:80") == {"http://localhost"}


@pytest.mark.parametrize(
    ("url", "origin"),
    [("https://a.example", "https://a.example"), ("https://A.example:8443/", "https://a.example:8443"),
     ("http://localhost:9000", "http://localhost:9000"), ("https://[2001:db8::1]", "https://[2001:db8::1]"),
     ("https://b\u00fccher.example", "https://xn--bcher-kva.example")],
)  # fmt: skip
def test_public_urls(url: str, origin: str) -> None:
    assert read_public_url(url) == origin


@pytest.mark.parametrize(
    "url",
    ["", "a.example", "ftp://a.example", "https://", "https://u:p@a.example", "https://a.example/path",
     "https://a.example/?x", "https://a.example/#x", "http://a.example", "https://a.example:99999",
     "https://a b.example", "javascript:alert(1)", "https://[::1"],
)  # fmt: skip
def test_what_names_no_tunnel_is_refused(url: str) -> None:
    with pytest.raises(SettingsError, match="--public-url"):
        read_public_url(url)


def test_secrets_are_long_new_and_compared_whatever_is_given() -> None:
    one, other = door(), door()
    assert len({one.token, other.token, one.cookie, other.cookie, one.path, other.path}) == 6
    assert len(one.token) >= 22  # 128 bits in base 64
    assert one.knows_token(one.token)
    for wrong in ("", one.token[:-1], one.token + "x", "\u00e9" * 43, "\ud800", other.token, one.cookie):
        assert not one.knows_token(wrong)


def test_a_cookie_of_another_port_neither_opens_nor_closes() -> None:
    it = door()
    ours, foreign = f"midas-door={it.cookie}", "midas-door=planted"
    for line in (ours, f"{foreign}; {ours}", f"{ours}; {foreign}", f'a="x; y"; {ours}'):
        assert it.knows_cookie(CIMultiDict([("Cookie", line)]))
    for line in ("", foreign, f"other={it.cookie}", it.cookie, f"midas-door={it.token}"):
        assert not it.knows_cookie(CIMultiDict([("Cookie", line)]))


def test_a_nonce_opens_once_and_soon_and_is_not_kept_for_ever() -> None:
    watch = Watch()
    it = Door(Address(8000), watch)
    nonce = it.new_nonce()
    assert it.use_nonce(nonce)
    assert not it.use_nonce(nonce)
    late = it.new_nonce()
    watch.seconds = NONCE_SECONDS + 1
    assert not it.use_nonce(late)
    oldest = it.new_nonce()
    for _ in range(NONCES):
        it.new_nonce()
    assert not it.use_nonce(oldest)
    assert len(it._nonces) == NONCES
    assert not it.use_nonce("")


def test_frames_the_page_sends() -> None:
    assert read_frame('["stdin", "p\\u001b[A"]') == Keys("p\x1b[A")
    assert read_frame('["resize", {"width": 120, "height": 36}]') == Size(120, 36)
    assert read_frame('["focus"]') == Focus(True)
    assert read_frame('["blur"]') == Focus(False)
    assert read_frame('["ping", "1764356400000"]') == Ping("1764356400000")


@pytest.mark.parametrize(
    "text",
    ["", "{", "null", "[]", "{}", "7", '"stdin"', '["stdin"]', '["stdin", 1]', '["stdin", null]', '["stdin", ["p"]]',
     '["stdin", "a", "b"]', '["resize"]', '["resize", {}]', '["resize", [80, 24]]', '["ping", {}]',
     '["resize", {"width": true, "height": 24}]', '["resize", {"width": "80", "height": 24}]',
     '["resize", {"width": 80.5, "height": 24}]', '["resize", {"width": NaN, "height": Infinity}]',
     '["resize", {"width": ' + "9" * 5000 + ', "height": 1}]', '["shell", "ls"]', '["quit"]', "[" * 60_000,
     json.dumps(["ping", "x" * 1000])],
    ids=lambda text: text[:30],
)  # fmt: skip
def test_frames_without_a_meaning(text: str) -> None:
    assert read_frame(text) is None


def test_sizes_are_those_of_a_screen() -> None:
    assert read_size("120", "36") == Size(120, 36)
    assert read_size("0", "-5") == Size(1, 24)
    assert read_size("999999999", "1" * 40) == Size(500, 24)
    assert read_size("", "\u0663") == Size(80, 24)


async def test_places_are_taken_left_and_free_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("midas_tui.web.places.GLANCE_SECONDS", 0.02)
    places = Places(1)
    assert await places.take()
    assert not await places.take()
    await places.leave()
    waiting = asyncio.create_task(places.take())  # a page loaded again waits for the old one's end
    await asyncio.sleep(0.03)
    assert not waiting.done()
    await places.free()
    assert await waiting
    assert not await places.take()
    many = await asyncio.gather(*(places.take() for _ in range(50)))
    assert not any(many)


def parsed(*words: str) -> argparse.Namespace:
    return cli.parser().parse_args(["--serve", *words])


def test_the_served_program_is_started_by_a_list_and_read_only() -> None:
    hostile = '/tmp/it\'s "my" kb; touch /tmp/x $(id)'
    assert program_arguments(parsed("--kb", hostile)) == [f"--kb={hostile}", "--read-only"]
    assert program_arguments(parsed("--kb=--serve")) == ["--kb=--serve", "--read-only"]
    given = [
        "--port",
        "9",
        "--sessions",
        "2",
        "--public-url",
        PUBLIC,
        "--replay",
        "--speed",
        "8",
        "--paused",
        "--ascii",
    ]
    assert program_arguments(parsed(*given)) == ["--replay=sample", "--speed=8.0", "--paused", "--ascii", "--read-only"]
    assert program_arguments(parsed("--allow-actions", "--data", "sample")) == ["--data=sample"]
    # Whatever the terminal can be started with reaches it, and nothing of the door does.
    dests = {a.dest for a in cli.parser()._actions} - {"help", "exit_when_ready", "read_only"}
    door_only = {"serve", "port", "allow_actions", "sessions", "public_url"}
    everything = ["--kb=a", "--data=b", "--replay=c", "--synthetic", "--speed=1", "--paused", "--ascii", "--theme=d",
                  "--config=e", "--mode=live", "--attach=f", "--demo"]  # fmt: skip
    passed = {a.lstrip("-").split("=")[0] for a in program_arguments(parsed(*everything, "--allow-actions"))}
    assert passed == dests - door_only


@pytest.mark.parametrize(
    ("words", "said"),
    [(["--allow-actions"], "--allow-actions goes with --serve"), (["--port", "8000"], "--port goes with --serve"),
     (["--sessions", "2"], "--sessions goes with --serve"),
     (["--public-url", PUBLIC], "--public-url goes with --serve"),
     (["--serve", "--port", "70000"], "is no port"), (["--serve", "--sessions", "0"], "1 to 8"),
     (["--serve", "--sessions", "1000"], "1 to 8"),
     (["--serve", "--allow-actions", "--read-only"], "exclude each other"),
     (["--serve", "--public-url", "http://a.example"], "use https")],
)  # fmt: skip
def test_options_that_do_not_go_together(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(words) == 2
    assert said in capsys.readouterr().err


def test_there_is_no_way_to_listen_elsewhere(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["--serve", "--host", "0.0.0.0"])
    assert "unrecognized arguments: --host" in capsys.readouterr().err


@pytest.mark.parametrize("missing", ["textual_serve", "aiohttp"])
def test_a_missing_extra_is_told_with_its_install_line(
    missing: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    assert cli.main(["--serve"]) == 2
    assert "pip install 'midas-alpha[web]'" in capsys.readouterr().err


def test_the_extra_is_web_and_serve_is_the_same() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert extras["web"] == extras["serve"]
    assert set(extras["web"]) <= set(extras["dev"])


def test_a_file_that_gets_the_token_is_made_private(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "log"
    with path.open("w") as output:
        os.fchmod(output.fileno(), 0o644)
        keep_to_owner(output)
    assert path.stat().st_mode & 0o777 == 0o600
    assert "only you can read it" in capsys.readouterr().err
    with Path(os.devnull).open("w") as output:
        before = Path(os.devnull).stat().st_mode
        keep_to_owner(output)
        assert Path(os.devnull).stat().st_mode == before
