"""`midas learnings`: what the sessions and diagnoses taught."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from midas_engine.cli.context import Shared, Verb, pass_shared
from midas_engine.cli.open_base import open_base
from midas_engine.cli.output import clean, moment

if TYPE_CHECKING:
    from midas_engine.models import LearningDocument


@click.command(cls=Verb, example="midas learnings --kb ./midas-kb --n 5")
@click.option(
    "--n", "count", type=click.IntRange(1, 10_000), default=5, show_default=True, help="How many, newest first."
)
@click.option("--loop", type=click.Choice(["offline", "online"]), help="Only those of one loop.")
@pass_shared
def learnings(shared: Shared, count: int, loop: str | None) -> None:
    """Print the most recent learning documents, newest first."""
    base = open_base(shared.base_settings(), read_only=True)
    documents = base.learnings(n=count, loop=loop)
    shared.show(documents, lambda: "\n\n".join(_one(d) for d in documents) or "No learnings yet.")


def _one(document: LearningDocument) -> str:
    head = f"{moment(document.created_at)}  {document.loop}  {clean(document.result)}  {clean(document.title)}"
    parts = {
        "goal": document.research_goal,
        "pattern": document.pattern_identified,
        "worked": document.what_worked,
        "failed": document.what_failed,
        "next": document.recommendation,
        "accepted": ", ".join(document.accepted),
        "file": document.path,
    }
    lines = [f"  {name:<9} {clean(text)}" for name, text in parts.items() if text]
    return "\n".join([head, *lines])
