"""Figures as spreadsheets and web pages write them: a comma for the point, thousands set apart, a sign of money."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

_PLAIN = re.compile(r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?")
_MONEY = re.compile(r"[-+]?[$€£¥]\s?")
_COMMA = re.compile(r"[-+]?\d+,\d+(?:[eE][-+]?\d+)?")
_THOUSANDS = re.compile(r"[-+]?\d{1,3}(?:,\d{3})+(?:\.\d+)?|[-+]?\d{1,3}(?:\.\d+)?")
_EMPTY = frozenset(("", "nan", "null", "none", "na", "-"))


def plain_numbers(texts: pd.Series[Any]) -> tuple[pd.Series[Any], str]:
    """A column of texts with its figures as Python writes them, and what was done to them; as it is where unsure.

    `1,234` alone is one and a quarter or a thousand and some: the whole column says which, or it stays a text.

    Example:
        >>> import pandas as pd
        >>> [plain_numbers(pd.Series(c))[0].tolist() for c in (["78861,2", "950"], ["78,861.20", "950.00"], ["1,234"])]
        [['78861.2', '950'], ['78861.20', '950.00'], ['1,234']]
        >>> plain_numbers(pd.Series(["0.01%", "-0.0033%"]))[0].tolist()
        ['0.01e-2', '-0.0033e-2']
    """
    given = [str(t) for t in texts[texts.notna()] if str(t).lower() not in _EMPTY]
    if not given or all(map(_PLAIN.fullmatch, given)):
        return texts, ""
    if all(t.endswith("%") and _PLAIN.fullmatch(t[:-1].strip()) for t in given):
        return texts.str[:-1].str.rstrip() + "e-2", "percent, as their sign says"
    money = any(map(_MONEY.match, given))
    if money:
        given = [_MONEY.sub(lambda m: m[0][0] if m[0][0] in "-+" else "", t, count=1) for t in given]
        texts = texts.str.replace(r"^([-+]?)[$€£¥]\s?", r"\1", regex=True)
        if all(map(_PLAIN.fullmatch, given)):
            return texts, "a sign of money before each"
    commas = [t for t in given if "," in t]
    if all(_COMMA.fullmatch(t) or (_PLAIN.fullmatch(t) and "." not in t) for t in given) and any(
        len(t.split(",")[1]) != 3 for t in commas
    ):
        return texts.str.replace(",", ".", regex=False), "a comma for the point"
    sure = any("." in t or t.count(",") > 1 for t in commas)
    if commas and sure and all(_THOUSANDS.fullmatch(t) for t in given):
        return texts.str.replace(",", "", regex=False), "thousands set apart by commas"
    return texts, ""
