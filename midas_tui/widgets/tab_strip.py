"""The columns of a narrow screen as tabs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from midas_tui.widgets.bars import Line, styled

if TYPE_CHECKING:
    from collections.abc import Mapping

    from midas_tui.widgets.pressable import Part


class TabStrip(Line):
    """Name and count of each tab, the current one underlined; a click tells which."""

    DEFAULT_CSS = "TabStrip { background: $surface; }"

    def update_tabs(self, counts: Mapping[str, str], current: str, bar: str) -> None:
        """Draw the tabs with `bar` between them."""
        parts: list[Part] = []
        for name, count in counts.items():
            parts += [(f" {name} {count} ", "accent bold underline" if name == current else "muted", f"tab {name}")]
            parts.append((bar, "frame", ""))
        self.place(parts[:-1])
        self.show(styled(*((text, role) for text, role, _ in parts[:-1])))
