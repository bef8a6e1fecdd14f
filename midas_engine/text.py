"""Text that leaves the program: the one home of what may not reach a terminal, of Markdown cells, figures and hints."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

# C0 but tab and newline, DEL, C1, soft hyphen, Arabic letter mark, Mongolian vowel separator, zero-width, bidi and
# line separators, BOM, interlinear marks, lone surrogates (undecodable bytes), invisible tag characters: each can
# move a cursor, change a title, turn a line around or hide. For use inside a character class.
UNSAFE = (
    "\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f"
)


def one_line(text: object) -> str:
    """`text` with every run of white space as one blank.

    Example:
        >>> one_line("two" + chr(10) + "  lines ")
        'two lines'
    """
    return " ".join(str(text).split())


def markdown_cell(text: object) -> str:
    r"""Foreign text as one cell of a Markdown table: no line break, column, code or tag of its own.

    A leading sign that a spreadsheet would take for a formula, or a reader for a heading, is quoted.

    Example:
        >>> markdown_cell("a | b`c`"), markdown_cell("=1+1")
        ("a \\| b'c'", "'=1+1")
    """
    plain = one_line(text).replace("|", "\\|").replace("`", "'").replace("<", "&lt;")
    return f"'{plain}" if plain[:1] in ("=", "@", "#") else plain


def markdown_table(head: Iterable[object], rows: Iterable[Iterable[object]]) -> str:
    """A Markdown table, every cell through `markdown_cell`; empty without rows."""
    cells = [[markdown_cell(cell) for cell in row] for row in rows]
    titles = [markdown_cell(cell) for cell in head]
    if not cells:
        return ""
    lines = [titles, ["---"] * len(titles), *cells]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def bytes_text(count: float) -> str:
    """A size on disk in the unit that suits it.

    Example:
        >>> bytes_text(0), bytes_text(12_300_000), bytes_text(float("nan"))
        ('0 B', '12.3 MB', 'an unknown size')
    """
    if math.isnan(count):
        return "an unknown size"
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"


def number(value: object, digits: int = 4, *, sign: bool = False, unknown: str = "-") -> str:
    """A figure with fixed decimals, thousands apart; `unknown` where there is none: that is never printed as zero.

    Example:
        >>> number(0.03125, 3), number(float("nan")), number(2, 1, sign=True), number(float("inf")), number(-7242.4, 0)
        ('0.031', '-', '+2.0', 'inf', '-7,242')
        >>> number(-0.0001, 3, sign=True)  # no zero is below zero
        '+0.000'
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
        return unknown
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    return f"{value:{'+' if sign else ''}z,.{digits}f}"


# Candidates saved earlier hold eight decimals: a smaller p stands there as zero.
KEPT_P = 5e-9


def p_text(p: object, *, unknown: str = "-", least: float = 1e-300) -> str:
    """A p-value to two figures. No p is zero: one that was too small to be held is below `least`.

    Example:
        >>> p_text(0.03124), p_text(4.2e-11), p_text(0.0), p_text(float("nan")), p_text(0.0, least=KEPT_P)
        ('0.031', '4.2e-11', '<1e-300', '-', '<5e-09')
    """
    if isinstance(p, bool) or not isinstance(p, int | float) or math.isnan(p):
        return unknown
    return f"{p:.2g}" if p > 0.0 else f"<{least:g}"


def with_capital(text: str) -> str:
    """`text` as a sentence begins: a word gets its capital; an expression, a name or an option stays what it is.

    Example:
        >>> with_capital("tried: 33"), with_capital("ts_cov(volume, 24): t 9"), with_capital("carry_168 is gone")
        ('Tried: 33', 'ts_cov(volume, 24): t 9', 'carry_168 is gone')
    """
    word = text.split(maxsplit=1)[0].rstrip(".,:;!?") if text.strip() else ""
    parts = word.replace("'", "-").split("-")
    return text[:1].upper() + text[1:] if all(part.isalpha() for part in parts) else text


def nearest(name: object, known: Iterable[str], *, cutoff: float = 0.6) -> str:
    """The known name most like `name`; empty when none is near."""
    import difflib

    near = difflib.get_close_matches(str(name)[:80], list(known), n=1, cutoff=cutoff)
    return near[0] if near else ""


def did_you_mean(name: object, known: Iterable[str], *, cutoff: float = 0.6, otherwise: str = "") -> str:
    """The hint for an unknown name: the nearest known one, else `otherwise`, else all of them.

    Example:
        >>> did_you_mean("promte", ["promote", "demote"]), did_you_mean("x", ["a", "b"])
        ("did you mean 'promote'?", 'known: a, b')
    """
    names = list(known)
    near = nearest(name, names, cutoff=cutoff)
    return f"did you mean {near!r}?" if near else otherwise or "known: " + ", ".join(names)
