"""`midas mlflow [ADDRESS]`: write campaigns, sessions and verdicts to MLflow."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from midas_engine.cli.context import Shared, Verb, pass_shared
from midas_engine.cli.open_base import open_base

if TYPE_CHECKING:
    from midas_engine.settings import Settings


@click.command(cls=Verb, example=("midas mlflow file:./mlruns", "midas mlflow https://mlflow.example.org"))
@click.argument("address", default="")
@pass_shared
def mlflow(shared: Shared, address: str) -> None:
    """Mirror what the base has to MLflow at ADDRESS (default: outbound.mlflow), which is only ever written.

    A run a campaign, a session in it, a verdict in that; what is there already is left alone. With outbound.mlflow set
    every session and campaign is mirrored at its end.
    """
    from midas_engine.outbound.mlflow_mirror import mirror

    settings = shared.settings()
    found = mirror(open_base(settings, read_only=True), address or settings.outbound.mlflow)
    shared.show(
        {"campaigns": found.campaigns, "sessions": found.sessions, "verdicts": found.verdicts},
        lambda: f"written: {found.campaigns} campaigns, {found.sessions} sessions, {found.verdicts} verdicts",
    )


def mirror_if_set(shared: Shared, settings: Settings) -> None:
    """At the end of a session or a campaign. A mirror that cannot be written is said, and stops nothing."""
    if not settings.outbound.mlflow:
        return
    from midas_engine.outbound.mlflow_mirror import mirror_told

    said, _ = mirror_told(open_base(settings, read_only=True), settings.outbound.mlflow)
    if said:
        click.echo(f"note: {said}", err=True)
