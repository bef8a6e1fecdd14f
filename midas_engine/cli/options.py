"""Options that several verbs share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable


def event_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """--gate and --hold: a feature that acts on some bars only."""
    options = (
        click.option("--gate", default="", metavar="EXPR", help="Score only the bars where this is above zero."),
        click.option("--hold", type=click.IntRange(0), default=0, metavar="BARS", help="With --gate: bars held."),
    )
    for option in reversed(options):
        command = option(command)
    return command
