"""What real endpoints, gateways and proxies send on a bad day, byte by byte, to each of the three APIs."""

from __future__ import annotations

import asyncio
import dataclasses
import ipaddress
import json
import ssl
from codecs import BOM_UTF8
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from midas_engine.clock import ManualClock, WallClock
from midas_engine.errors import ModelError, ModelKeyError, ModelOutageError, ModelSetupError, ModelUnfinishedError
from midas_engine.llm import Budget, make_client
from midas_engine.llm.guard import MOST_REST_SECONDS, asked_wait
from midas_engine.llm.patience import ask_patiently
from midas_engine.settings import ModelSettings
from tests.helpers_llm import ASK, NOW
from tests.helpers_raw_server import JSON, answering, chunks, events, http, message, response, said

if TYPE_CHECKING:
    from pathlib import Path

    from midas_engine.llm import ModelReply

APIS = ("chat", "messages", "responses")
TEXT = "Funding is paid by the crowd, " * 20
ESTIMATED = (len(ASK.system) + len(ASK.prompt)) // 4, len(TEXT) // 4


class _Clock(ManualClock):
    def __init__(self) -> None:
        super().__init__(NOW)
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.advance(seconds)


def _settings(api: str, url: str) -> ModelSettings:
    known: dict[str, Any] = {"model": "m", "prices": {"m": "1,2"}, "deadline_seconds": 20.0}
    if api == "messages":
        return ModelSettings(provider="anthropic", base_url=url, **known)
    return ModelSettings(
        provider="compatible", base_url=f"{url}/v1", options={"*.api": "chat" if api == "chat" else api}, **known
    )


async def _ask(api: str, *answers: bytes, patiently: bool = False) -> tuple[ModelReply, list[float], str]:
    clock, heard = _Clock(), list[str]()
    async with answering(*answers) as server:
        model = make_client(_settings(api, server.url), clock=clock)
        try:
            if patiently:
                reply = await ask_patiently(model.complete, ASK, heard.append, budget=Budget(9, 9.0, 9.0), clock=clock)
            else:
                reply = await model.complete(ASK, heard.append)
        finally:
            await model.close()
    return reply, clock.slept, "".join(heard)


def _good(api: str, text: str = TEXT) -> bytes:
    told = {
        "chat": chunks([said(text)], [said(None, "stop")]), "messages": message(text), "responses": response(text),
    }  # fmt: skip
    return http(events(*told[api]))


@pytest.mark.parametrize("api", APIS)
async def test_a_reply_without_counts_is_charged_by_its_characters(api: str) -> None:
    reply, _, heard = await _ask(api, _good(api))
    assert reply.text == TEXT == heard
    assert (reply.tokens_out, reply.tokens_cached) == (ESTIMATED[1], 0)
    assert abs(reply.tokens_in - ESTIMATED[0]) <= len(ASK.system) // 4 + 1
    assert reply.cost_usd > 0


@pytest.mark.parametrize("count", [10**15, 1e300, -3, "many", None])
@pytest.mark.parametrize("api", APIS)
async def test_a_count_that_can_be_none_empties_no_budget(api: str, count: Any) -> None:
    names = ("input_tokens", "output_tokens", "prompt_tokens", "completion_tokens", "cache_read_input_tokens")
    usage = dict.fromkeys(names, count)
    told = {
        "chat": chunks([said(TEXT, "stop")], usage=usage), "messages": message(TEXT, usage=usage),
        "responses": response(TEXT, usage=usage),
    }  # fmt: skip
    reply, _, _ = await _ask(api, http(events(*told[api])))
    assert reply.text == TEXT
    assert reply.tokens_in < 1_000
    assert reply.tokens_out == ESTIMATED[1]


UNTOLD = ("text/plain", "text/plain; charset=utf-8", "text/html", "application/octet-stream", "")
"""What gateways call a reply that is a good one."""


@pytest.mark.parametrize("kind", [JSON, *UNTOLD])
@pytest.mark.parametrize("api", APIS)
async def test_an_endpoint_that_streams_nothing_is_understood(api: str, kind: str) -> None:
    part = {"type": "text", "text": TEXT}
    whole = {
        "chat": {"choices": [{"index": 0, "message": {"content": TEXT}, "finish_reason": "stop"}]},
        "messages": {"type": "message", "content": [{"type": "thinking", "thinking": "hm"}, part],
                     "stop_reason": "end_turn", "usage": {"input_tokens": 7, "output_tokens": 8}},
        "responses": response(TEXT)[1]["response"],
    }[api]  # fmt: skip
    for indent in (None, 1):
        reply, _, heard = await _ask(api, http(json.dumps(whole, indent=indent), kind))
        assert reply.text == TEXT == heard


@pytest.mark.parametrize("kind", [JSON, *UNTOLD])
@pytest.mark.parametrize("api", APIS)
async def test_a_stream_that_is_called_otherwise_is_understood(api: str, kind: str) -> None:
    reply, _, _ = await _ask(api, _good(api).replace(b"text/event-stream", kind.encode(), 1))
    assert reply.text == TEXT


