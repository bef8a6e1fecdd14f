"""The one look of pages that leave Midas: one file, no script, no link, light and dark, printable."""

from __future__ import annotations

import base64
import html
import io
import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from matplotlib.axes import Axes

# Colours of plots; in the dark the whole picture is turned, so that both readings keep their contrast.
INK, GOOD, BAD, SOFT = "#2b2d42", "#23897d", "#c1121f", "#7c889c"
# Lines of several things on one plot, told apart on both grounds.
LINES = ("#1f77b4", "#b35900", "#1f7a70", "#8a2d62", "#8a6d00", "#6b7280", "#c1121f", "#2b2d42")
SIZE = (6.4, 3.2)

_FIGURE = frozenset("0123456789+-.,%±[]?() ")

STYLE = """
:root { color-scheme: light dark; --ink: #2b2d42; --page: #ffffff; --soft: #f1f3f5; --line: #d5dae1;
  --good: #1f7a70; --bad: #b3101c; --quiet: #5b6472; }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--page); max-width: 1080px;
  margin: 2em auto; padding: 0 1em; }
h1 { font-size: 1.4em; margin-bottom: 0; } h2 { font-size: 1.1em; margin: 1.6em 0 0.3em; }
h3 { font-size: 1em; margin: 1.2em 0 0.3em; } ul { padding-left: 1.2em; margin: 0.4em 0; }
p.first { font-size: 1.15em; } code, pre { background: var(--soft); padding: 2px 5px; font-size: 0.9em; }
pre { padding: 10px; overflow-x: auto; white-space: pre-wrap; }
table { border-collapse: collapse; margin: 0.4em 0 1em; }
td, th { padding: 2px 14px 2px 0; text-align: left; vertical-align: top; font-variant-numeric: tabular-nums; }
td.n, th.n { text-align: right; } td.n { white-space: nowrap; }
.pass { color: var(--good); } .fail { color: var(--bad); font-weight: 600; }
.groups { columns: 2 420px; } .groups section { break-inside: avoid; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(420px, 1fr)); gap: 12px 24px; }
figure { margin: 0; break-inside: avoid; } img { width: 100%; max-width: 760px; }
figcaption { color: var(--quiet); font-size: 0.9em; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e3e6ea; --page: #12161c; --soft: #1c222b; --line: #333c48; --good: #57c7b8; --bad: #ff7b72;
    --quiet: #9aa4b1; }
  img { filter: invert(1) hue-rotate(180deg); mix-blend-mode: screen; }
}
@media print {
  :root { --ink: #000000; --page: #ffffff; --soft: #ffffff; --good: #1f7a70; --bad: #b3101c; --quiet: #444444; }
  img { filter: none; mix-blend-mode: normal; }
  body { margin: 0; max-width: none; padding: 0; font-size: 12px; }
  .plots { grid-template-columns: 1fr 1fr; } .groups { columns: 2; }
  td, th { padding-right: 10px; } thead { display: table-header-group; }
  h2, h3 { break-after: avoid; } table, tr, pre { break-inside: avoid; }
}
@page { margin: 14mm; }
"""


def document(title: str, body: str) -> str:
    """A page of this look; `title` is text, `body` HTML."""
    return (
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f"<style>{STYLE}</style></head><body>{body}</body></html>\n"
    )


def table(head: Iterable[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of texts, columns of figures at the right; no head line where `head` is empty."""
    rows = list(rows)
    right = [bool(k) and is_numeric([row[k] for row in rows]) for k in range(len(rows[0]) if rows else 0)]

    def line(cells: Iterable[str], mark: str) -> str:
        marked = zip(cells, [*right, *[False] * 99], strict=False)
        return "<tr>" + "".join(f"<{mark}{' class=n' * r}>{html.escape(c)}</{mark}>" for c, r in marked) + "</tr>"

    heads = list(head)
    top = f"<thead>{line(heads, 'th')}</thead>" if heads else ""
    return f"<table>{top}<tbody>{''.join(line(row, 'td') for row in rows)}</tbody></table>"


def is_numeric(cells: Sequence[str]) -> bool:
    """A column of figures stands at the right; those of dates, and of words with a figure, do not."""
    known = [cell for cell in cells if cell not in ("", "-", "n/a", "unknown", "called")]
    return bool(known) and all(set(cell) <= _FIGURE and cell[4:5] != "-" for cell in known)


def picture(name: str, source: str, caption: str) -> str:
    """A plot with what it shows and why that matters below it."""
    words = html.escape(caption)
    return f'<figure><img alt="{html.escape(name)}" src="{source}"><figcaption>{words}</figcaption></figure>'


def png(draw: Callable[[Axes, Any], None], figures: Any, size: tuple[float, float] = SIZE) -> str:
    """A drawn plot as a source of an image, on no background of its own."""
    return "data:image/png;base64," + base64.b64encode(drawn(draw, figures, size, alone=False)).decode("ascii")


def dated(axes: Axes) -> None:
    """Few short dates below an axis of time."""
    from matplotlib import dates

    untyped: Any = dates  # its classes have no types
    days = untyped.AutoDateLocator(maxticks=8)
    axes.xaxis.set_major_locator(days)
    axes.xaxis.set_major_formatter(untyped.ConciseDateFormatter(days))


def drawn(
    draw: Callable[[Axes, Any], None], figures: Any, size: tuple[float, float] = SIZE, *, alone: bool = True
) -> bytes:
    """A plot as the bytes of a PNG.

    Args:
        draw: Draws `figures` on axes.
        figures: What is drawn.
        size: In inches.
        alone: As a file of its own, on white: it is read on any ground.
    """
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # where its cache lies is nobody's concern here
    # Figure objects without pyplot: no global state, so pages can be drawn in threads.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import ScalarFormatter, StrMethodFormatter

    figure = Figure(figsize=size, dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8)
    draw(axes, figures)
    if isinstance(axes.yaxis.get_major_formatter(), ScalarFormatter) and 1000.0 <= max(map(abs, axes.get_ylim())) < 1e9:
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    stream = io.BytesIO()
    figure.savefig(stream, format="png", metadata={"Software": None}, transparent=not alone)
    return stream.getvalue()
