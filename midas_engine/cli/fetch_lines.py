"""`FetchLines`: a fetch told on standard error: the plan, faults, and one line of progress."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from midas_engine.cli.output import clean

if TYPE_CHECKING:
    from midas_engine.cli.context import Shared
    from midas_engine.clock import Clock
    from midas_engine.market.fetch.plan import Plan
    from midas_engine.market.fetch.progress import Progress

_TTY_SECONDS, _FILE_SECONDS = 0.25, 10.0
_WIDTH = 110


class FetchLines:
    """Tells how a fetch goes. On a terminal the line of progress is written over; in a file it comes now and then.

    Args:
        shared: Whether anything is told at all.
        clock: For how often.
    """

    def __init__(self, shared: Shared, clock: Clock) -> None:
        self._shared, self._clock = shared, clock
        self._live = sys.stderr.isatty()
        self._next = clock.monotonic() + (0.0 if self._live else _FILE_SECONDS)
        self._open = False
        self._faults: dict[str, int] = {}

    def plan(self, plan: Plan, base_url: str) -> None:
        """What will be asked for, and what cannot be had."""
        from midas_engine.market.fetch.instants import as_text
        from midas_engine.market.fetch.plan import columns_of

        names = ", ".join(c.name for c in plan.contracts[:6]) + (", ..." if len(plan.contracts) > 6 else "")
        where = f" at {clean(base_url)}" if base_url else ""
        self._say(
            f"{plan.venue}{where}: {len(plan.contracts)} {plan.contracts[0].kind} contracts ({clean(names)}), "
            f"{plan.bar} bars from {as_text(plan.begin)} to {as_text(plan.end)} UTC"
        )
        self._say(f"columns: {', '.join(columns_of(plan.groups))}")
        for note in plan.notes:
            self._say(f"  {clean(note)}")

    def fault(self, message: str) -> None:
        """A fault of the venue; the same one over and over is told at its 1st, 10th, 100th time."""
        kind = message.partition(" (")[0]
        count = self._faults[kind] = self._faults.get(kind, 0) + 1
        if str(count).rstrip("0") == "1":
            times = "" if count == 1 else f" [{count} times]"
            self._say(f"{clean(message)[:300]}{times}; it is asked again")

    def progress(self, progress: Progress) -> None:
        """How far it is."""
        now = self._clock.monotonic()
        if now < self._next or self._shared.as_json:
            return
        self._next = now + (_TTY_SECONDS if self._live else _FILE_SECONDS)
        line = clean(progress)[:_WIDTH]
        if self._live:
            click.echo(f"\r{line:<{_WIDTH}}", nl=False, err=True)
            self._open = True
        else:
            click.echo(line, err=True)

    def _say(self, message: str) -> None:
        self.end()
        self._shared.note(message)

    def end(self) -> None:
        """Leave the line of progress."""
        if self._open:
            click.echo(err=True)
            self._open = False