@pytest.mark.parametrize("api", APIS)
async def test_a_stream_of_an_object_a_line_is_understood(api: str) -> None:
    told = {
        "chat": chunks([said(TEXT)], [said(None, "stop")]), "messages": message(TEXT), "responses": response(TEXT),
    }  # fmt: skip
    lines = "\n".join(json.dumps(event) for event in told[api])
    assert (await _ask(api, http(lines, "application/x-ndjson")))[0].text == TEXT


@pytest.mark.parametrize("kind", UNTOLD)
@pytest.mark.parametrize("api", APIS)
async def test_a_page_in_the_place_of_a_reply_is_said_to_be_none(api: str, kind: str) -> None:
    reply, slept, heard = await _ask(api, http("<html>log in</html>", kind), _good(api), patiently=True)
    assert (reply.text, slept) == (TEXT, [5.0])
    assert "is no JSON" in heard


_DEEP = "[" * 100_000
_NO_TEXT = {
    "chat": [*chunks([{"index": 0, "delta": {"content": None}}]), {"choices": [{"delta": {"content": {"a": 1}}}]}],
    "messages": [{"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": 5}}],
    "responses": [{"type": "response.output_text.delta", "delta": None}, {"type": "response.output_text.delta"}],
}


@pytest.mark.parametrize("api", APIS)
async def test_what_no_text_can_be_is_a_fault_of_the_endpoint(api: str) -> None:
    whole = _good(api).partition(b"\r\n\r\n")[2]
    odd = [events(event).encode() + whole for event in _NO_TEXT[api]]
    for body in (*odd, f"data: {_DEEP}\n\n".encode() + whole):
        reply, _, _ = await _ask(api, http(body), _good(api), patiently=True)
        assert reply.text == TEXT


@pytest.mark.parametrize("split", [0, 1, 2, 3, 9])
@pytest.mark.parametrize("api", APIS)
async def test_a_byte_order_mark_costs_no_event(api: str, split: int) -> None:
    whole = BOM_UTF8 + _good(api).partition(b"\r\n\r\n")[2]
    pieces = [piece for piece in (whole[:split], whole[split:]) if piece]
    sent = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    reply, _, _ = await _ask(api, head + sent)
    assert reply.text == TEXT


@pytest.mark.parametrize("api", APIS)
async def test_half_a_character_waits_for_its_other_half(api: str) -> None:
    halves = ("up \ud83d", "\ude80 and \ud83d alone", "\ud83d")
    told = {
        "chat": chunks(*([said(half)] for half in halves), [said(None, "stop")]),
        "messages": [*message(halves[0])[:3], *(message(half)[2] for half in halves[1:]), *message("")[3:]],
        "responses": [*(response(half)[0] for half in halves), response("")[1]],
    }[api]  # fmt: skip
    reply, _, heard = await _ask(api, http(events(*told)))
    assert reply.text == heard
    assert reply.text.startswith("up \U0001f680 and ")
    assert reply.text.encode()


async def test_another_answer_than_the_first_is_left_alone() -> None:
    told = chunks([said("other", index=1)], [said(TEXT), said("other", index=1)], [said(None, "stop")])
    assert (await _ask("chat", http(events(*told))))[0].text == TEXT


_BUSY = {"type": "overloaded_error", "message": "Overloaded"}
FAULTS: dict[str, tuple[str, list[dict[str, Any]]]] = {
    "messages": ("messages", message(TEXT, fault=_BUSY)),
    "messages by reason": ("messages", message(TEXT, "error")),
    "responses": ("responses", [*response(TEXT)[:1], _BUSY | {"type": "error", "code": "x", "param": None}]),
    "responses failed": ("responses", response(TEXT, "failed", fault=_BUSY | {"code": "server_error"})),
    "chat": ("chat", [*chunks([said(TEXT)]), {"error": _BUSY}]),
    "chat by reason": ("chat", chunks([said(TEXT)], [said(None, "insufficient_system_resource")])),
}


@pytest.mark.parametrize("name", FAULTS)
async def test_a_providers_own_fault_in_mid_reply_is_waited_out(name: str) -> None:
    api, told = FAULTS[name]
    reply, slept, heard = await _ask(api, http(events(*told)), _good(api, "after it"), patiently=True)
    assert reply.text == "after it"
    assert slept == [5.0]
    assert "broke its reply off" in heard
    assert ("Overloaded" in heard) == ("reason" not in name)


@pytest.mark.parametrize("api", ["chat", "messages"])
async def test_a_call_of_a_tool_that_there_is_not_is_asked_once_more(api: str) -> None:
    reason = {"chat": "tool_calls", "messages": "tool_use"}[api]
    unasked = http(events(*(chunks([said(None, reason)]) if api == "chat" else message("", reason))))
    reply, slept, heard = await _ask(api, unasked, _good(api), patiently=True)
    assert (reply.text, slept) == (TEXT, [])
    assert f"the reason {reason!r}; asking once more" in heard
    with pytest.raises(ModelUnfinishedError, match=reason):
        await _ask(api, unasked, patiently=True)


