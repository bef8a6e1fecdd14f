"""`midas-tui --serve` as it runs: who is refused, who comes in, and what they can do there. Real sockets."""

from __future__ import annotations

import asyncio
import re
import socket
from typing import TYPE_CHECKING

import aiohttp
import pytest
from yarl import URL

from helpers_door import Served, Visitor, gone
from helpers_tui_base import fill_base, write_market
from midas_engine.kb import KnowledgeBase
from midas_engine.models import FeatureState
from midas_tui.input_gate import DEAF_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

EVIL = "http://evil.example"
LOADS = re.compile(r"""(?:\b(?:src|href)=|url\(|@import)\s*["']?([^"')\s]+)""")


@pytest.fixture(scope="module")
def arguments(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """A base and a market whose paths a shell would take apart."""
    folder = tmp_path_factory.mktemp('it\'s a "base"; $(exit 3)')
    fill_base(folder / "kb")
    return ["--kb", str(folder / "kb"), "--data", str(write_market(folder))]


@pytest.fixture(scope="module")
def read_only(arguments: list[str]) -> Iterator[Served]:
    with Served(arguments) as served:
        yield served


@pytest.fixture(scope="module")
def acting(arguments: list[str]) -> Iterator[Served]:
    with Served([*arguments, "--allow-actions"]) as served:
        yield served


def deployed(arguments: list[str]) -> set[str]:
    return {r.name for r in KnowledgeBase(arguments[1], read_only=True).features(FeatureState.DEPLOYED)}


# -- closed -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    ["/", "/?token=", "/?token=x", "/?token=%00", "/?token=%ff", "/static/textual.js", "/static/js/textual.js", "/ws",
     "/download/x", "/x", "//", "/../etc/passwd"],
)  # fmt: skip
async def test_without_the_token_there_is_nothing(read_only: Served, path: str) -> None:
    async with aiohttp.ClientSession() as http, http.get(read_only.origin + path, allow_redirects=False) as answer:
        assert answer.status == 403
        assert "the address that midas-tui printed" in await answer.text()
        assert "Set-Cookie" not in answer.headers


async def test_the_token_is_exchanged_for_a_cookie_and_leaves_the_address(read_only: Served) -> None:
    async with Visitor(read_only) as visitor:
        first = f"{read_only.origin}/?token={read_only.token}"
        async with visitor.http.get(first, allow_redirects=False) as answer:
            assert answer.status == 303
            cookie, place = answer.headers["Set-Cookie"], answer.headers["Location"]
        assert "HttpOnly" in cookie
        assert "SameSite=Strict" in cookie
        assert read_only.token not in cookie + place
        # Cookies know no ports: only the path keeps it from another server of this host.
        assert f"Path={place}" in cookie
        assert place != "/"
        socket_url = await visitor.enter()
        assert read_only.token not in visitor.url + visitor.page + socket_url
        assert "?" not in visitor.url
    async with aiohttp.ClientSession() as stranger:
        for url in (visitor.url, visitor.url + "static/textual.js", visitor.url + "words/x", visitor.url + "ws/x"):
            async with stranger.get(url) as answer:
                assert answer.status == 403


async def test_every_answer_carries_its_headers(read_only: Served) -> None:
    async with Visitor(read_only) as visitor:
        await visitor.enter()
        for url in ("", "static/page.js", "static/textual.js", "static/nothing", "words/x", "ws/x"):
            async with visitor.http.get(visitor.url + url) as answer:
                found = answer.headers
                policy = found["Content-Security-Policy"]
                assert policy.startswith("default-src 'none'; script-src 'self';")
                assert "frame-ancestors 'none'" in policy
                assert found["X-Frame-Options"] == "DENY"
                assert found["Referrer-Policy"] == "no-referrer"
                assert found["Cache-Control"] == "no-store"
                assert "Access-Control-Allow-Origin" not in found
        async with visitor.http.get(visitor.url + "?ping=http://evil.example/", allow_redirects=False) as answer:
            assert answer.status == 303  # the client's script would call that address
        files = [visitor.page]
        for name in ("page.js", "page.css", "xterm.css"):
            async with visitor.http.get(f"{visitor.url}static/{name}") as answer:
                assert answer.status == 200
                files.append(await answer.text())
        asked = [m[1] for text in files for m in LOADS.finditer(text)]
        assert len(asked) == 7
        assert [url for url in asked if "//" in url or not url.startswith(("static/", "Roboto", "data:,"))] == []
        for path in ("static/../server.py", "static/%2e%2e/server.py", "static/", "static//etc/passwd"):
            async with visitor.http.get(visitor.url + path) as answer:
                assert answer.status == 404


@pytest.mark.parametrize(
    "headers",
    [{"Origin": EVIL}, {"Origin": "null"}, {"Origin": ""}, {"Origin": "http://localhost:1"},
     {"Host": "evil.example"}, {"Host": "evil.example", "Origin": EVIL}, {"Host": "127.0.0.1:1"}],
    ids=str,
)  # fmt: skip
async def test_the_exploit_gets_no_terminal(acting: Served, arguments: list[str], headers: Mapping[str, str]) -> None:
    # Even with the cookie and a fresh nonce, as a browser that is led astray would carry them.
    before = deployed(arguments)
    async with Visitor(acting) as visitor:
        try:
            await visitor.open(headers)
            for key in ("2", "j", "p", "y"):
                await visitor.type(key)
            await visitor.until("promoted", 10)
        except aiohttp.WSServerHandshakeError as refused:
            assert refused.status == 403  # noqa: PT017
        assert acting.children() == []
    assert deployed(arguments) == before


