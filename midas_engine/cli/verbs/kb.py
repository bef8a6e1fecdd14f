"""`midas kb`: the knowledge base's own health."""

from __future__ import annotations

import click

from midas_engine.cli.context import LazyGroup, Shared, Verb, pass_shared
from midas_engine.cli.engine import open_base
from midas_engine.cli.output import clean


@click.group(cls=LazyGroup)
def kb() -> None:
    """The knowledge base itself."""


@kb.command("check", cls=Verb, example="midas kb check --kb ./midas-kb")
@pass_shared
def check(shared: Shared) -> None:
    """Read every document and name what is damaged. Exit code 1 when something is."""
    settings = shared.settings()
    problems = open_base(settings, read_only=True).check()
    shared.show(
        {"kb": settings.kb, "ok": not problems, "problems": problems},
        lambda: "\n".join(clean(p) for p in problems) or f"{clean(settings.kb)}: every document reads well.",
    )
    if problems:
        raise click.exceptions.Exit(1)
