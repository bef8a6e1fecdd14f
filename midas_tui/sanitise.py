"""One sanitiser at the display boundary: text from models, files and feeds is data, never commands.

Neither Textual nor Rich neutralises control sequences: an OSC 52 in a learning would write the
user's clipboard, a CSI 2J clear the screen. Stored data stays as it was; only what is shown changes.
"""

from __future__ import annotations

import re

from textual.content import Content

from midas_engine.text import UNSAFE

_FORBIDDEN = re.compile(f"[{UNSAFE}]")
# Whole sequences, so that their harmless-looking tail does not litter the text.
_SEQUENCE = re.compile(
    r"\x1b\][^\x07\x1b\x9c]{0,4096}(?:\x07|\x1b\\|\x9c)?"  # OSC
    r"|\x1b[PX^_][^\x1b\x9c]{0,4096}(?:\x1b\\|\x9c)?"  # DCS, SOS, PM, APC
    r"|(?:\x1b\[|\x9b)[0-?]{0,64}[ -/]{0,8}[@-~]?"  # CSI
    r"|\x1b[ -/]{0,4}[0-~]?"
)
REPLACEMENT = "\N{MIDDLE DOT}"
MAX_LINE = 10_000


def clean(text: object, *, newlines: bool = True) -> str:
    r"""`text` without control sequences; tabs become spaces, over-long lines are cut.

    Example:
        >>> clean("a\\x1b]52;c;ZXZpbA==\\x07b\\x1b[2Jc")
        'abc'
        >>> clean("rtl \\u202e x")
        'rtl · x'
    """
    shown = _SEQUENCE.sub("", str(text)).replace("\r\n", "\n").expandtabs(4)
    shown = _FORBIDDEN.sub(REPLACEMENT, shown)
    if not newlines:
        shown = shown.replace("\n", " ")
    if len(shown) > MAX_LINE:
        shown = "\n".join(line if len(line) <= MAX_LINE else line[:MAX_LINE] + " …" for line in shown.split("\n"))
    return shown


def plain(text: object) -> Content:
    """One line of cleaned text for a place that reads strings as markup, such as a border's title."""
    return Content(clean(text, newlines=False))


class StreamCleaner:
    """Cleans text that comes in chunks: a sequence split over two of them is still caught."""

    def __init__(self) -> None:
        self._held = ""

    def feed(self, chunk: str) -> str:
        """What can safely be shown so far."""
        text = self._held + chunk
        self._held = ""
        start = max(text.rfind("\x1b"), text.rfind("\x9b"))
        # An escape near the end may still be growing: hold it back until it is complete or too long to be one.
        if start >= 0 and len(text) - start < 4096:
            match = _SEQUENCE.match(text, start)
            complete = match is not None and match.end() < len(text)
            if not complete:
                text, self._held = text[:start], text[start:]
        return clean(text)

    def flush(self) -> str:
        """What was held back, cleaned: the stream ended."""
        text, self._held = self._held, ""
        return clean(text)
