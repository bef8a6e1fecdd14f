"""What came, in words that are short enough for a message."""

from __future__ import annotations

from typing import Any

_SHOWN = 200


def reason_of(error: BaseException) -> str:
    """Type and words of an error on one line."""
    try:
        words = " ".join(str(error).split())[:_SHOWN]
    except Exception:
        words = ""
    return f"{type(error).__name__}: {words}" if words else type(error).__name__


def shown(thing: Any) -> str:
    """What came, short enough for a message."""
    try:
        text = " ".join(repr(thing).split())
    except Exception:
        text = "what has no text"
    return f"{type(thing).__name__} {text[:80]}{'...' if len(text) > 80 else ''}"
