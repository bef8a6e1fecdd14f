"""Completion of the last word of a line: operators, columns and families of signals."""

from __future__ import annotations

import string
from functools import cache

from textual.suggester import Suggester

_IN_A_WORD = string.ascii_lowercase + string.digits + "_"
_SHORTEST = 2


@cache
def known_words() -> tuple[str, ...]:
    """Operators, columns of bars and names of families, each once."""
    from midas_engine.dsl.document import COLUMN_DOCS
    from midas_engine.dsl.registry import OPERATORS
    from midas_engine.proposer.families import FAMILIES

    return tuple(dict.fromkeys((*COLUMN_DOCS, *FAMILIES, *OPERATORS)))


class WordSuggester(Suggester):
    """Suggests the rest of the last word; the right arrow takes it."""

    def __init__(self) -> None:
        super().__init__(use_cache=True, case_sensitive=True)

    async def get_suggestion(self, value: str) -> str | None:
        """The line with its last word completed; None where nothing begins so."""
        last = value[len(value.rstrip(_IN_A_WORD)) :].lstrip(string.digits)  # in linear time, whatever was pasted
        if len(last) < _SHORTEST:
            return None
        whole = next((w for w in known_words() if w.startswith(last) and w != last), None)
        return value.removesuffix(last) + whole if whole is not None else None
