"""The book as one self-contained page: HTML with its plots inside, or Markdown; no script, no link, no request."""

from __future__ import annotations

import base64
import html
import io
from typing import TYPE_CHECKING

import numpy as np

from midas_engine.book.rows import HEAD, member_rows, summary_rows
from midas_engine.errors import DataError
from midas_engine.text import markdown_table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from matplotlib.axes import Axes

    from midas_engine.book.figures import BookFigures

_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; color: #2b2d42; max-width: 1080px; margin: 2em auto; padding: 0 1em; }
h1 { font-size: 1.4em; } img { width: 100%; max-width: 760px; } table { border-collapse: collapse; margin: 1em 0; }
td, th { padding: 2px 14px 2px 0; text-align: left; font-variant-numeric: tabular-nums; } code { font-size: 0.85em; }
"""
_INK, _SOFT = "#2b2d42", "#8d99ae"


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
    return f"Midas book on {book.data}, {book.first or '-'} to {book.last or '-'} UTC"


def remarks(book: BookFigures) -> list[str]:
    """Notes and what is left out, one sentence each."""
    return [
        *(f"Not in the book: {name}: {why}" for name, why in book.left_out),
        *(note[:1].upper() + note[1:] + "." for note in book.notes),
    ]


def markdown(book: BookFigures) -> str:
    """The page as Markdown."""
    parts = [f"# {title(book)}\n"]
    expressions = [(m.name, str(m.version), m.expression) for m in book.members]
    if not book.empty:
        parts += [
            markdown_table(HEAD, member_rows(book)),
            markdown_table(("figure", "value, 90 % interval"), summary_rows(book)),
            markdown_table(("member", "version", "expression"), expressions),
            "## Net by month\n",
            markdown_table(("month", "net bps of capital"), months(book)),
            f"Weights digest {book.digest}\n",
        ]
    parts += [f"- {x}" for x in remarks(book)]
    return "\n".join(parts) + "\n"


def months(book: BookFigures) -> list[tuple[str, str]]:
    """Net of every calendar month, from the daily path."""
    last: dict[str, float] = {}
    for at, net in zip(book.path.at, book.path.net_bps, strict=True):
        last[at[:7]] = net
    steps = np.diff(np.array([0.0, *last.values()]))
    return [(month, f"{step:+.1f}") for month, step in zip(last, steps, strict=True)]


def page(book: BookFigures) -> str:
    """The page as HTML."""
    name = html.escape(title(book))
    body = [f"<h1>{name}</h1>"]
    if not book.empty:
        expressions = [(m.name, f"{m.version}", m.expression) for m in book.members]
        body += [
            _table(HEAD, member_rows(book)),
            _table((), summary_rows(book)),
            f'<p><img alt="net equity" src="{_png(_equity, book)}"></p>',
            f'<p><img alt="weights" src="{_png(_weights, book)}"></p>',
            "<h2>Net by month, bps of capital</h2>",
            _table((), months(book)),
            _table(("member", "version", "expression"), expressions),
            f"<p>Weights digest <code>{html.escape(book.digest)}</code></p>",
        ]
    body += [f"<p>{html.escape(x)}</p>" for x in remarks(book)]
    return (
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{name}</title>'
        f"<style>{_STYLE}</style></head><body>{''.join(body)}</body></html>\n"
    )


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    top = "".join(f"<th>{html.escape(x)}</th>" for x in head)
    lines = "".join("<tr>" + "".join(f"<td>{html.escape(x)}</td>" for x in row) + "</tr>" for row in rows)
    return f"<table>{f'<tr>{top}</tr>' if top else ''}{lines}</table>"


def _png(draw: Callable[[Axes, BookFigures], None], book: BookFigures) -> str:
    # Figure objects without pyplot: no global state, so pages can be drawn in threads.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.6, 3.2), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8)
    draw(axes, book)
    stream = io.BytesIO()
    figure.savefig(stream, format="png", metadata={"Software": None})
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode("ascii")


def _equity(axes: Axes, book: BookFigures) -> None:
    at = np.array(book.path.at, dtype="datetime64[m]")
    axes.plot(at, np.array(book.path.gross_bps), color=_SOFT, label="gross")
    axes.plot(at, np.array(book.path.net_bps), color=_INK, label="net of costs and funding")
    axes.legend(fontsize=7, frameon=False)
    axes.set_title("Cumulative bps of capital", fontsize=10)


def _weights(axes: Axes, book: BookFigures) -> None:
    at = np.array(book.path.at, dtype="datetime64[m]")
    for name, weights in list(book.path.weights.items())[:12]:
        axes.plot(at, np.array(weights), label=name[:40], linewidth=1.0)
    axes.set_ylim(0.0, 1.02)
    axes.legend(fontsize=6, frameon=False)
    axes.set_title("Weights, fractions of capital", fontsize=10)
