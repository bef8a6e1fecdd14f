"""Rows of the learnings' lists: the tree by folder, what a search found, what belongs to a document."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from midas_tui.runtime_protocol import Document, Found, Link
    from midas_tui.theme import Glyphs
    from midas_tui.widgets.line_table import Cell

Rows = list[tuple[str, dict[str, "Cell"]]]

MEMORY = "memory"
FOUND = "found "
_KINDS = {"learning": "", "feature": "feature: ", "tried": "tried: "}


def tree_rows(documents: Iterable[Document], needle: str, changed: Collection[str], glyphs: Glyphs) -> Rows:
    """What tries taught, then every document under its folder; `needle` narrows by title and path."""
    rows: Rows = []
    if needle in "what tries taught":
        rows.append((MEMORY, {"sign": ("", ""), "title": ("what tries taught", "accent")}))
    folder = ""
    for doc in documents:
        if needle and needle not in f"{doc.title} {doc.path}".lower():
            continue
        place = doc.path.rpartition("/")[0]
        if place != folder:
            folder = place
            rows.append((f"{place}/", {"sign": ("", ""), "title": (f"{place.removeprefix('knowledge/')}/", "accent")}))
        mark = (glyphs.killed, "crit") if doc.damaged else (glyphs.warning, "warn") if doc.path in changed else ("", "")
        rows.append((doc.path, {"sign": mark, "title": (f"  {doc.title}", "crit" if doc.damaged else "")}))
    return rows


def found_rows(found: Sequence[Found]) -> Rows:
    """What a search found, best first."""
    return [
        (f"{FOUND}{i}", {"sign": ("", ""), "title": (f"{_KINDS.get(hit.kind, hit.kind)}{hit.title}", "")})
        for i, hit in enumerate(found)
    ]


def related_rows(names: Sequence[str], links: Sequence[Link], near: Sequence[str], titles: Mapping[str, str]) -> Rows:
    """What a document names, what belongs to it and why, and what is like it; each key says what it leads to.

    Args:
        names: Links in its text.
        links: What belongs to it.
        near: Paths of what is like it.
        titles: Of the documents, by path: what a file is called begins with its date, and many of those are alike.
    """

    def titled(path: str) -> str:
        return titles.get(path) or path.rpartition("/")[2]

    rows: Rows = [(f"[[{name}", {"title": (f"[[{name}]]", "accent")}) for name in names]
    for link in links:
        shown = titled(link.target) if link.kind == "document" else f"{link.kind} {link.target}"
        rows.append((f"{link.kind}:{link.target}", {"title": (f"{shown}: {link.why}", "")}))
    there = {link.target for link in links}
    rows += [(f"document:{p}", {"title": (titled(p), "muted")}) for p in near if p not in there]
    return rows