async def raw(served: Served, text: str) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    writer.write(text.replace("\n", "\r\n").encode())
    try:
        async with asyncio.timeout(110):
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"(?i)content-length: (\d+)", head)  # it may stay open for another
            return head + (await reader.readexactly(int(length[1])) if length is not None else b"")
    finally:
        writer.close()


UPGRADE = (
    "Connection: Upgrade\nUpgrade: websocket\nSec-WebSocket-Version: 13\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\n"
)


async def test_an_upgrade_without_an_origin_is_refused(read_only: Served) -> None:
    async with Visitor(read_only) as visitor:
        url = await visitor.enter()
        cookie = visitor.http.cookie_jar.filter_cookies(URL(visitor.url))["midas-door"]
        path = url.split(read_only.host, 1)[1]
        head = f"GET {path} HTTP/1.1\nHost: {read_only.host}\nCookie: midas-door={cookie.value}\n{UPGRADE}"
        for extra in ("", f"Origin: {EVIL}\nOrigin: {read_only.origin}\n"):
            answer = await raw(read_only, f"{head}{extra}\n")
            assert answer.startswith(b"HTTP/1.1 403"), answer
            assert b"not asked for by the terminal's own page" in answer
        assert (await raw(read_only, f"{head}Origin: {read_only.origin}\nHost: evil.example\n\n"))[9:12] in (
            b"400",
            b"403",
        )
        assert (await raw(read_only, f"{head.replace('Cookie', 'X')}Origin: {read_only.origin}\n\n"))[9:12] == b"403"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"])
async def test_only_pages_are_asked_for(read_only: Served, method: str) -> None:
    async with Visitor(read_only) as visitor:
        await visitor.enter()
        for headers in ({}, {"Origin": EVIL}, {"Origin": "null"}):
            async with visitor.http.request(method, visitor.url, headers=headers, data=b"x" * 100_000) as answer:
                assert answer.status == (405 if method == "HEAD" and not headers else 403)
        async with visitor.http.request(method, visitor.url, headers={"Origin": read_only.origin}) as answer:
            assert answer.status == 405
        async with aiohttp.ClientSession() as stranger:  # a token opens the page, and nothing else
            url = f"{read_only.origin}/?token={read_only.token}"
            async with stranger.request(method, url, headers={"Origin": read_only.origin}) as answer:
                assert answer.status == 403


async def test_a_page_opens_one_socket(read_only: Served) -> None:
    async with Visitor(read_only) as visitor:
        url = await visitor.enter()
        await visitor.open(url=url)
        for again in (url, url.rsplit("/", 1)[0] + "/guessed"):
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await visitor.http.ws_connect(again, headers={"Origin": read_only.origin})
            assert refused.value.status == 403


# -- open ---------------------------------------------------------------------------------------------


async def test_the_terminal_is_drawn_and_changes_nothing(read_only: Served, arguments: list[str]) -> None:
    before = deployed(arguments)
    async with Visitor(read_only) as visitor:
        await visitor.open()
        await visitor.until("READ-ONLY")
        await visitor.until(lambda text: "momentum_24h" in text)
        await visitor.type("2")
        await visitor.until("volume_shock")
        for key in ("p", "x", "b", "u", "U"):
            await visitor.type(key)
        await visitor.until("serve it with --allow-actions")
        await visitor.type("3")
        await visitor.type("r")
        await visitor.until("a session writes candidates")
        program = read_only.children()
        assert [p.cmdline()[-1] for p in program] == ["--read-only"]
        assert f"--kb={arguments[1]}" in program[0].cmdline()
        said = " ".join(word for p in [*program] for word in (*p.cmdline(), *p.environ().values()))
        assert read_only.token not in said
    assert await gone(program) == []
    assert deployed(arguments) == before


async def test_allow_actions_allows_them(acting: Served, arguments: list[str]) -> None:
    async with Visitor(acting) as visitor:
        await visitor.open({"Host": f"localhost:{acting.port}", "Origin": f"http://localhost:{acting.port}"})
        await visitor.until(lambda text: "momentum_24h" in text)
        await visitor.type("2")
        await visitor.until("carry_slow")
        await visitor.type("j")
        await visitor.type("b")
        await visitor.until(lambda text: "same as: midas shadow" in text)
        await asyncio.sleep(2 * DEAF_SECONDS)  # a dialog hears nothing before a person could have read it
        await visitor.type("y")
        await visitor.until(lambda text: "runs in shadow" in text)
        program = acting.children()
    assert await gone(program) == []
    assert len(KnowledgeBase(arguments[1], read_only=True).features(FeatureState.SHADOW)) == 2


async def test_a_second_browser_is_told_and_gets_the_place_when_it_is_free(read_only: Served) -> None:
    async with Visitor(read_only) as first, Visitor(read_only) as second:
        await first.open()
        await first.until("READ-ONLY")
        url = await second.enter()
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await second.open(url=url)
        assert refused.value.status == 409
        async with second.http.get(url.replace("ws://", "http://").replace("/ws/", "/words/")) as answer:
            assert "open in another page" in await answer.text()
        assert len(read_only.children()) == 1
        # An abrupt end: no closing frame, the line is cut.
        assert first.socket is not None
        plug = first.socket.get_extra_info("socket")
        plug.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        transport = first.socket._response.connection.transport  # type: ignore[union-attr]
        transport.abort()
        await second.open()
        await second.until("READ-ONLY")
        assert len(read_only.children()) == 1
        # The program ends itself: the page is told, the place is free.
        await second.type("\x11")
        assert second.socket is not None
        with pytest.raises(AssertionError, match="the socket closed"):
            await second.until("never")
    assert await gone(read_only.children()) == []
