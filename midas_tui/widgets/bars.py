"""The three single lines: status on top, replay above the footer, hints at the bottom."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from textual.content import Content
from textual.widget import Widget

from midas_tui.formats import clock_time
from midas_tui.sanitise import clean

if TYPE_CHECKING:
    from textual.screen import Screen

    from midas_engine.events import ReplayMoved
    from midas_tui.theme import Glyphs


class Line(Widget):
    """One line of content."""

    DEFAULT_CSS = "Line { height: 1; width: 1fr; }"

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)
        self._content = Content("")

    def show(self, content: Content) -> None:
        """Draw this, if it is news."""
        if content != self._content or content.spans != self._content.spans:
            self._content = content
            self.refresh()

    def render(self) -> Content:
        """What `show` was given, cut to the width."""
        return self._content.truncate(self.size.width)


def styled(*parts: tuple[str, str]) -> Content:
    """Content of (text, role) pairs; text is data, never markup."""
    return Content.assemble(*((clean(text, newlines=False), f"${role}" if role else "") for text, role in parts))


class StatusBar(Line):
    """Source, state, regime, clock, features, alerts, queue: on every screen, never hidden by accident."""

    DEFAULT_CSS = "StatusBar { background: $panel; color: $foreground; }"

    def update_status(
        self,
        *,
        badge: str,
        source: str,
        at: str,
        regime: str,
        features: int,
        criticals: int,
        warnings: int,
        note: str,
        glyphs: Glyphs,
    ) -> None:
        """Draw the newest state."""
        wide = self.size.width >= 100
        self.show(
            styled(
                (" midas ", "accent"),
                (f" {badge} ", "warn" if badge.startswith(("REPLAY", "READ")) else "ok"),
                (f" {source} " if wide else " ", "muted"),
                (f" {at} ", ""),
                (f" {'regime ' if wide else ''}{regime or '--'} ", ""),
                (f" {features} {'features' if wide else 'feats'} ", ""),
                (f" {glyphs.critical}{criticals}", "crit" if criticals else "muted"),
                (f" {glyphs.warning}{warnings} ", "warn" if warnings else "muted"),
                (f" {note}", "muted"),
            )
        )


class ReplayBar(Line):
    """Speed, position and where the alerts are."""

    DEFAULT_CSS = "ReplayBar { background: $surface; color: $foreground; }"

    def update_replay(self, moved: ReplayMoved, glyphs: Glyphs) -> None:
        """Draw the newest position."""
        state = glyphs.play if moved.playing else glyphs.paused
        left = f" {state} x{moved.speed:g} "
        right = f" {moved.position}/{moved.total} bars  {clock_time(moved.bar_at)} "
        keys = "  space play  ,. step  -+ speed  [] alert  @ go to  0 restart" if self.size.width >= 110 else ""
        room = max(4, self.size.width - len(left) - len(right) - len(keys) - 2)
        filled = round(room * moved.position / moved.total) if moved.total else 0
        bar = glyphs.full_block * filled + glyphs.light_block * (room - filled)
        self.show(styled((left, "accent"), (bar, "muted"), (right, ""), (keys, "muted")))


class FooterLine(Line):
    """Keys of the focused pane that fit, always ending with `? help`."""

    DEFAULT_CSS = "FooterLine { background: $panel; color: $foreground; }"

    def update_hints(self, hints: list[tuple[str, str]]) -> None:
        """Draw (key, what it does) pairs, as many as fit."""
        tail = ("?", "help")
        room = self.size.width - len(" ? help ")
        parts: list[tuple[str, str]] = []
        for key, what in hints:
            cost = len(key) + len(what) + 3
            if cost > room:
                break
            room -= cost
            parts += [(f" {key}", "accent"), (f" {what} ", "")]
        parts += [(f" {tail[0]}", "accent"), (f" {tail[1]}", "")]
        self.show(styled(*parts))


def live_hints(screen: Screen[Any]) -> list[tuple[str, str]]:
    """Key and description of every binding of the focused pane that can act now, pane first."""
    found: dict[str, tuple[str, str]] = {}
    for key, active in screen.active_bindings.items():
        binding = active.binding
        if binding.show and binding.description and active.enabled and binding.action not in found:
            found[binding.action] = (screen.app.get_key_display(binding) or key, binding.description)
    return list(found.values())
