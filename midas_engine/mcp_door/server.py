"""The protocol around the desk: stdio for one client, loopback HTTP with a token for each."""

from __future__ import annotations

import functools
import hmac
from typing import TYPE_CHECKING, Any

from midas_engine.errors import MidasError, SettingsError
from midas_engine.mcp_door.arguments import misfit, unknown
from midas_engine.mcp_door.bounds import bounded_body
from midas_engine.mcp_door.desk import proposal_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from midas_engine.mcp_door.desk import Desk

INSTRUCTIONS = (
    "Midas searches features that predict the returns of crypto perpetual futures. Read data_schema and operators, "
    "then search_memory: what was tried is answered from the record. Every evaluate is a trial, charged once and for "
    "good, so say why you expect an effect before you try it. Figures are of the research part only. propose queues an "
    "expression for the operator; nothing here can promote, stop a feature, or look at the sealed part."
)


def build(desk: Desk, client_of: Callable[[Mapping[str, str] | None], str]) -> Any:
    """The server with its seven tools.

    Args:
        desk: Does the work.
        client_of: Whose call it is, by the headers of its request (None over stdio).

    Raises:
        SettingsError: The package `mcp` is not installed.
    """
    try:
        from mcp.server.mcpserver import Context, MCPServer
        from mcp.server.mcpserver.exceptions import ToolError
        from pydantic import ValidationError
    except ImportError as error:
        raise SettingsError("midas mcp needs the package mcp", hint='pip install "midas[mcp]"') from error

    class Server(MCPServer):
        """Says in its own words what is wrong with a call."""

        async def call_tool(self, name: str, arguments: dict[str, Any], context: Any = None) -> Any:
            tools = {tool.name: tool.input_schema for tool in await self.list_tools()}
            if name not in tools:
                raise ToolError(f"there is no tool {name[:40]!r}; there are: {', '.join(tools)}")
            why = unknown(name, tools[name], arguments)
            switches = [argument for argument, value in arguments.items() if isinstance(value, bool)]
            if not why and switches:  # no tool takes one; true would be read as 1
                why = misfit(name, tools[name], arguments, switches)
            if why:
                raise ToolError(why)
            try:
                return await super().call_tool(name, arguments, context)
            except ToolError as error:
                if not isinstance(error.__cause__, ValidationError):
                    raise
                places = [str(one["loc"][0]) for one in error.__cause__.errors() if one["loc"]]
                raise ToolError(misfit(name, tools[name], arguments, places)) from None

    server = Server("midas", instructions=INSTRUCTIONS, log_level="WARNING")

    async def done(context: Any, work: Callable[[str], Awaitable[Any]]) -> Any:
        client = client_of(context.headers)
        try:
            desk.count(client)
            return await work(client)
        except MidasError as error:
            raise ToolError(f"{error.message}" + (f" ({error.hint})" if error.hint else "")) from None

    async def data_schema(ctx: Context) -> dict[str, Any]:
        """The market, its columns with unit and coverage, costs, limits, gates, and the features that exist."""
        return dict(await done(ctx, lambda _: desk.data_schema()))

    async def operators(ctx: Context) -> str:
        """The expression language: every operator with its meaning."""
        return str(await done(ctx, lambda _: desk.operators()))

    async def search_memory(ctx: Context, text: str, n: int = 10) -> dict[str, Any]:
        """What was tried and learned about `text`: learnings, features, forms with their best score, chances."""
        return dict(await done(ctx, lambda _: desk.memory(text, n)))

    async def evaluate(
        ctx: Context, name: str, expression: str, rationale: str = "", gate: str = "", hold: int = 0,
        hypothesis: dict[str, Any] | None = None,
    ) -> dict[str, Any]:  # fmt: skip
        """Score an expression on the research part. Charged to the ledger; a repeat is answered from the record.

        `hypothesis` puts on record what it claims: mechanism, sign, horizon, holding, turnover, columns, confidence.
        """
        made = functools.partial(proposal_of, name, expression, rationale, gate, hold, hypothesis)
        return dict(await done(ctx, lambda client: desk.evaluate(client, made())))

    async def propose(
        ctx: Context, name: str, expression: str, rationale: str = "", gate: str = "", hold: int = 0,
        hypothesis: dict[str, Any] | None = None,
    ) -> dict[str, Any]:  # fmt: skip
        """Queue an expression for the operator; one that waits, or is a feature, is said. Nothing is promoted."""
        made = functools.partial(proposal_of, name, expression, rationale, gate, hold, hypothesis)
        return dict(await done(ctx, lambda client: desk.propose(client, made())))

    async def session_log(ctx: Context, session: str = "") -> dict[str, Any]:
        """What a session tried, with research figures; the newest trials of all sessions without a name."""
        return dict(await done(ctx, lambda _: desk.session_log(session)))

    async def pipeline(ctx: Context) -> dict[str, Any]:
        """The features of the base, their states and research figures. Read only."""
        return {"features": await done(ctx, lambda _: desk.pipeline())}

    for tool in (data_schema, operators, search_memory, evaluate, propose, session_log, pipeline):
        # Names are looked up in the module's globals, and the package is imported only here.
        tool.__annotations__["ctx"] = Context
        for argument, kind in (("return", None), ("hypothesis", dict[str, Any] | None)):
            if kind is not None and argument in tool.__annotations__:
                tool.__annotations__[argument] = kind
        server.tool()(tool)
    return server


class Tokens:
    """Who holds which token."""

    def __init__(self, tokens: Mapping[str, str]) -> None:
        self._tokens = dict(tokens)

    def client(self, headers: Mapping[str, str] | None) -> str:
        """The client of a request; empty when its token is none of ours."""
        given = "" if headers is None else str(headers.get("authorization", ""))
        for name, token in self._tokens.items():
            if hmac.compare_digest(given.encode(), f"Bearer {token}".encode()):
                return name
        return ""


def guarded(app: Any, tokens: Tokens) -> Any:
    """The ASGI application behind its tokens: who has none is told nothing of what there is, and read no body of."""
    inside = bounded_body(app)

    async def checked(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            headers = {k.decode("latin-1"): v.decode("latin-1") for k, v in scope["headers"]}
            if not tokens.client(headers):
                start = {"type": "http.response.start", "status": 401, "headers": [(b"content-type", b"text/plain")]}
                await send(start)
                await send({"type": "http.response.body", "body": b"Refused: the token is missing or wrong."})
                return
        await inside(scope, receive, send)

    return checked
