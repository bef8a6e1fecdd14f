"""`midas tally`: a verb that a contributor adds."""

import click

from midas_engine.cli.context import Shared, Verb, pass_shared


@click.command(cls=Verb, example="midas tally")
@pass_shared
def tally(shared: Shared) -> None:
    """Say how many."""
    shared.show({"tally": 3}, lambda: "three")
