"""What each member that was promoted for the book is worth now, in words, from the book as it is measured today."""

from __future__ import annotations

from typing import TYPE_CHECKING

from midas_engine.book.build import book_of
from midas_engine.book.partners import for_the_book, partner_words
from midas_engine.book.rows import span

if TYPE_CHECKING:
    from midas_engine.kb import KnowledgeBase
    from midas_engine.market import Panel
    from midas_engine.settings import Settings


def worth_words(kb: KnowledgeBase, panel: Panel, settings: Settings) -> tuple[str, ...]:
    """What each member that was promoted for the book is worth now, a line each. Heavy: call it in a thread.

    Raises:
        DataError: The book cannot be measured.
        EvaluationError: The data is too short.
    """
    if not for_the_book(kb):
        return ()
    book = book_of(kb, panel, settings)
    doubtful = partner_words(book.members)
    sound = (
        f"{m.name}, promoted for the book, still adds {span(m.marginal)} bps/yr to it"
        for m in book.members
        if m.role == "book" and m.marginal.low > 0.0
    )
    return (*doubtful, *sound)
