"""A terminal that shows nothing beyond ASCII: every cell that would be something else, in as many cells."""

from __future__ import annotations

import unicodedata

from rich.cells import cell_len

# Frames of panes and what a widget of Textual's draws, signs of figures, and what people's texts hold.
_SIGNS = {
    "─": "-", "━": "=", "┄": "-", "│": "|", "┃": "|", "┊": ":", "┋": ":", "╷": "|", "╵": "|", "▔": "-", "▁": "_",
    "╱": "/", "╲": "\\", "±": "~", "…": "~", "–": "-", "—": "-", "−": "-", "→": ">", "←": "<", "↑": "^", "↓": "v",
    "•": "*", "·": ".", "×": "x", "≥": ">", "≤": "<", "“": '"', "”": '"', "‘": "'", "’": "'", "▌": "|", "▐": "|",
}  # fmt: skip
_CORNERS = "╭╮╰╯┌┐└┘├┤┬┴┼┏┓┗┛╔╗╚╝"
_BLOCKS = "█▉▊▋▍▎▏▀▄▂▃▅▆▇▓▒░"


class _Table(dict[int, str]):
    def __missing__(self, code: int) -> str:
        found = self[code] = _of(chr(code))
        return found


def _of(sign: str) -> str:
    if sign.isascii():
        return sign
    if sign in _SIGNS:
        return _SIGNS[sign]
    if sign in _CORNERS:
        return "+"
    if sign in _BLOCKS:
        return "#"
    cells = cell_len(sign)
    letter = unicodedata.normalize("NFKD", sign)[:1]
    return (letter if letter.isascii() and cells == 1 else "?" * cells) if cells else ""


_TABLE = _Table()


def in_ascii(text: str) -> str:
    """`text` in ASCII, cell for cell.

    Example:
        >>> in_ascii("╭─ IC ─╮ +0.031±.008 é 市")
        '+- IC -+ +0.031~.008 e ??'
    """
    return text if text.isascii() else text.translate(_TABLE)
