"""The three single lines: status on top, replay above the footer, hints at the bottom."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual.content import Content
from textual.message import Message

from midas_tui.formats import NOTHING, cells, clock_time, elide
from midas_tui.sanitise import clean
from midas_tui.widgets.pressable import Part, Pressable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from textual import events

    from midas_engine.events import ReplayMoved
    from midas_engine.sentence import Sentence
    from midas_tui.theme import Glyphs

WIDE = 100
# Cells of the data's name in the status line: what is left, between these.
LEAST_SOURCE, MOST_SOURCE = 12, 32
KEYS = "  space play  ,. step  -+ speed  [] alert  @ go to  0 restart"


class Line(Pressable):
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

    @property
    def text(self) -> str:
        """What stands there."""
        return self._content.plain


def styled(*parts: tuple[str, str]) -> Content:
    """Content of (text, role) pairs; text is data, never markup."""
    return Content.assemble(*((clean(text, newlines=False), f"${role}" if role else "") for text, role in parts))


@dataclass(frozen=True, slots=True)
class Status:
    """What the status line says.

    Attributes:
        badge: LIVE, OFFLINE, REPLAY x8, READ-ONLY ...
        counts: Running criticals and warnings that nobody has answered.
        unwatched: Live features that nobody watches here.
        faults: What is wrong now and what went wrong since the drawer was opened; `alarm` when the badge says it.
        note: What goes on, in a few words; `loud` when the reader must see it.
        known: Whether features and alerts were counted yet; nothing is zero before.
    """

    badge: str
    source: str
    at: datetime | None
    regime: str
    features: int
    counts: tuple[int, int]
    note: str
    loud: bool = False
    unwatched: int = 0
    faults: int = 0
    alarm: bool = False
    known: bool = True


class StatusBar(Line):
    """Source, state, regime, clock, features, alerts: on every screen, never hidden by accident."""

    DEFAULT_CSS = "StatusBar { background: $panel; color: $foreground; }"

    def update_status(self, s: Status, glyphs: Glyphs) -> None:
        """Draw the newest state."""
        wide = self.size.width >= WIDE
        features, criticals, warnings = (f"{n}" if s.known else NOTHING for n in (s.features, *s.counts))
        at = clock_time(s.at) if not wide or s.at is None else s.at.strftime("%Y-%m-%d %H:%M")
        note = f" {clean(s.note, newlines=False)} "
        parts: list[Part] = [
            (" midas " if wide else "", "accent", ""),
            (f" {s.badge} ", "crit" if s.alarm else "ok" if s.badge == "LIVE" else "warn", ""),
            (note if s.loud else "", "warn", ""),
            (f" {at} ", "", ""),
            (f" {'regime ' if wide else ''}{s.regime or '--'} ", "", ""),
            (f" {features} {'features' if wide else 'feats'}{',' if s.unwatched else ' '}", "", ""),
            (f" {s.unwatched} not watched " if s.unwatched else "", "warn", ""),
            (f" {glyphs.critical}{criticals}", "crit" if any(s.counts[:1]) else "muted", "alerts"),
            (f" {glyphs.warning}{warnings} ", "warn" if any(s.counts[1:]) else "muted", "alerts"),
            (f" !{s.faults} " if s.faults else "", "crit" if s.alarm else "warn", "log"),
            ("" if s.loud else note, "muted", ""),
        ]
        if not s.loud and sum(cells(text) for text, _, _ in parts) > self.size.width:
            parts[-1] = ("", "", "")  # whole or not at all: half of it says something else
        free = self.size.width - sum(cells(text) for text, _, _ in parts) - 2
        source = elide(clean(s.source, newlines=False), max(LEAST_SOURCE, min(free, MOST_SOURCE)), glyphs.ellipsis)
        parts.insert(2, (f" {source} " if source else "", "muted", ""))
        self.place(parts)
        self.show(styled(*((text, role) for text, role, _ in parts)))


LEVELS = {"critical": "crit", "warning": "warn", "healthy": "ok"}


class SentenceLine(Line):
    """The most important thing now, in one sentence; everything below is its evidence."""

    DEFAULT_CSS = "SentenceLine { background: $background; color: $foreground; }"

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)
        self._said: tuple[Sentence, Glyphs] | None = None

    def on_resize(self) -> None:
        """As much of it as there is room for now."""
        if self._said is not None:
            self.say(*self._said)

    def say(self, found: Sentence, glyphs: Glyphs) -> None:
        """Draw the newest one; where it is too long it loses phrases, what needs somebody last."""
        self._said = found, glyphs
        role = LEVELS.get(found.level, "muted")
        sign = glyphs.status(found.level)
        text = clean(found.within(max(0, self.size.width - 4), glyphs.ellipsis), newlines=False)
        self.place([(f" {sign} {text}", "", "alerts" if found.level in ("critical", "warning") else "")])
        self.show(styled((f" {sign} ", role), (text, role if found.level == "critical" else "")))


class ReplayBar(Line):
    """Speed, position and where the alerts are.

    Messages:
        Seek: The track was pressed, or the mouse moved along it while pressed; `position` is the bar meant.
    """

    DEFAULT_CSS = "ReplayBar { background: $surface; color: $foreground; }"

    class Seek(Message):
        """A bar of the recording was pointed at."""

        def __init__(self, position: int) -> None:
            super().__init__()
            self.position = position

        def can_replace(self, message: Message) -> bool:
            """Where the mouse was does not matter, only where it is."""
            return isinstance(message, ReplayBar.Seek)

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)
        self._track = (0, 0, 0)
        self._alert_bars: Sequence[int] = ()
        self._pointed = -1
        self._drawn: tuple[ReplayMoved, Sequence[int], Glyphs] | None = None

    def on_resize(self) -> None:
        """As wide as it is now: a recording that stands still tells nothing new."""
        if self._drawn is not None:
            self.update_replay(*self._drawn)

    def position_at(self, x: int) -> int | None:
        """The bar that cell `x` of the line stands for: its first alert's when it shows one; None off the track."""
        left, room, total = self._track
        place = x - left
        if not 0 <= place < room:
            return None
        loud = [bar for bar in self._alert_bars if int((bar - 1) * room / max(1, total)) == place]
        if loud:
            return min(loud)
        if place in (0, room - 1):
            return total if place else 0
        return round((place + 0.5) * total / room)

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """Seek there, and follow the mouse until it is let go."""
        place = event.get_content_offset(self)
        if place is not None and self.position_at(place.x) is not None:
            self._pointed = -1
            self.capture_mouse()
            self._point(place.x)

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """Drag."""
        if self.app.mouse_captured is self:
            left, room, _ = self._track
            self._point(max(left, min(left + room - 1, event.get_content_offset_capture(self).x)))

    def on_mouse_up(self) -> None:
        """Let go."""
        if self.app.mouse_captured is self:
            self.release_mouse()

    def _point(self, x: int) -> None:
        position = self.position_at(x)
        if position is not None and position != self._pointed:
            self._pointed = position
            self.post_message(self.Seek(position))

    def update_replay(self, moved: ReplayMoved, alert_bars: Sequence[int], glyphs: Glyphs) -> None:
        """Draw the newest position; `alert_bars` are the positions at which an alert was raised."""
        self._drawn = (moved, alert_bars, glyphs)
        state = glyphs.play if moved.playing else glyphs.paused
        left = f" {state} x{moved.speed:g} "
        right = f" {moved.position}/{moved.total} bars  {clock_time(moved.bar_at)} "
        keys = KEYS if self.size.width >= WIDE + 30 else ""
        room = max(4, self.size.width - len(left) - len(right) - len(keys) - 1)
        total = max(1, moved.total)
        self._track, self._alert_bars = (len(left), room, moved.total), alert_bars
        self.place([(left, "", "play")])
        filled = round(room * moved.position / total)
        loud = {min(room - 1, int((bar - 1) * room / total)) for bar in alert_bars}
        parts: list[tuple[str, str]] = [(left, "accent" if moved.playing else "warn")]
        for place in range(room):
            block = glyphs.full_block if place < filled else glyphs.light_block
            role = "muted"
            if place in loud:
                block, role = glyphs.alert_block, "warn" if place >= filled else "muted"
            if len(parts) > 1 and parts[-1][1] == role:
                parts[-1] = (parts[-1][0] + block, role)
            else:
                parts.append((block, role))
        self.show(styled(*parts, (right, ""), (keys, "muted")))


class FooterLine(Line):
    """Keys of the focused pane that fit, always ending with `? help`; a click acts as the key."""

    DEFAULT_CSS = "FooterLine { background: $panel; color: $foreground; }"

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)
        self._hints: Sequence[tuple[str, str]] = ()

    def update_hints(self, hints: Sequence[tuple[str, str]]) -> None:
        """Draw (key, what it does) pairs, as many as fit."""
        self._hints = hints
        room = self.size.width - len(" ? help ")
        parts: list[Part] = []
        for key, what in hints:
            cost = len(key) + len(what) + 3
            if cost > room:
                break
            room -= cost
            name = "mode" if what == "mode" else f"key {key}"
            parts += [(f" {key}", "accent", name), (f" {what} ", "", name)]
        parts += [(" ?", "accent", "help"), (" help", "", "help")]
        self.place(parts)
        self.show(styled(*((text, role) for text, role, _ in parts)))

    def on_resize(self) -> None:
        """As many as fit now."""
        self.update_hints(self._hints)
