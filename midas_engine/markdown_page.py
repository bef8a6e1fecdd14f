"""A report in our own Markdown as a page of the one look: everything inside, foreign text escaped, no link."""

from __future__ import annotations

import base64
import html
from typing import TYPE_CHECKING

from midas_engine.errors import DataError
from midas_engine.html_page import document, is_numeric, picture

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path


def page(markdown: str, pictures: Mapping[str, bytes]) -> str:
    r"""The page of a report.

    Read are headings, paragraphs, lists, tables, fences, `**bold**`, `code`, and a picture on a line of its own with
    the `*caption*` that follows it. Everything else is text.

    Args:
        markdown: Begins with its title.
        pictures: PNG files by the name the report gives them; one that is not there is told by its name.

    Example:
        >>> "<h1>A &lt;day&gt;</h1><p class=first><b>It rained.</b></p>" in page("# A <day>\n\n**It rained.**\n", {})
        True
    """
    blocks = _blocks(markdown.splitlines())
    title = next((lines[0].removeprefix("# ") for kind, lines in blocks if kind == "h1"), "Midas")
    parts: list[str] = []
    figures: list[str] = []
    for k, (kind, lines) in enumerate(blocks):
        if kind == "caption":
            continue
        if kind == "picture":
            after = blocks[k + 1] if k + 1 < len(blocks) else ("", [""])
            figures.append(_picture(lines[0], after[1][0].strip("*") if after[0] == "caption" else "", pictures))
            continue
        parts += _together(figures)
        first = kind == "text" and k == 1
        parts.append(f"<p class=first>{_inline(' '.join(lines))}</p>" if first else _RENDER[kind](lines))
    return document(title, "".join([*parts, *_together(figures)]))


def write_page(markdown: str, pictures: Mapping[str, bytes], path: Path) -> None:
    """Write a report: Markdown with its pictures beside it where the name ends in .md, else one page.

    Raises:
        DataError: The file cannot be written.
    """
    try:
        if path.suffix.lower() == ".md":
            path.write_text(markdown, encoding="utf-8", errors="replace")
            for name, data in pictures.items():
                (path.parent / name).write_bytes(data)
        else:
            path.write_text(page(markdown, pictures), encoding="utf-8", errors="replace")
    except OSError as error:
        raise DataError(f"the report {path} cannot be written: {error}", hint="name a file in a folder") from error


def _together(figures: list[str]) -> list[str]:
    """Pictures that follow each other stand beside each other."""
    found = [f"<div class=plots>{''.join(figures)}</div>"] if figures else []
    figures.clear()
    return found


def _blocks(lines: Sequence[str]) -> list[tuple[str, list[str]]]:
    """Kind and lines of every block, in order."""
    found: list[tuple[str, list[str]]] = []
    fenced = open_ = False
    for line in lines:
        if line.startswith("```"):
            fenced = not fenced
            if fenced:
                found.append(("fence", []))
            open_ = False
        elif fenced:
            found[-1][1].append(line)
        elif not line.strip():
            open_ = False
        else:
            kind = _kind(line)
            goes_on = kind == "text" and open_ and found[-1][0] in ("text", "list")
            if open_ and (kind == found[-1][0] != "h1" or goes_on) and kind not in ("picture", "h2", "h3"):
                found[-1][1].append(line)
            else:
                found.append((kind, [line]))
            open_ = True
    return found


def _kind(line: str) -> str:
    for mark, kind in (("# ", "h1"), ("## ", "h2"), ("### ", "h3"), ("![", "picture"), ("|", "table")):
        if line.startswith(mark):
            return kind
    if line.startswith(("- ", "* ")):
        return "list"
    caption = line.startswith("*") and line.endswith("*") and not line.startswith("**")
    return "caption" if caption else "text"


def _inline(text: str) -> str:
    """Text as HTML; what the Markdown had escaped is plain again, and then escaped as HTML is."""
    parts = []
    for k, piece in enumerate(text.split("`")):
        shown = html.escape(html.unescape(piece))
        parts.append(f"<code>{shown}</code>" if k % 2 else _bold(shown))
    return "".join(parts)


def _bold(shown: str) -> str:
    pieces = shown.replace("\\|", "|").split("**")
    return "".join(f"<b>{piece}</b>" if k % 2 and k + 1 < len(pieces) else piece for k, piece in enumerate(pieces))


def _list(lines: Sequence[str]) -> str:
    items: list[str] = []
    for line in lines:
        if line.startswith(("- ", "* ")):
            items.append(line[2:])
        else:
            items[-1] += " " + line.strip()
    return "<ul>" + "".join(f"<li>{_inline(item)}</li>" for item in items) + "</ul>"


def _table(lines: Sequence[str]) -> str:
    rows = [_cells(line) for line in lines]
    head, body = rows[0], rows[1:]
    if body and all(set(cell) <= {"-", ":"} for cell in body[0]):
        body = body[1:]
    right = [is_numeric([row[k] for row in body if k < len(row)]) for k in range(len(head))]

    def line(cells: Sequence[str], mark: str) -> str:
        marked = zip(cells, [*right, *[False] * len(cells)], strict=False)
        return "<tr>" + "".join(f"<{mark}{' class=n' * r}>{_inline(c)}</{mark}>" for c, r in marked) + "</tr>"

    top = f"<thead>{line(head, 'th')}</thead>" if any(head) else ""
    return f"<table>{top}<tbody>{''.join(line(row, 'td') for row in body)}</tbody></table>"


def _cells(line: str) -> list[str]:
    """The cells of a row; a bar behind a backslash is text."""
    inside = line.strip().removeprefix("|").removesuffix("|")
    return [cell.strip().replace("\0", "|") for cell in inside.replace("\\|", "\0").split("|")]


def _picture(line: str, caption: str, pictures: Mapping[str, bytes]) -> str:
    alt, _, rest = line.removeprefix("![").partition("](")
    data = pictures.get(rest.rstrip().removesuffix(")"))
    if data is None:
        told = html.escape(f"{alt}: the picture is not here. {caption}")
        return f"<figure><figcaption>{told}</figcaption></figure>"
    return picture(alt, "data:image/png;base64," + base64.b64encode(data).decode("ascii"), caption)


_RENDER: dict[str, Callable[[Sequence[str]], str]] = {
    "h1": lambda lines: f"<h1>{_inline(lines[0][2:])}</h1>",
    "h2": lambda lines: f"<h2>{_inline(lines[0][3:])}</h2>",
    "h3": lambda lines: f"<h3>{_inline(lines[0][4:])}</h3>",
    "text": lambda lines: f"<p>{_inline(' '.join(lines))}</p>",
    "list": _list,
    "table": _table,
    "fence": lambda lines: f"<pre>{html.escape(chr(10).join(lines))}</pre>",
}
