"""What a refinement changed in the expression it comes from, by words of the language."""

from __future__ import annotations

import re
from difflib import SequenceMatcher
from functools import lru_cache

Piece = tuple[str, bool]
"""Text, and whether the other side lacks it."""

_WORD = re.compile(r"[A-Za-z_]\w*|\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|\*\*|[<>=!]=|\S|\s+")
# Changes longer than this are told as a rewriting; the two expressions are in the detail.
MOST_TOLD = 44
MOST_WORDS = 400


@lru_cache(maxsize=2048)
def difference(old: str, new: str) -> tuple[tuple[Piece, ...], tuple[Piece, ...]]:
    """Both expressions in pieces, the changed ones marked.

    Example:
        >>> difference("ts_mean(close, 72)", "ts_mean(close, 168)")[1]
        (('ts_mean(close, ', False), ('168', True), (')', False))
    """
    left, right = _WORD.findall(old), _WORD.findall(new)
    if max(len(left), len(right)) > MOST_WORDS:
        return ((old, True),), ((new, True),)
    gone: list[Piece] = []
    come: list[Piece] = []
    for kind, a, b, c, d in SequenceMatcher(None, left, right, autojunk=False).get_opcodes():
        changed = kind != "equal"
        if b > a:
            gone.append(("".join(left[a:b]), changed))
        if d > c:
            come.append(("".join(right[c:d]), changed))
    return tuple(gone), tuple(come)


@lru_cache(maxsize=2048)
def change_words(old: str, new: str, arrow: str = "→") -> str:
    """The change in a few words.

    Example:
        >>> change_words("ts_mean(close, 72)", "ts_mean(close, 168)")
        '72 → 168'
        >>> change_words("cs_rank(close)", "-cs_rank(close)", "->")
        '+ -'
    """
    left, right = _WORD.findall(old), _WORD.findall(new)
    if left == right:
        return "the same again"
    if max(len(left), len(right)) > MOST_WORDS:
        return "rewritten"
    told = []
    for kind, a, b, c, d in SequenceMatcher(None, left, right, autojunk=False).get_opcodes():
        before, after = "".join(left[a:b]).strip(), "".join(right[c:d]).strip()
        if kind == "equal" or before == after:
            continue
        told.append(f"{before} {arrow} {after}" if before and after else f"+ {after}" if after else f"- {before}")
    words = ", ".join(told)
    return words if len(words) <= MOST_TOLD else "rewritten"
