"""What a browser may say: keys, a size, whether it has the focus, a ping. All of it bounded."""

from __future__ import annotations

import json
from dataclasses import dataclass

# A pasted research goal fits many times over.
MAX_FRAME_BYTES = 65_536
MAX_COLUMNS, MAX_LINES = 500, 200
DEFAULT_COLUMNS, DEFAULT_LINES = 80, 24
_MAX_PING = 64


@dataclass(frozen=True, slots=True)
class Keys:
    """Typed, pasted or clicked."""

    text: str


@dataclass(frozen=True, slots=True)
class Size:
    """The browser's terminal, in cells; cut to what a screen can be."""

    columns: int
    lines: int


@dataclass(frozen=True, slots=True)
class Focus:
    """The page has the keyboard, or lost it."""

    gained: bool


@dataclass(frozen=True, slots=True)
class Ping:
    """To be sent back."""

    data: str


Frame = Keys | Size | Focus | Ping


def read_frame(text: str) -> Frame | None:
    """The meaning of a text frame; None when it has none.

    Example:
        >>> read_frame('["resize", {"width": 1000000000, "height": 0}]')
        Size(columns=500, lines=1)
        >>> read_frame('["stdin", 7]') is None
        True
    """
    try:
        frame = json.loads(text)
    except (ValueError, RecursionError):
        return None
    match frame:
        case ["stdin", str(keys)]:
            return Keys(keys)
        case ["resize", {"width": width, "height": height}] if type(width) is int and type(height) is int:
            return Size(_within(width, MAX_COLUMNS), _within(height, MAX_LINES))
        case ["focus" | "blur" as kind]:
            return Focus(kind == "focus")
        case ["ping", str(data)] if len(data) <= _MAX_PING:
            return Ping(data)
    return None


def read_size(columns: str, lines: str) -> Size:
    """The size a socket is opened with; what is no number is the usual size."""
    return Size(_number(columns, DEFAULT_COLUMNS, MAX_COLUMNS), _number(lines, DEFAULT_LINES, MAX_LINES))


def _number(text: str, default: int, most: int) -> int:
    return _within(int(text), most) if text.isascii() and text.isdigit() and len(text) < 10 else default


def _within(value: int, most: int) -> int:
    return max(1, min(value, most))
