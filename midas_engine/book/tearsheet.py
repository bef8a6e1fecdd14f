"""The book as one self-contained page: HTML with its plots inside, or Markdown; no script, no link, no request."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

import numpy as np

from midas_engine.book.periods import FALL_HEAD, PERIOD_HEAD, by_period, days_of, fall_cells, falls, period_cells
from midas_engine.book.rows import PAGE_HEAD, member_rows, summary_rows
from midas_engine.errors import DataError
from midas_engine.html_page import INK, LINES, SOFT, dated, document, picture, png, table
from midas_engine.text import markdown_table, number, with_capital

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes

    from midas_engine.book.figures import BookFigures

EQUITY = (
    "What the book earned at the weights of its time. Between the lines lie costs, less the funding it was paid: where "
    "net runs above gross, funding paid more than trading cost."
)
WEIGHTS = "What share of the capital each member holds. A line at zero is not worth holding beside the others."


def write_tearsheet(book: BookFigures, path: Path) -> None:
    """Write the page; Markdown where the name ends in .md, else HTML.

    Raises:
        DataError: The file cannot be written.
    """
    text = markdown(book) if path.suffix.lower() == ".md" else page(book)
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise DataError(f"the tear sheet {path} cannot be written: {error}", hint="name a file in a folder") from error


def title(book: BookFigures) -> str:
    """What the page is of."""
    first, last = ((end or "-").replace("T", " ") for end in (book.first, book.last))
    return f"Midas book on {book.data}, {first} to {last} UTC"


def first_sentence(book: BookFigures) -> str:
    """What the book earned with its 90 % interval, whether that is more than chance, and what next year may bring."""
    if book.empty:
        return "The book is empty: nothing that is deployed could be measured."
    net = book.net
    word = "more than chance" if net.low > 0.0 else "a loss beyond chance" if net.high < 0.0 else "undecided"
    held = sum(m.weight > 0.0 for m in book.members)
    return (
        f"{held} of {len(book.members)} members hold weight; net of costs "
        f"{number(net.value, 0, sign=True)} [{number(net.low, 0)}, {number(net.high, 0)}] bps a year: {word}."
    )


def remarks(book: BookFigures) -> list[str]:
    """Notes and what is left out, one sentence each."""
    return [
        *(f"Not in the book: {name}: {why}" for name, why in book.left_out),
        *(with_capital(note) + "." for note in book.notes),
    ]


def markdown(book: BookFigures) -> str:
    """The page as Markdown."""
    parts = [f"# {title(book)}\n", f"{first_sentence(book)}\n"]
    expressions = [(m.name, str(m.version), m.expression) for m in book.members]
    if not book.empty:
        parts += [
            "## Its members\n",
            markdown_table(PAGE_HEAD, member_rows(book)),
            "## The whole book\n",
            markdown_table(("figure", "value, 90 % interval"), summary_rows(book)),
            "## Net by month\n",
            markdown_table(("month", *PERIOD_HEAD), months(book)),
            "## Deepest falls, by daily sums\n",
            markdown_table(FALL_HEAD, deepest(book)),
            "## What they are\n",
            markdown_table(("member", "version", "expression"), expressions),
            f"Weights digest {book.digest}\n",
        ]
    parts += [f"- {x}" for x in remarks(book)]
    return "\n".join(parts) + "\n"


def months(book: BookFigures) -> list[tuple[str, ...]]:
    """Every calendar month with its costs, newest first."""
    return [(p.name, *period_cells(p)) for p in by_period(days_of(book), "month")]


def deepest(book: BookFigures) -> list[tuple[str, ...]]:
    """The deepest falls of the daily path."""
    days = days_of(book)
    return [fall_cells(fall, days[-1].on) for fall in falls(days)]


def page(book: BookFigures) -> str:
    """The page as HTML."""
    name = html.escape(title(book))
    body = [f"<h1>{name}</h1>", f"<p class=first><b>{html.escape(first_sentence(book))}</b></p>"]
    if not book.empty:
        expressions = [(m.name, f"{m.version}", m.expression) for m in book.members]
        body += [
            "<h2>Its members</h2>",
            table(PAGE_HEAD, member_rows(book)),
            "<h2>The whole book</h2>",
            table(("figure", "value, 90 % interval"), summary_rows(book)),
            f"<div class=plots>{picture('net equity', png(_equity, book), EQUITY)}",
            f"{picture('weights', png(_weights, book), WEIGHTS)}</div>",
            "<h2>Net by month</h2>",
            table(("month", *PERIOD_HEAD), months(book)),
            "<h2>Deepest falls, by daily sums</h2>",
            table(FALL_HEAD, deepest(book)),
            "<h2>What they are</h2>",
            table(("member", "version", "expression"), expressions),
            f"<p>Weights digest <code>{html.escape(book.digest)}</code></p>",
        ]
    body += [f"<p>{html.escape(x)}</p>" for x in remarks(book)]
    return document(title(book), "".join(body))


def _equity(axes: Axes, book: BookFigures) -> None:
    at = np.array(book.path.at, dtype="datetime64[m]")
    axes.plot(at, np.array(book.path.gross_bps), color=SOFT, label="gross")
    axes.plot(at, np.array(book.path.net_bps), color=INK, label="net of costs and funding")
    axes.legend(fontsize=7, frameon=False)
    dated(axes)
    axes.set_ylabel("bps of capital", fontsize=8)
    axes.set_title("Earned so far", fontsize=10)


def _weights(axes: Axes, book: BookFigures) -> None:
    at = np.array(book.path.at, dtype="datetime64[m]")
    axes.set_prop_cycle(color=LINES)
    for name, weights in list(book.path.weights.items())[:12]:
        axes.plot(at, np.array(weights), label=name[:40], linewidth=1.0)
    axes.set_ylim(0.0, 1.02)
    if book.path.weights:
        axes.legend(fontsize=6, frameon=False)
    dated(axes)
    axes.set_ylabel("of capital", fontsize=8)
    axes.set_title("Weights", fontsize=10)
