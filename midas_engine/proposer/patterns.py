"""Which patterns of the skill document this data can compute: a pattern on a column that is not there is not sent."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from midas_engine.dsl.expression import parse
from midas_engine.errors import ExpressionError

if TYPE_CHECKING:
    from collections.abc import Collection

_BLOCK = re.compile(r"```[a-z]{0,20}\n([^`]{0,5000})\n```\n?")


def fitting(document: str, columns: Collection[str], *, cross: bool = True) -> str:
    r"""The document without expressions that these columns cannot serve, nor sections that lose all of theirs.

    Example:
        >>> text = "## A\n\n```\ncs_rank(close)\n```\n\n## B\n\n```\ncs_rank(liquidations)\n```\n"
        >>> "liquidations" in fitting(text, ["close"]), "cs_rank(close)" in fitting(text, ["close"])
        (False, True)
    """
    if not columns:
        return document
    kept = []
    for section in re.split(r"(?m)^(?=## )", document):
        blocks = _BLOCK.findall(section)
        left = _BLOCK.sub(lambda m: m[0] if _fits(m[1], columns, cross) else "", section)
        if not blocks or _BLOCK.search(left):
            kept.append(re.sub(r"\n{3,}", "\n\n", left))
    return "".join(kept)


def _fits(text: str, columns: Collection[str], cross: bool) -> bool:
    """Whether every line of a block is an expression of these columns, or none is meant to be one."""
    try:
        parsed = parse(" ".join(text.split()))
    except ExpressionError:
        return True  # no expression: prose or a reply's form
    return set(parsed.columns) <= {*columns, "returns"} and (cross or "cs_" not in text)
