"""The stylesheet that reads each piece of style once: a mode shown for the first time does not wait for all of it."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from textual.css.stylesheet import Stylesheet

from midas_tui.drawn_lines import let_lines_go

if TYPE_CHECKING:
    from textual.screen import Screen

# Pieces (one a class of widget or screen) that are kept read; there are about a hundred when every mode was shown.
_KEPT_PIECES = 1024


class KeptStylesheet(Stylesheet):
    """Textual's, but what was read stays read while the colours are the same.

    Textual reads every piece anew, 20 to 30 ms, each time a screen with styles of its own is first shown, and twice
    more because a new screen counts as one that missed a change of theme.
    """

    def __init__(self, *, variables: dict[str, str] | None = None) -> None:
        let_lines_go()
        super().__init__(variables=variables)
        self._parse_cache.grow(_KEPT_PIECES)

    def set_variables(self, variables: dict[str, str]) -> None:
        """Take the colours; the same ones change nothing."""
        if variables != self._variables:
            super().set_variables(variables)

    def reparse(self) -> None:
        """Read what was not read yet; StylesheetError or StylesheetParseError leave the old rules in force."""
        self.parse()

    def expect(self, screen: type[Screen[Any]]) -> None:
        """Read the styles of a screen before it is first shown, under the name by which Textual will look for them."""
        scope = screen._css_type_name if screen.SCOPED_CSS else ""
        self.add_source(screen.CSS, read_from=(inspect.getfile(screen), f"{screen.__name__}.CSS"), scope=scope)
        self.parse()
