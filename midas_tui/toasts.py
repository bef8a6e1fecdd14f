"""Messages of Textual that are taken back before their time leave nothing behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.widgets._toast import Toast, ToastHolder, ToastRack

if TYPE_CHECKING:
    from textual.notifications import Notifications


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
    new = [ToastHolder(Toast(n), id=name) for name, n in wanted.items() if name not in here and not n.has_expired]
    if new:
        self.mount_all(new)
        self.call_later(self.scroll_end, animate=False, force=True)
