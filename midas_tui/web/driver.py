"""The served program's side of the pipes: it ends when its server does, however that ended."""

from __future__ import annotations

import os
import signal
import threading
from functools import partial
from typing import TYPE_CHECKING, Any

from textual import events, messages
from textual.drivers.web_driver import WebDriver

if TYPE_CHECKING:
    from textual.message import Message

# The engine closes in order within this, or is ended: nobody sees it any more.
LEAVE_SECONDS = 8.0


class DoorDriver(WebDriver):
    """Textual's web driver, minding its server."""

    def __init__(self, *args: Any, **given: Any) -> None:
        super().__init__(*args, **given)
        self._write = partial(_write_all, self.fileno)

    def process_message(self, message: Message) -> None:
        """Sizes come from the server, which bounds them; a size among the keys is the browser's invention."""
        if not isinstance(message, events.Resize):
            super().process_message(message)

    def run_input_thread(self) -> None:
        """Read until the server closes the pipe or is gone; then leave."""
        super().run_input_thread()
        if self.exit_event.is_set():
            return
        last = threading.Timer(LEAVE_SECONDS, _end_all)
        last.daemon = True
        last.start()
        self.send_message(messages.ExitApp())


def _write_all(file: int, data: bytes) -> int:
    """Write the whole packet. A server that is gone reads nothing; the input thread sees its end and leaves."""
    rest = memoryview(data)
    try:
        while rest:
            rest = rest[os.write(file, rest) :]
    except OSError:
        pass
    return len(data)


def _end_all() -> None:
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)
