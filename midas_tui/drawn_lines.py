"""What Textual remembers of drawn lines, held so that what left the screen leaves memory."""

from __future__ import annotations

from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

from textual._styles_cache import StylesCache
from textual.cache import FIFOCache
from textual.strip import Strip

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.segment import Segment
    from rich.style import Style

# As many pairs of colours as Textual keeps.
_PAIRS = 1024


def let_lines_go() -> None:
    """Have lines leave memory with the widget that drew them; a second call changes nothing."""
    _remember_by_colour()
    _hold_no_line_by_itself()
    _remember_when_asked()


def _remember_by_colour() -> None:
    """Have Textual remember the colours of a line for all widgets at once.

    Textual 8 remembers them with the lines of the widget that asked. The widgets of the last thousand that were closed
    stay alive so, with all that they drew: 50 MB after some hundred dialogs.
    """
    found = StylesCache.__dict__.get("get_inner_outer")
    # Bound to whoever asks; neither ours nor one that belongs to the class.
    if found is not None and hasattr(found, "cache_info"):
        by_colour = lru_cache(_PAIRS)(partial(found.__wrapped__, StylesCache))
        StylesCache.get_inner_outer = staticmethod(by_colour)  # type: ignore[method-assign,assignment]


def _hold_no_line_by_itself() -> None:
    """Have a line that is cut to its own length be itself, without a note of it in its own memory.

    Textual 8 keeps what a line was cut to in the line. Most are cut to what they are, and hold themselves so until
    Python looks for garbage: 30 MB with a minute of keys, and where such a line was alive at the last full collection,
    until the next one.
    """
    if hasattr(Strip.divide, "__wrapped__"):
        return
    divided, cropped = Strip.divide, Strip.crop_extend

    def divide(self: Strip, cuts: Iterable[int]) -> Sequence[Strip]:
        places = list(cuts)
        return [self] if places == [self.cell_length] else divided(self, places)

    def crop_extend(self: Strip, start: int, end: int, style: Style | None) -> Strip:
        return self if start <= 0 and end == self.cell_length else cropped(self, start, end, style)

    divide.__wrapped__ = divided  # type: ignore[attr-defined]
    Strip.divide, Strip.crop_extend = divide, crop_extend  # type: ignore[method-assign]


def _remember_when_asked() -> None:
    """Have a line make a memory of its own when something is first put into it.

    Textual 8 makes seven with every line, which is fourteen objects of a kilobyte, and most lines use one or two: a
    fifth of the time of a frame, and as much again for the search for garbage.
    """
    if "__getattr__" in Strip.__dict__:
        return
    whole = Strip([], 0)
    unused = {name: getattr(whole, name) for name in Strip.__slots__ if name not in ("_segments", "_cell_length")}
    rooms = {name: found._maxsize for name, found in unused.items() if isinstance(found, FIFOCache)}

    def begin(self: Strip, segments: Iterable[Segment], cell_length: int | None = None) -> None:
        self._segments = list(segments)
        self._cell_length = cell_length

    def missing(self: Strip, name: str) -> Any:
        if name not in unused:
            raise AttributeError(name)
        made = FIFOCache(rooms[name]) if name in rooms else unused[name]
        setattr(self, name, made)
        return made

    Strip.__init__, Strip.__getattr__ = begin, missing  # type: ignore[method-assign,attr-defined]
