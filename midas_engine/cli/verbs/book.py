"""`midas book`: all deployed features as one signal, with its weights, errors and tear sheet."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from midas_engine.cli.context import Shared, Verb, pass_shared
from midas_engine.cli.open_base import open_base
from midas_engine.cli.output import clean, table
from midas_engine.text import with_capital

if TYPE_CHECKING:
    from midas_engine.book.figures import BookFigures
    from midas_engine.settings import Settings


@click.command(
    cls=Verb,
    example=(
        "midas book --kb ./midas-kb",
        "midas book --weights --json",
        "midas book --tearsheet book.html",
    ),
)
@click.option("--weights", is_flag=True, help="Print what is to be held, with versions and a digest.")
@click.option(
    "--tearsheet",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write one self-contained page: .html, or Markdown for .md.",
)
@pass_shared
def book(shared: Shared, weights: bool, tearsheet: Path | None) -> None:
    """Put the deployed features together into one book, and measure it.

    Weights are fractions of book.capital_usd, shrunk for selection, after costs; trades of members net. What a member
    is worth is the book with it less the book without it. The figures begin where the part ends that the members were
    searched on, and no weight knows a later bar.
    """
    settings = shared.settings()
    found = measured(settings)
    if tearsheet is not None:
        from midas_engine.book.tearsheet import write_tearsheet

        write_tearsheet(found, tearsheet)
    document = _weights(found) if weights else _document(found, tearsheet)
    shared.show(document, lambda: _weights_text(found) if weights else _text(found, tearsheet))


def measured(settings: Settings) -> BookFigures:
    """The book of the base and the data that the settings name.

    Raises:
        DataError: The data cannot be had.
    """
    from midas_engine.book.build import book_of
    from midas_engine.errors import DataError
    from midas_engine.market.sources import make_room
    from midas_engine.models import FeatureState
    from midas_engine.preflight import todays_panel

    base = open_base(settings, read_only=True)
    if not base.features(FeatureState.DEPLOYED):
        from midas_engine.book.build import nothing_deployed

        return nothing_deployed(settings)
    make_room(settings.data)
    panel, why = todays_panel(settings)
    if panel is None:
        raise DataError(f"the book cannot be measured: {why}", hint="give --data, such as --data sample")
    return book_of(base, panel, settings)


def _weights(found: BookFigures) -> dict[str, Any]:
    from midas_engine.book.weights_out import weights_document

    return weights_document(found)


def _document(found: BookFigures, tearsheet: Path | None) -> dict[str, Any]:
    from midas_engine.jsonable import plain

    page = {} if tearsheet is None else {"tearsheet": str(tearsheet)}
    return {**plain(found), **page}


def _text(found: BookFigures, tearsheet: Path | None) -> str:
    from midas_engine.book.rows import HEAD, member_rows, summary_rows

    lines: list[str] = []
    if not found.empty:
        count = len(found.members)
        about = f"{count} deployed feature{'s' if count != 1 else ''} on {clean(found.data)}"
        when = f"{found.first} to {found.last} UTC, {found.bars} bars"
        lines += [
            f"The book of {about}, {when}",
            "",
            table(member_rows(found), HEAD, right="lrrrrrr"),
            "",
            table(summary_rows(found)),
        ]
    lines += [f"Not in the book: {clean(name)}: {clean(why)}" for name, why in found.left_out]
    lines += [clean(with_capital(note)) + "." for note in found.notes]
    if found.digest:
        lines.append(f"Weights {found.digest[:16]}: midas book --weights --json")
    if tearsheet is not None:
        lines.append(f"Tear sheet: {clean(tearsheet)}")
    return "\n".join(lines)


def _weights_text(found: BookFigures) -> str:
    document = _weights(found)
    if found.empty:
        return _text(found, None)
    rows = [
        (m["name"], m["version"], f"{m['weight']:.2%}", f"${m['usd']:,.2f}", m["holding_bars"])
        for m in document["members"]
    ]
    held = [(s, f"{x['fraction']:+.2%}", f"${x['usd']:,.2f}") for s, x in document["holdings"].items()]
    return "\n".join(
        [
            f"As of {document['as_of']} UTC, of ${document['capital_usd']:,.2f}; gross {document['gross']:.2%}",
            table(rows, ("member", "version", "weight", "usd", "hold"), right="lrrrr"),
            "",
            table(held, ("symbol", "share", "usd"), right="lrr") if held else "Holds nothing.",
            f"Digest {document['digest']}",
        ]
    )
