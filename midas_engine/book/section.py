"""The book as a section of the daily report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from midas_engine.book.build import book_of
from midas_engine.book.rows import HEAD, member_rows, summary_rows
from midas_engine.errors import MidasError
from midas_engine.models import FeatureState
from midas_engine.text import markdown_cell, markdown_table, with_capital

if TYPE_CHECKING:
    from midas_engine.book.figures import BookFigures
    from midas_engine.kb import KnowledgeBase
    from midas_engine.market import Panel
    from midas_engine.settings import Settings

_HEADING = "## Book\n\n"


def section(book: BookFigures) -> str:
    """Members, weights, marginal net with error, turnover, capacity, net, drawdown and days to notice, in Markdown."""
    if book.empty:
        words = [with_capital(note) + "." for note in book.notes]
        return _HEADING + "\n".join(map(markdown_cell, words)) + "\n"
    first, last = (end.replace("T", " ") for end in (book.first, book.last))
    about = (
        f"All deployed features as one signal on {markdown_cell(book.data)}, {first} to {last} UTC, "
        "as measured when this was written.\n\n"
    )
    members = markdown_table(HEAD, member_rows(book))
    figures = markdown_table(("figure", "value"), summary_rows(book))
    rest = [f"- not in the book: {markdown_cell(name)}: {markdown_cell(why)}" for name, why in book.left_out]
    rest += [f"- {markdown_cell(note)}" for note in book.notes]
    rest += [f"- weights {book.digest[:16]}: midas book --weights --json"] if book.digest else []
    return _HEADING + about + members + "\n" + figures + "".join(f"\n{line}" for line in rest) + "\n"


def section_of(kb: KnowledgeBase, panel: Panel | None, settings: Settings, why: str = "") -> str:
    """`section` of the book of a base on a panel, or why it could not be measured. Heavy: call it in a thread.

    Args:
        kb: Its deployed features are the members.
        panel: The market as far as it is known; None when there is none, and `why`.
        settings: Costs, caps, capital.
        why: Why there is no market.
    """
    if not kb.features(FeatureState.DEPLOYED):
        return _HEADING + "Nothing is deployed.\n"
    try:
        if panel is None:
            return _unmeasured(why or "there is no data")
        return section(book_of(kb, panel, settings))
    except MidasError as error:
        return _unmeasured(error.message)


def _unmeasured(why: str) -> str:
    return f"{_HEADING}Not measured: {markdown_cell(why)}.\n"
