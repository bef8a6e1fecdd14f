"""What formulas are dressed in, taken off: signs of typography and of C, `$close`, `alpha = ...`, `c ? a : b`.

What is left can be read as an expression of Python; nothing is computed.
"""

from __future__ import annotations

import re

_DEEP = 60
_SIGNS = {
    "\u2212": "-", "\u2013": "-", "\u2014": "-", "\u00d7": "*", "\u00b7": "*", "\u00f7": "/", "\u2264": "<=",
    "\u2265": ">=", "\u2260": "!=", "\u00a0": " ", "^": "**", "&&": " and ", "||": " or ", "&": " and ",
    "|": " or ", "~": " not ", "$": "", "`": "", "\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"',
}  # fmt: skip
_SIGN = re.compile("|".join(re.escape(s) for s in sorted(_SIGNS, key=len, reverse=True)))
_BANG = re.compile(r"!(?!=)")
_BORROWED_IF = re.compile(r"(^|[(,+\-*/<>=?:]|\b(?:and|or|not|else|AND|OR|NOT))(\s{0,9})(?:if|If|IF)(?=\s{0,9}\()")
_WORD = re.compile(r"\b(AND|OR|NOT)\b(?!\s{0,9}\(\s{0,9}\w{0,80}\s{0,9},)|\b(And|Or|Not)(?=\s{0,9}\()")
_NAMED = re.compile(r"^[A-Za-z_]\w{0,79}\s{0,9}(?:=(?!=)|:=)|^(?:expression|formula|alpha|factor|signal)\s{0,9}:")


def as_python(text: str) -> str:
    """A formula as an expression of Python would be written.

    Example:
        >>> as_python("alpha = (close>open ? $volume^2 : !(low<1));")
        '(if_else(close>open ,  volume**2 ,   not (low<1)))'
    """
    plain = _NAMED.sub("", text.strip().rstrip(";").strip())
    plain = _SIGN.sub(lambda m: _SIGNS[m[0]], plain)
    plain = re.sub(r"\breturn\b", "returns", plain)  # a word of Python
    if plain.startswith("if ") and plain.count(" then ") == plain.count(" else ") == 1:
        asked, _, rest = plain[3:].partition(" then ")
        yes, _, no = rest.partition(" else ")
        plain = f"({yes}) if ({asked}) else ({no})"
    plain = _WORD.sub(lambda m: f"logical_{m[2].lower()}" if m[2] else m[1].lower(), plain)
    plain = _BORROWED_IF.sub(r"\1\2iff", plain)
    return _BANG.sub(" not ", _ternaries(plain, 0)).strip()


def _ternaries(text: str, deep: int) -> str:
    """`c ? a : b` as `if_else(c, a, b)`, inside out."""
    if "?" not in text or deep > _DEEP:
        return text
    parts: list[str] = []
    at = start = level = 0
    while at < len(text):
        if text[at] == "(":
            if level == 0:
                opened = at
            level += 1
        elif text[at] == ")" and level:
            level -= 1
            if level == 0:
                inner = _ternaries(text[opened + 1 : at], deep + 1)
                text = text[: opened + 1] + inner + text[at:]
                at = opened + 1 + len(inner)
        elif text[at] == "," and level == 0:
            parts.append(_ternary(text[start:at]))
            start = at + 1
        at += 1
    parts.append(_ternary(text[start:]))
    return ",".join(parts)


def _ternary(text: str) -> str:
    """One piece without a comma of its own; its first question is the outermost."""
    asked = _at_top(text, "?")
    if asked < 0:
        return text
    level = questions = 0
    for at in range(asked + 1, len(text)):
        c = text[at]
        level += (c in "([") - (c in ")]")
        if level == 0 and c == "?":
            questions += 1
        elif level == 0 and c == ":" and questions:
            questions -= 1
        elif level == 0 and c == ":":
            return f"if_else({text[:asked]}, {_ternary(text[asked + 1 : at])}, {_ternary(text[at + 1 :])})"
    return text


def _at_top(text: str, mark: str) -> int:
    level = 0
    for at, c in enumerate(text):
        level += (c in "([") - (c in ")]")
        if c == mark and level == 0:
            return at
    return -1
