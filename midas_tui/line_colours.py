"""Textual's memory of the colours of lines, held by the colours alone: what left the screen can be let go."""

from __future__ import annotations

from functools import lru_cache, partial

from textual._styles_cache import StylesCache

# As many pairs of colours as Textual keeps.
_PAIRS = 1024


def remember_by_colour() -> None:
    """Have Textual remember the colours of a line for all widgets at once; a second call changes nothing.

    Textual 8 remembers them with the lines of the widget that asked. The widgets of the last thousand that were closed
    stay alive so, with all that they drew: 50 MB after some hundred dialogs.
    """
    found = StylesCache.__dict__.get("get_inner_outer")
    # Bound to whoever asks; neither ours nor one that belongs to the class.
    if found is not None and hasattr(found, "cache_info"):
        by_colour = lru_cache(_PAIRS)(partial(found.__wrapped__, StylesCache))
        StylesCache.get_inner_outer = staticmethod(by_colour)  # type: ignore[method-assign,assignment]
