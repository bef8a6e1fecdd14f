"""`midas signals`: the record of signals from a number on, as JSON lines."""

from __future__ import annotations

import sys
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import click

from midas_engine.cli.context import Shared, Verb, pass_shared
from midas_engine.cli.open_base import open_base, refuse_other
from midas_engine.errors import MonitorError

if TYPE_CHECKING:
    from midas_engine.outbound.signal_log import SignalLog

LOOK_SECONDS = 0.25


@click.command(
    cls=Verb, example=("midas signals --since 0", "midas signals --since 12h", "midas signals --since 1200 --follow")
)
@click.option(
    "--since",
    metavar="SEQ|TIME",
    help="After this number, or the bars that closed after a time: 12h, 2026-01-15 [default: the newest one].",
)
@click.option("--follow", is_flag=True, help="Go on with every bar that closes, until it is stopped.")
@pass_shared
def signals(shared: Shared, since: str | None, follow: bool) -> None:
    """Print what the live features said at each closed bar: values, states, versions, the book's weights.

    One JSON line a bar, with its number (sequence), the digest of the one before, and its own. The record is written
    where outbound.signals names a reader, by what watches the base; it is read here whether that runs or not.
    """
    from midas_engine.outbound.signal_log import FOLDER, SignalLog

    settings = shared.base_settings()
    refuse_other(settings)
    log = SignalLog(open_base(settings, read_only=True).path / FOLDER)
    after = None if since is None else _after(since)
    newest, sequence = 0, after if isinstance(after, int) else 0
    for record in log.since(0):
        newest = record["sequence"]
        if isinstance(after, datetime):
            closed = datetime.fromisoformat(record["bar"]) + timedelta(seconds=record["bar_seconds"])
            sequence = newest if closed <= after else sequence
    if not newest:
        shared.note("no signals are on record: set outbound.signals and watch the base")
    elif since is not None and sequence >= newest:
        shared.note(f"nothing is on record after {since}: the newest is {newest}")
    if since is None:
        sequence = newest if follow else max(0, newest - 1)
    sequence = _print(log, sequence)
    if not follow:
        return
    import asyncio

    from midas_engine.cli.signals import cancelling
    from midas_engine.clock import WallClock

    async def watch(number: int) -> int:
        task = asyncio.current_task()

        def end() -> bool:
            assert task is not None
            task.cancel()
            return True

        with cancelling(end) as came:
            try:
                while True:
                    number = await asyncio.to_thread(_print, log, number)
                    await WallClock().sleep(LOOK_SECONDS)
            except asyncio.CancelledError:
                return came[0] if came else 0

    if code := asyncio.run(watch(sequence)):
        raise click.exceptions.Exit(code)


def _after(text: str) -> int | datetime:
    """A number of the record, or a time that has passed."""
    from midas_engine.clock import WallClock
    from midas_engine.monitor.daily.brief import read_since

    if text.strip().isdecimal() and len(text) < 19:
        return int(text)
    try:
        return read_since(text, WallClock().now())
    except MonitorError as error:
        words = f"{error.message}; give a number of the record, as in 120, or 12h, 3d, 2026-01-15"
        raise click.BadParameter(words, param_hint="'--since'") from None


def _print(log: SignalLog, sequence: int) -> int:
    from midas_engine.outbound.signal_log import canonical

    for record in log.since(sequence):
        click.echo(canonical(record).decode())
        sequence = record["sequence"]
    sys.stdout.flush()
    return sequence
