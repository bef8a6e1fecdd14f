"""Messages of Textual: their time runs from when they are seen; taken back before, they leave nothing behind."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

from textual.notifications import Notification
from textual.widgets._toast import Toast, ToastHolder, ToastRack

if TYPE_CHECKING:
    from textual.geometry import Region
    from textual.notifications import Notifications
    from textual.strip import Strip

    from midas_engine.clock import Clock


class TimedMessage(Notification):
    """A message that stands for a while after it was first drawn.

    Textual counts from when it was said, by the time of day: what was said while the loop was held, or before the
    machine's clock was put forward, was gone before anybody could read it.

    Args:
        text: What it says.
        severity: How bad it is.
        timeout: How long it stands, s.
        clock: Measures that.
    """

    def __init__(self, text: str, severity: Literal["information", "error"], timeout: float, clock: Clock) -> None:
        super().__init__(text, severity=severity, timeout=timeout)
        self._clock = clock
        self._drawn_at = math.nan

    def drawn(self) -> None:
        """It stands on the screen; only the first time counts."""
        if math.isnan(self._drawn_at):
            self._drawn_at = self._clock.monotonic()

    @property
    def time_left(self) -> float:
        """Seconds; all of them while nobody saw it."""
        return self.timeout if math.isnan(self._drawn_at) else self._drawn_at + self.timeout - self._clock.monotonic()


class TimedToast(Toast):
    """A message on the screen."""

    def __init__(self, message: TimedMessage) -> None:
        super().__init__(message)
        self._message = message

    def render_lines(self, crop: Region) -> list[Strip]:
        """Its lines, for a frame."""
        self._message.drawn()
        return super().render_lines(crop)

    def _expire(self) -> None:
        # Its timer began when it was mounted, which is before its frame; a click takes the way of Textual's own.
        if self._message.has_expired:
            super()._expire()
        else:
            self.set_timer(self._message.time_left, self._expire)


def let_toasts_go() -> None:
    """Have a message that is taken back leave the page whole; a second call changes nothing."""
    ToastRack.show = _show  # type: ignore[method-assign]


def _show(self: ToastRack, notifications: Notifications) -> None:
    """Show these messages and no others.

    Textual 8 takes the message and leaves the widget that aligned it: one, with its queue and its task, for each
    message that another one replaced, on every page that showed it, as long as the program runs.
    """
    wanted = {self._toast_id(n): n for n in notifications}
    here = {holder.id: holder for holder in self.query(ToastHolder)}
    self.display = bool(wanted)
    for name, holder in here.items():
        if name not in wanted:
            holder.remove()
    new = [ToastHolder(_toast(n), id=name) for name, n in wanted.items() if name not in here and not n.has_expired]
    if new:
        self.mount_all(new)
        self.call_later(self.scroll_end, animate=False, force=True)


def _toast(notification: Notification) -> Toast:
    return TimedToast(notification) if isinstance(notification, TimedMessage) else Toast(notification)
