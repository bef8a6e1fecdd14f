"""Where a model is asked, which key goes there, and keys that can be none."""

from __future__ import annotations

import asyncio
import contextlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from midas_engine.errors import ModelError, ModelKeyError, SettingsError
from midas_engine.llm import make_client
from midas_engine.llm.endpoint import find_endpoint
from midas_engine.llm.factory import available_providers
from midas_engine.settings import ModelSettings
from tests.helpers_cli import run_midas
from tests.helpers_llm import ASK

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

OWN = {"OPENAI_API_KEY": "gsk_Own0123456789abcdefOPENAI", "ANTHROPIC_API_KEY": "own-0123456789-anthropic"}
OURS = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"
PROVIDERS = ("openai", "anthropic")


@dataclass
class Door:
    """A server of one answer; keeps every byte that came."""

    port: int = 0
    status: str = "401 Unauthorized"
    headers: str = ""
    body: bytes = b'{"error": {"message": "no"}}'
    seen: list[bytes] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            head = await reader.readuntil(b"\r\n\r\n")
            size = next((int(h.split(b":")[1]) for h in head.lower().split(b"\r\n") if h.startswith(b"content-len")), 0)
            self.seen.append(head + await reader.readexactly(size))
            start = f"HTTP/1.1 {self.status}\r\n{self.headers}Connection: close\r\nContent-Length: {len(self.body)}\r\n"
            writer.write(start.encode() + b"Content-Type: application/json\r\n\r\n" + self.body)
            await writer.drain()
        writer.close()


@contextlib.asynccontextmanager
async def door(**more: Any) -> AsyncIterator[Door]:
    opened = Door(**more)
    server = await asyncio.start_server(opened.answer, "127.0.0.1", 0)
    opened.port = server.sockets[0].getsockname()[1]
    async with server:
        yield opened


