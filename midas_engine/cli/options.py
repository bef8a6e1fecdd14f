"""Options that several verbs share."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, TypeVar

import click

from midas_engine.cli.context import Shared, pass_shared

if TYPE_CHECKING:
    from collections.abc import Callable

Typed = TypeVar("Typed")


def pass_options(kind: type[Typed]) -> Callable[[Callable[[Shared, Typed], None]], Callable[..., None]]:
    """Hand a verb what was typed as one object, after what every verb shares.

    Args:
        kind: A frozen dataclass; its fields are the verb's arguments and options by name.
    """

    def decorate(verb: Callable[[Shared, Typed], None]) -> Callable[..., None]:
        @functools.wraps(verb)
        def called(shared: Shared, /, **typed: Any) -> None:
            verb(shared, kind(**typed))

        return pass_shared(called)

    return decorate


def event_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """--gate and --hold: a feature that acts on some bars only, and how long each forecast is held."""
    options = (
        click.option("--gate", default="", metavar="EXPR", help="Score only the bars where this is above zero."),
        click.option(
            "--hold",
            type=click.IntRange(0),
            default=0,
            metavar="BARS",
            help="Bars a forecast is held.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


def follow_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """--bars and --max-failures: how long a feed is followed."""
    options = (
        click.option("--bars", type=click.IntRange(1), metavar="N", help="Stop after N live bars [default: never]."),
        click.option(
            "--max-failures",
            type=click.IntRange(0),
            metavar="N",
            help="End with an error after N failures of the feed in a row; 0: never [default: 60, about an hour].",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command
