"""The tokenizer: ASCII only, no regular expression that could backtrack, a position on every token."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from enum import StrEnum

from midas_engine.errors import ExpressionSyntaxError, LimitError

_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_")
_DIGITS = frozenset("0123456789")
_TWO = frozenset({"**", "<=", ">=", "==", "!="})
_ONE = frozenset("+-*/<>(),")
# A float64 needs 17 significant digits; 40 leaves room for zeros and an exponent.
_NUMBER_CHARACTERS = 40
_NAME_CHARACTERS = 80
_LOOKALIKES = {
    "\u2212": "-",
    "\u2013": "-",
    "\u2014": "-",
    "\u00d7": "*",
    "\u00f7": "/",
    "\u2264": "<=",
    "\u2265": ">=",
}
_HINTS = {
    "=": "compare with ==; an expression has no assignments",
    "^": "write ** for a power",
    "%": "there is no modulo operator",
    "&": "write and",
    "|": "write or",
    "!": "write not, or != to compare",
    "[": "an expression has no subscripts; write delay(x, n) for the past",
    ".": "an expression has no attributes",
    "{": "an expression has no braces",
    ";": "an expression is one line",
    ":": "an expression has no slices, lambdas or annotations",
    '"': "an expression has no strings",
    "'": "an expression has no strings",
    "#": "an expression has no comments",
    "@": "write * to multiply",
}


class Kind(StrEnum):
    """What a token is."""

    NUMBER = "number"
    NAME = "name"
    SYMBOL = "symbol"
    END = "end of the expression"


@dataclass(frozen=True, slots=True)
class Token:
    """One token; `end` is exclusive."""

    kind: Kind
    text: str
    position: int
    end: int


def tokenize(text: str) -> list[Token]:
    """The tokens of an expression, closed by an END token.

    Raises:
        ExpressionSyntaxError: A character that is not part of the language, with its position.
        LimitError: A literal or name that is absurdly long.
    """
    tokens: list[Token] = []
    i, size = 0, len(text)
    while i < size:
        c = text[i]
        if c in " \t\n\r":
            i += 1
        elif c in _LETTERS:
            i = _name(text, i, tokens)
        elif c in _DIGITS or (c == "." and text[i + 1 : i + 2] in _DIGITS and text[i + 1 : i + 2]):
            i = _number(text, i, tokens)
        elif text[i : i + 2] in _TWO:
            tokens.append(Token(Kind.SYMBOL, text[i : i + 2], i, i + 2))
            i += 2
        elif c in _ONE:
            tokens.append(Token(Kind.SYMBOL, c, i, i + 1))
            i += 1
        else:
            raise _refused(text, i)
    tokens.append(Token(Kind.END, "", size, size))
    return tokens


def _name(text: str, start: int, tokens: list[Token]) -> int:
    i = start
    while i < len(text) and (text[i] in _LETTERS or text[i] in _DIGITS):
        i += 1
    if i - start > _NAME_CHARACTERS:
        raise LimitError(f"a name of {i - start} characters", text=text, position=start, hint="names have at most 80")
    tokens.append(Token(Kind.NAME, text[start:i], start, i))
    return i


def _number(text: str, start: int, tokens: list[Token]) -> int:
    i = _digits(text, start)
    if text[i : i + 1] == ".":
        i = _digits(text, i + 1)
    if text[i : i + 1] in ("e", "E"):
        j = i + 1 + (text[i + 1 : i + 2] in ("+", "-"))
        if _digits(text, j) > j:
            i = _digits(text, j)
    if i - start > _NUMBER_CHARACTERS:
        raise LimitError(f"a number of {i - start} characters", text=text, position=start, hint="use at most 40")
    if text[i : i + 1] and (text[i] in _LETTERS or text[i] == "."):
        raise ExpressionSyntaxError(
            f"{text[start : i + 1]!r} is not a number", text=text, position=start, length=i + 1 - start
        )
    tokens.append(Token(Kind.NUMBER, text[start:i], start, i))
    return i


def _digits(text: str, i: int) -> int:
    while i < len(text) and text[i] in _DIGITS:
        i += 1
    return i


def _refused(text: str, i: int) -> ExpressionSyntaxError:
    c = text[i]
    if ord(c) < 128:
        shown = c if c.isprintable() else f"\\x{ord(c):02x}"
        return ExpressionSyntaxError(
            f"{shown!r} is not part of the language", text=text, position=i, hint=_HINTS.get(c, "")
        )
    plain = _LOOKALIKES.get(c) or unicodedata.normalize("NFKC", c)
    name = unicodedata.name(c, f"U+{ord(c):04X}")
    hint = f"write {plain!r}" if plain.isascii() and plain.isprintable() and plain.strip() else "use plain ASCII"
    return ExpressionSyntaxError(f"the character {name} is not part of the language", text=text, position=i, hint=hint)
