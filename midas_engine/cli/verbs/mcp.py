"""`midas mcp`: the base as tools for an agent of your own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from midas_engine.cli.context import Shared, Verb
from midas_engine.cli.options import pass_options
from midas_engine.cli.signals import cancelling

if TYPE_CHECKING:
    from midas_engine.mcp_door.desk import Desk


@dataclass(frozen=True, slots=True)
class DoorOptions:
    """What `midas mcp` is told, as it was typed."""

    http: bool
    port: int
    clients: tuple[str, ...]
    calls: int
    trials: int


@click.command(cls=Verb, example=("midas mcp --kb ./midas-kb", "midas mcp --http --port 8765 --client alice"))
@click.option("--http", is_flag=True, help="Serve HTTP on this machine, not stdio; prints the address and tokens.")
@click.option("--port", type=click.IntRange(0, 65_535), default=0, help="Port of --http; 0 takes a free one.")
@click.option("--client", "clients", multiple=True, metavar="NAME", help="A client with its own token; repeatable.")
@click.option("--calls", type=click.IntRange(1), default=2_000, show_default=True, help="Calls of each client.")
@click.option("--trials", type=click.IntRange(1), default=60, show_default=True, help="Trials of each client in a day.")
@pass_options(DoorOptions)
def mcp(shared: Shared, typed: DoorOptions) -> None:
    """Offer this base to an agent over the model context protocol: read, search, evaluate, propose.

    Evaluations are charged to the ledger and show figures of the research part only. Proposals wait for you in `midas
    proposals`. No tool can promote, stop a feature, or look at the sealed part.
    """
    import asyncio

    from midas_engine.errors import SettingsError
    from midas_engine.kb.names import check_name

    names = [check_name(name, what="client") for name in typed.clients or ("agent",)]
    if len(set(names)) < len(names) or (len(names) > 1 and not typed.http):
        raise SettingsError("each client has a name of its own", hint="over stdio there is one; --http serves several")
    desk = _desk(shared, typed)
    code = asyncio.run(_http(desk, names, typed.port) if typed.http else _stdio(desk, names[0]))
    if code:
        raise click.exceptions.Exit(code)


def _desk(shared: Shared, typed: DoorOptions) -> Desk:
    from midas_engine.kb import KnowledgeBase
    from midas_engine.loops import OfflineLoopConfig, PanelAssessor
    from midas_engine.market import load_panel
    from midas_engine.mcp_door.desk import Caps, Desk

    settings = shared.settings()
    base = KnowledgeBase(settings.kb_path, read_only=settings.read_only)  # made where there is none, as by a session
    base.check_writable()
    panel = load_panel(settings.data, store=settings.store)
    return Desk(base, settings, PanelAssessor(panel, settings), OfflineLoopConfig(), Caps(typed.calls, typed.trials))


async def _stdio(desk: Desk, client: str) -> int:
    from midas_engine.mcp_door.client_input import ClientInput
    from midas_engine.mcp_door.server import build

    try:
        with cancelling(ClientInput().end) as came:
            await build(desk, lambda headers: client).run_stdio_async()
    finally:
        await desk.close()
    return came[0] if came else 0


async def _http(desk: Desk, names: list[str], port: int) -> int:
    import contextlib
    import secrets
    import socket

    from midas_engine.mcp_door.server import Tokens, build, guarded

    tokens = {name: secrets.token_urlsafe(24) for name in names}
    known = Tokens(tokens)
    server = build(desk, known.client)
    with socket.create_server(("127.0.0.1", port)) as listening:
        address = f"127.0.0.1:{listening.getsockname()[1]}"
        app = guarded(server.streamable_http_app(transport_security=_same_host(address)), known)
        click.echo(f"http://{address}/mcp")
        for name, token in tokens.items():
            click.echo(f"{name}: Authorization: Bearer {token}")
        web = _uvicorn(app)
        # Its own handlers raise a signal again after the end, which dies of it before the desk is closed.
        web.capture_signals = contextlib.nullcontext

        def leave() -> bool:
            web.should_exit = True
            return True

        try:
            with cancelling(leave) as came:
                await web.serve(sockets=[listening])
        finally:
            await desk.close()
    return came[0] if came else 0


def _same_host(address: str) -> Any:
    """A page of another origin, and a name that was bound to this machine, are refused."""
    from mcp.server.transport_security import TransportSecuritySettings

    hosts = [address, address.replace("127.0.0.1", "localhost")]
    return TransportSecuritySettings(allowed_hosts=hosts, allowed_origins=[f"http://{host}" for host in hosts])


def _uvicorn(app: Any) -> Any:
    import uvicorn

    from midas_engine.mcp_door.bounds import bounded_protocol

    config = uvicorn.Config(
        app,
        http=bounded_protocol(),
        ws="none",
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=2,
    )
    return uvicorn.Server(config)
