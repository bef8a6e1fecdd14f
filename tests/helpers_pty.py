"""The real program in a real terminal: a pseudo-terminal, its bytes, and the screen they draw."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import tempfile
import termios
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pyte

from helpers_patience import PATIENCE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

ROOT = Path(__file__).resolve().parent.parent
# What Textual asks a terminal for and pyte does not know: queries with a private marker (CSI > u, CSI ? $ p).
_QUERIES = re.compile(rb"\x1b\[[<=>?][0-9;]*(?:u|\$p)")


class Terminal:
    """`midas-tui` (or another `program` of Python) in a terminal of `columns` x `lines`; a context manager.

    Attributes:
        raw: Every byte the program wrote.
        screen: What a terminal shows after them.
    """

    def __init__(
        self,
        args: Sequence[str],
        *,
        columns: int = 80,
        lines: int = 24,
        environ: Mapping[str, str] | None = None,
        program: Sequence[str] = ("-m", "midas_tui"),
    ) -> None:
        self.columns, self.lines = columns, lines
        self.screen = pyte.Screen(columns, lines)
        self._stream = pyte.ByteStream(self.screen)
        self.raw = bytearray()
        self.status: int | None = None
        clean = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "COLUMNS", "LINES")}
        clean |= {"PYTHONPATH": str(ROOT), "TERM": "xterm-256color", "COLORTERM": "truecolor", "LANG": "C.UTF-8"}
        # What is chosen in one terminal is remembered for no other test.
        self._state = tempfile.TemporaryDirectory()
        clean |= {"XDG_STATE_HOME": self._state.name, **(environ or {})}
        command = [sys.executable, *program, *args]
        self.pid, self.file = pty.fork()
        if self.pid == 0:
            os.chdir(ROOT)
            os.execve(sys.executable, command, clean)
        self.resize(columns, lines)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        if self.status is None:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.file)
        self._state.cleanup()

    def resize(self, columns: int, lines: int) -> None:
        """Change the size; the program is told by the kernel."""
        fcntl.ioctl(self.file, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self.screen.resize(lines, columns)

    def send(self, text: str) -> None:
        """Type."""
        os.write(self.file, text.encode())

    def read(self, seconds: float = 0.1) -> bool:
        """Take what the program wrote within `seconds`; False when it has ended."""
        ready, _, _ = select.select([self.file], [], [], seconds)
        if not ready:
            return True
        try:
            chunk = os.read(self.file, 65536)
        except OSError:
            return False
        self.raw += chunk
        self._stream.feed(_QUERIES.sub(b"", chunk))
        return bool(chunk)

    def press_until(self, keys: str, text: str, limit: float = PATIENCE_SECONDS) -> None:
        """Type `keys` once a moment, as somebody who looks in between, until the screen holds `text`."""
        end = time.monotonic() + limit
        while text not in self.text:
            assert time.monotonic() < end, f"{text!r} never came:\n{self.text}"
            self.send(keys)
            self.drain(0.3)

    def until(self, ready: Callable[[str], bool] | str, limit: float = PATIENCE_SECONDS) -> str:
        """Read until the screen's text satisfies `ready` (or holds that string); the text.

        Raises:
            AssertionError: It did not within `limit` seconds.
        """
        end = time.monotonic() + limit
        while time.monotonic() < end:
            alive = self.read()
            text = self.text
            if ready in text if isinstance(ready, str) else ready(text):
                return text
            if not alive:
                break
        raise AssertionError(f"the screen never showed {ready!r}:\n{self.text}")

    def drain(self, seconds: float) -> None:
        """Read for `seconds`."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and self.read(0.05):
            pass

    def wait(self, limit: float = PATIENCE_SECONDS) -> int:
        """Read until the program ends; its exit code (negative: the signal that ended it)."""
        end = time.monotonic() + limit
        while time.monotonic() < end:
            self.read(0.05)
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = os.waitstatus_to_exitcode(status)
                return self.status
        raise AssertionError(f"midas-tui did not end within {limit} s:\n{self.text}")

    @property
    def text(self) -> str:
        """The screen as text."""
        return "\n".join(line.rstrip() for line in self.screen.display)
