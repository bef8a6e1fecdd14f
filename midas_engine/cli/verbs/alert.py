"""`midas ack` and `midas snooze`: the answers to the alerts of a running service."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from midas_engine.cli.context import Shared, Verb, pass_shared
from midas_engine.cli.output import clean
from midas_engine.errors import MonitorError

if TYPE_CHECKING:
    from collections.abc import Callable

    from midas_engine.service.client import Client

_alert = click.argument("alert")


def _answer(shared: Shared, alert: str, ask: Callable[[Client], str]) -> None:
    from midas_engine.service.client import reach

    client = reach(shared.base_settings().kb_path)
    if client is None:
        raise MonitorError(
            "no service runs on this base: its alerts are where it is watched", hint="answer them in that terminal"
        )
    try:
        said = ask(client)
    finally:
        client.close()
    shared.show({"alert": alert, "done": said}, lambda: f"{clean(alert)}: {clean(said)}")


@click.command(cls=Verb, example="midas ack a-93fb289f")
@_alert
@pass_shared
def ack(shared: Shared, alert: str) -> None:
    """Mark an alert of the running service as seen; `midas status` lists them with their ids."""
    _answer(shared, alert, lambda client: str(client.call("queries.acknowledge", str, alert)))


@click.command(cls=Verb, example="midas snooze a-93fb289f --hours 4")
@_alert
@click.option(
    "--hours",
    type=click.FloatRange(0.01, 24 * 30),
    default=1.0,
    show_default=True,
    metavar="H",
    help="How long it stays silent.",
)
@pass_shared
def snooze(shared: Shared, alert: str, hours: float) -> None:
    """Silence an alert of the running service for H hours."""
    _answer(shared, alert, lambda client: str(client.call("queries.snooze", str, alert, hours)))
