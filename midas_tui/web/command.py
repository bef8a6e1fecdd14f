"""`midas-tui --serve`: its options, its checks before anything listens, and what it prints."""

from __future__ import annotations

import os
import stat
import sys
from typing import TYPE_CHECKING, TextIO

from midas_engine.errors import SettingsError

if TYPE_CHECKING:
    import argparse
    import socket

    from midas_engine.settings import Settings

DEFAULT_PORT = 8000
MOST_SESSIONS = 8
_VALUES = ("kb", "data", "replay", "speed", "config", "theme", "mode", "attach")
_FLAGS = ("synthetic", "demo", "paused", "ascii")


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of the browser door; they mean nothing without `--serve`."""
    group = parser.add_argument_group("in a browser")
    group.add_argument(
        "--serve",
        action="store_true",
        help="show the terminal in a browser of this machine, read-only; prints the address, which holds a token",
    )
    group.add_argument("--port", type=int, metavar="N", help=f"port on 127.0.0.1 (default {DEFAULT_PORT}; 0: any)")
    group.add_argument("--allow-actions", action="store_true", help="let the browser change the pipeline")
    group.add_argument("--sessions", type=int, metavar="N", help="browsers at once, each with an engine (default 1)")
    group.add_argument("--public-url", metavar="URL", help="address of a tunnel that leads here, as https://NAME")


def check_options(args: argparse.Namespace) -> None:
    """Refuse what does not go together.

    Raises:
        SettingsError: An option without `--serve`, or out of range.
    """
    given = {
        "--port": args.port, "--allow-actions": args.allow_actions or None, "--sessions": args.sessions,
        "--public-url": args.public_url,
    }  # fmt: skip
    alone = [option for option, value in given.items() if value is not None]
    if alone and not args.serve:
        raise SettingsError(f"{alone[0]} goes with --serve", hint=f"midas-tui --serve {alone[0]} ...")
    if args.port is not None and not 0 <= args.port <= 65_535:
        raise SettingsError(f"--port {args.port} is no port", hint="0 to 65535; 0 takes any free one")
    if args.sessions is not None and not 1 <= args.sessions <= MOST_SESSIONS:
        raise SettingsError(f"--sessions {args.sessions} is out of range", hint=f"1 to {MOST_SESSIONS}")
    if args.allow_actions and args.read_only:
        raise SettingsError("--allow-actions and --read-only exclude each other", hint="leave one out")


def program_arguments(args: argparse.Namespace) -> list[str]:
    """What the served program is started with: one element per option, whatever is in its value."""
    given = [(name, getattr(args, name)) for name in _VALUES]
    arguments = [f"--{name}={value}" for name, value in given if value is not None]
    arguments += [f"--{name}" for name in _FLAGS if getattr(args, name)]
    return arguments if args.allow_actions else [*arguments, "--read-only"]


def serve(args: argparse.Namespace, settings: Settings) -> int:
    """Serve until a signal; the exit code.

    Raises:
        SettingsError: The extra is not installed, the port is taken, the address is none, or others could read it.
    """
    import asyncio
    from importlib.util import find_spec

    from midas_tui.web.address import read_public_url

    public = read_public_url(args.public_url) if args.public_url is not None else ""
    missing = [name for name in ("aiohttp", "textual_serve") if find_spec(name) is None]
    if missing:
        raise SettingsError("--serve needs textual-serve", hint="pip install 'midas-alpha[web]'")
    from midas_tui.web.server import Server

    keep_to_owner(sys.stdout)
    listener = _listen(DEFAULT_PORT if args.port is None else args.port)

    async def run() -> int:
        server = Server(program_arguments(args), listener, public=public, sessions=args.sessions or 1, tell=_say)
        changes = "it can change the pipeline" if args.allow_actions and not settings.read_only else "read-only"
        entrances = [server.address.local, *([public] if public else [])]
        lines = [
            f"Midas serves its terminal to a browser, {changes}. Open:",
            *(f"  {origin}/?token={server.door.token}" for origin in entrances),
            "Whoever has this address has the terminal. Ctrl-C ends it.",
        ]
        sys.stdout.write("\n".join(lines) + "\n")
        sys.stdout.flush()
        return await server.run()

    return asyncio.run(run())


def _say(sentence: str) -> None:
    sys.stderr.write(f"--serve: {sentence}\n")
    sys.stderr.flush()


def _listen(port: int) -> socket.socket:
    from midas_tui.web.server import listen

    try:
        return listen(port)
    except OSError as error:
        raise SettingsError(
            f"port {port} of 127.0.0.1 cannot be had: {error.strerror}", hint="give another --port, or 0 for a free one"
        ) from None


def keep_to_owner(output: TextIO) -> None:
    """The address holds the token: a file it is written to is readable by its owner only.

    Raises:
        SettingsError: The file belongs to somebody else.
    """
    try:
        status = os.fstat(output.fileno())
    except (OSError, ValueError):
        return  # closed, or no file at all
    if not stat.S_ISREG(status.st_mode) or not stat.S_IMODE(status.st_mode) & 0o077:
        return
    try:
        os.fchmod(output.fileno(), stat.S_IMODE(status.st_mode) & 0o700)
    except OSError as error:
        raise SettingsError(
            f"others could read the token in the file of the output: {error.strerror}",
            hint="write to a file of your own, or to the terminal",
        ) from None
    _say("the file of the output holds the token; only you can read it now")