async def _refused(settings: ModelSettings, api_key: str | None = None) -> ModelError:
    client = make_client(settings, api_key)
    with pytest.raises(ModelError) as caught:
        await client.complete(ASK)
    await client.close()
    return caught.value


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_a_providers_own_key_does_not_go_to_another_address(
    provider: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in OWN.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", f"X-Own: {OWN['OPENAI_API_KEY']}")
    monkeypatch.setenv("ANTHROPIC_CUSTOM_HEADERS", f"X-Own: {OWN['ANTHROPIC_API_KEY']}")
    monkeypatch.setenv("ANTHROPIC_AUTH_TOKEN", "token-0123456789")
    monkeypatch.setenv("OPENAI_ORG_ID", "org-of-the-user")
    async with door() as there:
        await _refused(ModelSettings(provider=provider, base_url=there.url))
        monkeypatch.setenv("MIDAS_API_KEY", OURS)
        await _refused(ModelSettings(provider=provider, base_url=there.url))
        await _refused(ModelSettings(provider=provider, base_url=there.url), "given-by-hand-0123")
    bare, ours, by_hand = there.seen
    for value in (*OWN.values(), "token-0123456789", "org-of-the-user"):
        assert value.encode() not in b"".join(there.seen)
    assert OURS.encode() not in bare
    assert OURS.encode() in ours
    assert b"given-by-hand-0123" in by_hand


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_an_address_set_beside_the_key_gets_it(provider: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"{provider.upper()}_API_KEY"
    monkeypatch.setenv(name, OWN[name])
    async with door() as there:
        monkeypatch.setenv(f"{provider.upper()}_BASE_URL", there.url)
        await _refused(ModelSettings(provider=provider))
    assert OWN[name].encode() in there.seen[0]


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"])
async def test_a_redirect_is_named_and_not_followed(
    provider: str, status: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIDAS_API_KEY", OURS)
    async with door() as elsewhere:
        to = f"Location: http://localhost:{elsewhere.port}/v1/chat/completions\r\n"
        async with door(status=status, headers=to) as there:
            error = await _refused(ModelSettings(provider=provider, base_url=there.url))
    assert "redirect" in error.message
    assert "localhost" in error.message
    assert elsewhere.seen == []
    assert len(there.seen) == 1


async def test_no_proxy_sees_a_key_in_plain_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIDAS_API_KEY", OURS)
    async with door() as proxy, door() as there:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        await _refused(ModelSettings(provider="compatible", base_url=there.url))
    assert proxy.seen == []
    assert len(there.seen) == 1


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://example.com/v1", "plain http"),
        ("http://127.0.0.1.example.com/v1", "plain http"),
        ("http://localhost.example.com/v1", "plain http"),
        ("http://10.0.0.7:8000/v1", "plain http"),
        ("http://2130706433/v1", "plain http"),
        ("http://0.0.0.0:8000/v1", "plain http"),
        ("https://user:hunter2hunter2@example.com/v1", "before its host"),
        ("https://hunter2hunter2@example.com/v1", "before its host"),
        ("https://api.openai.com\\@example.com/v1", "before its host"),
        ("https://api.openai.com\\.example.com/v1", "no address takes"),
        ("https://exämple.com/v1", "no address takes"),
        ("https://example.com/v1 x", "no address takes"),
        ("ftp://example.com/v1", "no http or https address"),
        ("file:///etc/passwd", "no http or https address"),
        ("example.com", "no http or https address"),
        ("https://", "no http or https address"),
        ("https://example.com:99999/", "is no address"),
        ("https://[::1/v1", "is no address"),
    ],
)
@pytest.mark.parametrize("where", ["settings", "environment"])
def test_an_address_that_a_key_must_not_go_to(url: str, said: str, where: str) -> None:
    environ = OWN | {"MIDAS_API_KEY": OURS}
    settings = ModelSettings(provider="openai", base_url=url)
    if where == "environment":
        environ, settings = environ | {"OPENAI_BASE_URL": url}, ModelSettings(provider="openai")
    with pytest.raises(SettingsError, match=said) as caught:
        find_endpoint(settings, environ=environ)
    assert "hunter2" not in str(caught.value)
    assert OURS not in str(caught.value)


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/v1", "http://localhost:1/v1", "http://[::1]:1/v1"])
def test_plain_http_on_this_machine_is_allowed(url: str) -> None:
    found = find_endpoint(ModelSettings(provider="compatible", base_url=url), environ={"MIDAS_API_KEY": OURS})
    assert found.loopback
    assert found.description == f"{found.host}, with the key in MIDAS_API_KEY"


def test_the_host_and_the_keys_name_are_told() -> None:
    settings = ModelSettings(provider="openai")
    assert find_endpoint(settings, environ=OWN).description == "api.openai.com, with the key in OPENAI_API_KEY"
    foreign = ModelSettings(provider="openai", base_url="https://example.com/v1")
    assert find_endpoint(foreign, environ=OWN).description == "example.com, with no key"
    own = ModelSettings(provider="openai", base_url="https://api.openai.com/v1")
    assert find_endpoint(own, environ=OWN).key_name == "OPENAI_API_KEY"


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("sk-abc\rdef", "a carriage return"),
        ("sk-abc\ndef", "a line break"),
        ("sk-abc def", "a blank"),
        ("sk-abc\tdef", "a tab"),
        ("sk-abc\x00def", "a control sign"),
        ("sk-abc\x1b[0m", "a control sign"),
        ("sk-abcé", "not ASCII"),
        ("\ufeffsk-abc", "not ASCII"),
        ("sk-abc\u200b", "not ASCII"),
        ("sk-\u2013abc", "not ASCII"),
        ('"sk-abc"', "quotes"),
        ("'sk-abc'", "quotes"),
        ("\u201csk-abc\u201d", "quotes"),
        ("Bearer sk-abc", "begins with 'bearer'"),
        ("Authorization: Bearer sk-abc", "begins with 'authorization'"),
        ("...", "stands in"),
        ("sk-...", "stands in"),
        ("<your key>", "a blank"),
        ("<your-key>", "stands in"),
        ("your-api-key", "stands in"),
        ("$OPENAI_API_KEY", "stands in"),
        ("xxxxxxxx", "stands in"),
    ],
)
@pytest.mark.parametrize("source", ["OPENAI_API_KEY", "ANTHROPIC_API_KEY", "MIDAS_API_KEY", "api_key"])
def test_a_key_that_can_be_none_is_refused_by_its_name(key: str, said: str, source: str) -> None:
    provider = {"OPENAI_API_KEY": "openai", "ANTHROPIC_API_KEY": "anthropic"}.get(source, "compatible")
    settings = ModelSettings(provider=provider, base_url="" if provider != "compatible" else "http://127.0.0.1:1/v1")
    by_hand = key if source == "api_key" else None
    with pytest.raises(ModelKeyError, match=said) as caught:
        find_endpoint(settings, by_hand, {} if by_hand else {source: key})
    assert source in caught.value.message
    assert "abc" not in str(caught.value)


def test_it_is_refused_before_anything_is_made_or_sent(tmp_path: Path) -> None:
    ran = run_midas("discover", "carry", "--provider", "openai", cwd=tmp_path, env={"OPENAI_API_KEY": "sk-abc\u00e9"})
    assert ran.code == 8
    assert "OPENAI_API_KEY" in ran.err
    assert "abc" not in ran.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("key", ["sk-abc-0123\r", "sk-abc-0123\r\n", " sk-abc-0123 ", "\tsk-abc-0123\n"])
def test_blanks_around_a_key_are_taken_off(key: str) -> None:
    found = find_endpoint(ModelSettings(provider="openai"), environ={"OPENAI_API_KEY": key})
    assert found.key.reveal() == "sk-abc-0123"


@pytest.mark.parametrize("key", ["", " ", "\r\n"])
def test_an_empty_key_is_none(key: str) -> None:
    assert available_providers({"OPENAI_API_KEY": key}) == ("local",)
    with pytest.raises(ModelKeyError, match="there is no API key for openai"):
        find_endpoint(ModelSettings(provider="openai"), environ={"OPENAI_API_KEY": key})


async def test_an_ordinary_answer_still_comes_from_another_address() -> None:
    chunk = {"choices": [{"index": 0, "delta": {"content": "hello"}, "finish_reason": "stop"}]}
    body = f"data: {json.dumps(chunk)}\n\ndata: [DONE]\n\n".encode()
    async with door(status="200 OK", body=body) as there:
        client = make_client(ModelSettings(provider="compatible", base_url=there.url), OURS)
        assert (await client.complete(ASK)).text == "hello"
        await client.close()
