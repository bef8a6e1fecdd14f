"""The terminal's driver: when the terminal itself is gone (a closed window, a lost connection), the program ends.

Textual's ends its writing thread at the first write that fails; who waits for that thread then waits for ever, and with
it the engine, which holds the base. Here what nobody can read is dropped, and the application is told to leave.
"""

from __future__ import annotations

import signal
from typing import IO, TYPE_CHECKING, Any, cast

from textual.drivers.linux_driver import LinuxDriver

from midas_tui.in_ascii import in_ascii

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.driver import Driver

    from midas_tui.shell.shell import HasShell

GONE = 128 + signal.SIGHUP
"""The exit code of a program whose terminal went away."""


class _Written:
    """A terminal to write to; `gone` is called at every write that fails, and the text is dropped.

    Args:
        file: Where it is written.
        gone: Called where that fails.
        plain: Whether it shows nothing beyond ASCII.
    """

    def __init__(self, file: IO[str], gone: Callable[[], object], *, plain: bool) -> None:
        self._file, self._gone, self._plain = file, gone, plain

    def write(self, text: str) -> int:
        """Write."""
        try:
            return self._file.write(in_ascii(text) if self._plain else text)
        except OSError:
            self._gone()
            return len(text)

    def flush(self) -> None:
        """Have what was written shown."""
        try:
            self._file.flush()
        except OSError:
            self._gone()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


class TerminalDriver(LinuxDriver):
    """Textual's, which outlives its terminal long enough to end in order."""

    _file: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Frames and signs are drawn by many; what reaches such a terminal passes here.
        plain = bool(cast("HasShell", self._app).shell.glyphs.ascii)
        self._file = _Written(self._file, self._leave, plain=plain)
        self._left = False

    def run_input_thread(self) -> None:
        """Read keys, until the end or until there is no terminal."""
        try:
            super().run_input_thread()
        except OSError:
            self._leave()

    def _leave(self) -> None:
        """Have the application exit; from any thread, and once."""
        if not self._left:
            self._left = True
            self._loop.call_soon_threadsafe(self._app.exit, GONE)


def own_driver(textuals: type[Driver]) -> type[Driver]:
    """Ours in place of Textual's for a terminal; any other (a browser's, a test's) as it is."""
    return TerminalDriver if textuals is LinuxDriver else textuals