@pytest.mark.parametrize("api", APIS)
async def test_a_wait_that_is_asked_for_is_told_and_kept(api: str) -> None:
    busy = http("{}", JSON, "429 Too Many Requests", Retry_After="300")
    reply, slept, heard = await _ask(api, busy, _good(api), patiently=True)
    assert (reply.text, slept) == (TEXT, [300.0])
    assert "asking again in 300 s" in heard


@pytest.mark.parametrize("asked", [f"{MOST_REST_SECONDS + 1}", "inf", "1e999", "Fri, 31 Dec 9999 23:59:59 GMT"])
@pytest.mark.parametrize("api", ["chat", "messages"])
async def test_nobody_waits_for_ever(api: str, asked: str) -> None:
    busy = http("{}", JSON, "429 Too Many Requests", Retry_After=asked)
    reply, slept, _ = await _ask(api, busy, _good(api), patiently=True)
    assert (reply.text, slept) == (TEXT, [5.0])


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7.0),
        ("0.5", 0.5),
        ("-7", 0.0),
        ("nan", 0.0),
        ("soon", 0.0),
        ("", 0.0),
        ("Thu, 01 Jan 2026 00:02:00 GMT", 120.0),
        ("Thu, 01 Jan 2026 00:02:00", 120.0),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
        ("Fri, 31 Dec 99999 23:59:59 GMT", 0.0),
        ("Fri, 99 Foo 2026 99:99:99 XYZ", 0.0),
        ("9" * 10_000, 0.0),
    ],
)
def test_a_wait_is_read_in_every_form(header: str, seconds: float) -> None:
    waited = asked_wait({"retry-after": header}, datetime(2026, 1, 1, tzinfo=UTC))
    assert waited == seconds or (len(header) > 100 and waited > MOST_REST_SECONDS)
    assert asked_wait({"retry-after-ms": "1500", "retry-after": "9"}, NOW) == 1.5


PAGE = "<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"


@pytest.mark.parametrize(
    ("status", "body", "kind", "told"),
    [
        ("401 Unauthorized", {"error": {"message": "key revoked"}}, ModelKeyError, "(401): key revoked"),
        ("402 Payment Required", {"error": {"message": "Insufficient Balance"}}, ModelError, "Insufficient Balance"),
        ("404 Not Found", {"error": 'model "m" not found, try pulling it'}, ModelSetupError, '(404): model "m" not'),
        ("422 Unprocessable", {"detail": [{"loc": ["body"], "msg": "field required"}]}, ModelError, ": field required"),
        ("429 Busy", {"error": {"message": "You exceeded your quota"}}, ModelOutageError, ": You exceeded your quota"),
        ("503 Busy", {"error": {"message": "loading model"}}, ModelOutageError, "503 after the retries: load"),
        ("502 Bad Gateway", PAGE, ModelOutageError, "failed with 502 after the retries"),
        ("400 Bad Request", [[[[[["deep"]]]]]], ModelError, "refused the request (400)"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("api", ["chat", "messages"])
async def test_what_an_endpoint_says_of_its_refusal_is_told(
    api: str, status: str, body: Any, kind: type[ModelError], told: str
) -> None:
    text = body if isinstance(body, str) else json.dumps(body)
    with pytest.raises(kind) as caught:
        await _ask(api, http(text, "text/html" if body is PAGE else JSON, status, Retry_After="0.01"))
    assert told in caught.value.message
    assert "<" not in caught.value.message
    assert len(caught.value.message) < 300


@pytest.mark.parametrize("api", APIS)
async def test_a_connection_that_breaks_in_mid_reply_is_called_so(api: str) -> None:
    whole = _good(api)
    with pytest.raises(ModelOutageError, match="broke in mid-reply"):
        await _ask(api, whole[: len(whole) // 2])


def _self_signed(folder: Path) -> ssl.SSLContext:
    """The server's side of a certificate that nobody vouches for."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    day = WallClock().now()
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, day - timedelta(days=1), day + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=True)
        .sign(key, hashes.SHA256())
    )
    form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (folder / "key").write_bytes(key.private_bytes(serialization.Encoding.PEM, *form))
    (folder / "cert").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert", folder / "key")
    return context


async def _ask_at(url: str) -> ModelReply:
    model = make_client(dataclasses.replace(_settings("chat", url), deadline_seconds=20.0))
    try:
        return await model.complete(ASK)
    finally:
        await model.close()


async def test_a_certificate_that_is_not_trusted_is_named_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with answering(_good("chat"), tls=_self_signed(tmp_path)) as server:
        with pytest.raises(ModelSetupError, match="the certificate of compatible is not trusted") as caught:
            await _ask_at(server.url.replace("http:", "https:"))
        assert server.bodies == []
        assert "SSL_CERT_FILE" in caught.value.hint
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert"))  # what the hint says helps
        assert (await _ask_at(server.url.replace("http:", "https:"))).text == TEXT


async def test_an_address_of_another_protocol_says_why() -> None:
    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(plain, "127.0.0.1", 0) as server:
        with pytest.raises(ModelOutageError, match=r"could not be reached \(.*(SSL|EOF)"):
            await _ask_at(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}")
