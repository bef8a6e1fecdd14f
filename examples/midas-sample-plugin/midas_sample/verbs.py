"""A verb: `midas sample`."""

import click

from midas_engine.cli.context import Shared, Verb, pass_shared


@click.command(cls=Verb, example="midas sample")
@pass_shared
def sample(shared: Shared) -> None:
    """Say how many operators the language has, plug-ins included."""
    from midas_engine.dsl.registry import OPERATORS

    shared.show({"operators": len(OPERATORS)}, lambda: f"{len(OPERATORS)} operators")
