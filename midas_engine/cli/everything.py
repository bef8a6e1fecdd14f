"""`midas kill --all` and `midas pause --all`: one latched command on everything live, confirmed by typing it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from midas_engine.cli.open_base import open_commands
from midas_engine.cli.output import ask, clean, table
from midas_engine.errors import NameRefusedError, TransitionError

if TYPE_CHECKING:
    from midas_engine.cli.context import Shared
    from midas_engine.commands import AllDone


def kill_all(shared: Shared, name: str | None, reason: str, answer: str | None, *, dry_run: bool) -> None:
    """Kill every live feature.

    Raises:
        NameRefusedError: "kill all" was not typed.
        TransitionError: There is no reason, or nothing is live.
    """
    if not reason.strip() and not dry_run:
        raise TransitionError("kill needs a reason", hint='say why, such as --reason "the venue is down"')
    # opening the base for writing may have to wait for another process
    if _confirmed(shared, "kill", name, answer, dry_run=dry_run):
        with open_commands(shared.base_settings(), read_only=True) as commands:
            done = commands.kill_all(reason)
        shared.show(done, lambda: _said(done, "killed"))


def pause_all(shared: Shared, name: str | None, reason: str, answer: str | None, *, dry_run: bool) -> None:
    """Pause every live feature.

    Raises:
        NameRefusedError: "pause all" was not typed.
        TransitionError: Nothing is live that is not paused.
    """
    if _confirmed(shared, "pause", name, answer, dry_run=dry_run):
        with open_commands(shared.base_settings()) as commands:
            done = commands.pause_all(reason)
        shared.show(done, lambda: _said(done, "paused"))
        if done.failed:
            raise click.exceptions.Exit(1)


def _confirmed(shared: Shared, action: str, name: str | None, answer: str | None, *, dry_run: bool) -> bool:
    if name is not None:
        raise click.UsageError("give a name or --all, not both")
    with open_commands(shared.base_settings(), read_only=True) as beside:
        live = beside.live()
    if dry_run:
        shared.show({"dry_run": True, "action": action, "features": live}, lambda: _would(action, live))
        return False
    if not live:
        raise TransitionError(f"nothing is live: there is nothing to {action}")
    wanted = f"{action} all"
    typed = answer
    if typed is None:
        final = " That is final." if action == "kill" else ""
        typed = ask(f"This holds for {len(live)} live features.{final} Type {wanted!r} to go on")
    if typed != wanted:
        raise NameRefusedError(f"{typed!r} is not {wanted!r}; nothing was done", hint=f"type {wanted} exactly")
    return True


def _would(action: str, live: tuple[str, ...]) -> str:
    return f"{action} all would hold for {len(live)} features" + "".join(f"\n  {clean(name)}" for name in live)


def _said(done: AllDone, what: str) -> str:
    lines = [f"{what} {len(done.features)}: {', '.join(clean(name) for name in done.features) or 'nobody'}"]
    if done.waits:
        lines.append("  killed for whoever watches; these files move later\n" + table(list(done.waits.items())))
    if done.failed:
        lines.append("  not done\n" + table(list(done.failed.items())))
    return "\n".join(lines)
