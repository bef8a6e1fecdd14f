"""`midas kb`: the knowledge base's own health."""

from __future__ import annotations

import click

from midas_engine.cli.context import LazyGroup, Shared, Verb, pass_shared
from midas_engine.cli.open_base import open_base
from midas_engine.cli.output import clean, paint

_COLOURS = {"error": "red", "warning": "yellow"}


@click.group(cls=LazyGroup)
def kb() -> None:
    """The knowledge base itself."""


@kb.command("check", cls=Verb, example="midas kb check --kb ./midas-kb")
@pass_shared
def check(shared: Shared) -> None:
    """Read every document and the journal, and name what is damaged.

    The exit code is 1 when something cannot be used.
    """
    settings = shared.settings()
    problems = open_base(settings, read_only=True).check()
    ok = all(p.severity != "error" for p in problems)

    def text() -> str:
        lines = [
            f"{paint(p.severity, _COLOURS.get(p.severity, 'white'))}  {clean(p.path)}: {clean(p.message)}\n"
            f"  {clean(p.advice)}"
            for p in problems
        ]
        return "\n".join(lines or [f"{clean(settings.kb)}: every document reads well."])

    shared.show({"kb": settings.kb, "ok": ok, "problems": problems}, text)
    if not ok:
        raise click.exceptions.Exit(1)
