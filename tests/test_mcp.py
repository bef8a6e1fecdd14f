"""An agent of the user's own, through the real client of the protocol: what it may do, and what it never can."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import socket
import sys
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client

from midas_engine.cli.verbs.mcp import _same_host, _uvicorn
from midas_engine.evaluator import TrialLedger
from midas_engine.kb import KnowledgeBase
from midas_engine.loops import OfflineLoopConfig
from midas_engine.mcp_door.desk import Caps, Desk
from midas_engine.mcp_door.queue import QueuedResearcher, waiting
from midas_engine.mcp_door.server import Tokens, build, guarded
from midas_engine.settings import EvaluationSettings, Settings
from tests.helpers_cli import ROOT, call_midas
from tests.helpers_loops import FakeAssessor, events_of, loop_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

TOOLS = {"data_schema", "operators", "search_memory", "evaluate", "propose", "session_log", "pipeline"}
CARRY = "cs_rank(neg(funding_rate))"
# Figures that exist on the sealed part only.
SEALED = {"sealed": (7.7713, 0.12379)}
TRACES = ("7.7713", "7.77", "0.12379", "sealed_")


def _desk(folder: Path, **caps: int) -> Desk:
    settings = Settings(evaluation=EvaluationSettings(workers=0))
    assessor = FakeAssessor(lambda e, part: e == CARRY, figures=SEALED)
    return Desk(KnowledgeBase(folder / "kb"), settings, assessor, OfflineLoopConfig(), Caps(**caps))


@contextlib.asynccontextmanager
async def http(desk: Desk, tokens: dict[str, str]) -> AsyncIterator[str]:
    """The door on a port of its own."""
    known = Tokens(tokens)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = f"127.0.0.1:{listening.getsockname()[1]}"
        app = build(desk, known.client).streamable_http_app(transport_security=_same_host(address))
        server = _uvicorn(guarded(app, known))
        server.capture_signals = contextlib.nullcontext
        task = asyncio.create_task(server.serve(sockets=[listening]))
        try:
            yield f"http://{address}/mcp"
        finally:
            server.should_exit = True
            await task


@contextlib.asynccontextmanager
async def client(url: str, token: str) -> AsyncIterator[Client]:
    async with (
        httpx2.AsyncClient(headers={"Authorization": f"Bearer {token}"}, trust_env=False) as web,
        Client(streamable_http_client(url, http_client=web)) as made,
    ):
        yield made


async def told(client: Client, tool: str, **arguments: Any) -> Any:
    """What a tool answers, as its text."""
    result = await client.call_tool(tool, arguments)
    text = "".join(getattr(part, "text", "") for part in result.content)
    if result.is_error:
        raise AssertionError(text)
    try:
        return json.loads(text)
    except ValueError:
        return text


async def test_a_session_over_http(tmp_path: Path) -> None:
    desk = _desk(tmp_path, trials=2)
    async with http(desk, {"alice": "a-token", "bob": "b-token"}) as url, client(url, "a-token") as alice:
        tools = {tool.name for tool in (await alice.list_tools()).tools}
        assert tools == TOOLS
        assert not [t for t in tools if any(w in t for w in ("promote", "kill", "seal", "deploy", "shadow"))]
        schema = await told(alice, "data_schema")
        assert "funding_rate" in schema["columns"]
        assert "ts_decay_linear" in await told(alice, "operators")
        claim = {"mechanism": "crowding", "sign": 1, "horizon": 4, "confidence": 0.7}
        first = await told(alice, "evaluate", name="carry", expression=CARRY, hypothesis=claim)
        assert (first["passed_research"], first["t"], first["trials_left"]) == (True, 3.5, 1)
        again = await told(alice, "evaluate", name="other", expression="cs_rank(-2 * funding_rate)", hypothesis=claim)
        assert again["answered_from_the_record"]
        assert again["trials_left"] == 1
        await told(alice, "evaluate", name="x", expression="cs_rank(close)")
        with pytest.raises(AssertionError, match="used its 2 trials"):
            await told(alice, "evaluate", name="y", expression="cs_rank(volume)")
        async with client(url, "b-token") as bob:  # another client has its own
            with pytest.raises(AssertionError, match="nonsense"):
                await told(bob, "evaluate", name="y", expression="nonsense(close)")
            assert (await told(bob, "evaluate", name="y", expression="cs_rank(volume)"))["trials_left"] == 1
        queued = await told(alice, "propose", name="carry", expression=CARRY, rationale="crowded longs pay")
        assert queued["queued"] == "carry"
        log = await told(alice, "session_log")
        assert len(log["trials"]) == 3
        assert (await told(alice, "search_memory", text="funding"))["found"]
        assert await told(alice, "pipeline") == {"features": []}
    with TrialLedger(desk._kb.journal_path, read_only=True) as ledger:
        assert ledger.looks() == []
        assert {t.summary["proposer"] for t in ledger.history()} == {"mcp:alice", "mcp:bob"}


async def test_a_door_without_its_token_says_nothing(tmp_path: Path) -> None:
    async with http(_desk(tmp_path), {"alice": "a-token"}) as url, httpx2.AsyncClient(trust_env=False) as web:
        ask = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
        for token in ("", "Bearer x", "Bearer b-token", "a-token", "Bearer a-token\xff"):
            headers = [(b"authorization", token.encode("latin-1"))]
            assert (await web.post(url, json=ask, headers=headers)).status_code == 401
        right = {"Authorization": "Bearer a-token", "Accept": "application/json, text/event-stream"}
        for name, value in (("Origin", "https://evil.example"), ("Host", "evil.example")):
            assert (await web.post(url, json=ask, headers=right | {name: value})).status_code in (403, 421)


async def test_no_figure_of_the_sealed_part_is_within_reach(tmp_path: Path) -> None:
    desk = _desk(tmp_path, calls=6)
    from tests.helpers_loops import FixedResearcher

    found = await events_of(loop_of(tmp_path, FixedResearcher([CARRY])), FakeAssessor(lambda *_: True, figures=SEALED))
    assert found[-1].accepted  # type: ignore[attr-defined]
    async with http(desk, {"alice": "a"}) as url, client(url, "a") as alice:
        seen = [
            await told(alice, "pipeline"), await told(alice, "session_log"),
            await told(alice, "search_memory", text="carry funding"), await told(alice, "data_schema"),
            await told(alice, "evaluate", name="carry", expression=CARRY),
        ]  # fmt: skip
        assert seen[0]["features"][0]["research"]["score_t"] == 3.5
        for text in map(json.dumps, seen):
            assert not [trace for trace in TRACES if trace in text]
        await told(alice, "operators")
        with pytest.raises(AssertionError, match="used its 6 calls"):
            await told(alice, "operators")


async def test_the_operator_judges_what_was_proposed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    desk = _desk(tmp_path)
    async with http(desk, {"alice": "a"}) as url, client(url, "a") as alice:
        await told(alice, "evaluate", name="carry", expression=CARRY)
        await told(alice, "propose", name="carry", expression=CARRY)
        again = await told(alice, "propose", name="crowding", expression="cs_rank(-1 * funding_rate)")
        assert again["queued"] == "carry", "the same one under another name and spelling"
        assert re.match(r"it waits since 20.* as carry, proposed by alice", again["answered_from_the_record"])
        turned = {"mechanism": "crowding", "sign": -1}
        await told(alice, "propose", name="other", expression="cs_rank(open)", hypothesis=turned)
        again = await told(alice, "propose", name="more", expression="neg(cs_rank(open))")
        assert again["queued"] == "other", "what was turned is turned once"
        with pytest.raises(AssertionError, match="already there"):
            await told(alice, "propose", name="carry", expression="cs_rank(close)")
    queued, _ = waiting(desk._kb)
    assert (queued.client, queued.expression) == ("alice", CARRY)
    shown = call_midas(capsys, "proposals", "--kb", str(desk._kb.path), "--json")
    assert shown.document["waiting"][0]["name"] == "carry"
    loop = loop_of(tmp_path, QueuedResearcher([queued]), refinements=0)
    ended = (await events_of(loop, FakeAssessor(lambda *_: True)))[-1]
    assert ended.accepted == ("carry",)  # type: ignore[attr-defined]
    async with http(desk, {"alice": "a"}) as url, client(url, "a") as alice:
        known = await told(alice, "propose", name="anew", expression=CARRY)
    assert known == {"queued": "", "answered_from_the_record": "it is the feature carry of the base, candidate"}
    assert call_midas(capsys, "proposals", "--drop", "--kb", str(desk._kb.path)).code == 0
    assert waiting(desk._kb) == []


async def test_a_session_over_stdio(tmp_path: Path) -> None:
    arguments = ["-m", "midas", "mcp", "--kb", str(tmp_path / "kb"), "--data", "sample"]
    server = StdioServerParameters(command=sys.executable, args=arguments, cwd=str(ROOT))
    async with Client(stdio_client(server)) as agent:
        assert {tool.name for tool in (await agent.list_tools()).tools} == TOOLS
        assert await told(agent, "pipeline") == {"features": []}
        schema = await told(agent, "data_schema")
    assert "research part" in schema["market"]


@pytest.mark.parametrize(
    ("tool", "given", "words"),
    [
        (
            "evaluate",
            {"name": "x"},
            "evaluate: expression is missing; evaluate takes name (a text), expression (a text)",
        ),
        (
            "evaluate",
            {"name": "x", "expression": "close", "hold": "long"},
            "hold is 'long', where a whole number belongs",
        ),
        ("evaluate", {"name": "x", "expression": "close", "hypothesis": "up"}, "hypothesis is 'up', where an object"),
        ("evaluate", {"name": "x", "expression": "close", "hold": True}, "hold is true, where a whole number belongs"),
        ("evaluate", {"name": "x", "expression": "close", "hold": -1}, "hold must be from 0 to 10,000 bars, not -1"),
        ("propose", {"name": "x", "expression": "close", "hold": 10**9}, "bars, not 1,000,000,000"),
        (
            "evaluate",
            {"name": "x", "expression": "close", "hypothesis": {"horizon_bars": 24}},
            "a hypothesis has no field 'horizon_bars' (did you mean 'horizon'?)",
        ),
        ("evaluate", {"name": "x", "expression": "close", "hypothesis": {"sign": 0}}, "'sign' must be 1 or -1, not 0"),
        (
            "propose",
            {"name": 3, "expression": ["close"]},
            "name is 3, where a text belongs; expression is a list, where",
        ),
        ("propose", {"name": "x", "expressions": "close"}, "no argument 'expressions'; did you mean expression?"),
        (
            "search_memory",
            {},
            "search_memory: text is missing; search_memory takes text (a text); if wanted n (a whole",
        ),
        ("search_memory", {"text": "x", "n": 1.5}, "n is 1.5, where a whole number belongs"),
        ("session_log", {"session": None}, "session is null, where a text belongs"),
        ("data_schema", {"verbose": True}, "data_schema has no argument 'verbose'; data_schema takes no arguments"),
        ("operators", {"x": 1}, "operators has no argument 'x'"),
        ("pipeline", {"state": "deployed"}, "pipeline has no argument 'state'"),
        ("promote", {}, "there is no tool 'promote'; there are: data_schema, operators"),
    ],
)
async def test_arguments_that_cannot_be_are_refused_in_words_of_ours(
    tmp_path: Path, tool: str, given: dict[str, Any], words: str
) -> None:
    async with http(_desk(tmp_path), {"alice": "a"}) as url, client(url, "a") as alice:
        with pytest.raises(AssertionError) as refused:
            await told(alice, tool, **given)
    assert words in str(refused.value)
    assert "pydantic" not in str(refused.value)
    assert "http" not in str(refused.value)
