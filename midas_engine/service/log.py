"""The service's log: what happened, a JSON line each, without keys, rotated by size."""

from __future__ import annotations

import contextlib
import json
import logging
import logging.handlers
import os
from typing import TYPE_CHECKING

from midas_engine.events import AlertUpdated, FeatureTicked, ReplayMoved, TokensStreamed, to_dict
from midas_engine.redaction import redact
from midas_engine.regular import open_regular

if TYPE_CHECKING:
    from io import TextIOWrapper
    from pathlib import Path

    from midas_engine.events import Event

# Many a second, or kept elsewhere.
SKIPPED = (TokensStreamed, FeatureTicked, ReplayMoved, AlertUpdated)
KEPT = 3


class _Handler(logging.handlers.RotatingFileHandler):
    """Writes only to a regular file that is the user's own, and never fails the program."""

    def _open(self) -> TextIOWrapper:
        handle = open_regular(_as_path(self.baseFilename), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.fchmod(handle, 0o600)
        return os.fdopen(handle, "a", encoding="utf-8")

    failing = False

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line, and know whether the disk took it."""
        self.failing = False
        super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:
        """A full disk under the log stops nobody who watches."""
        self.failing = True


class _Lines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        """A record as one JSON line without keys."""
        fields = getattr(record, "fields", None)
        if fields is None:
            words = record.getMessage()
            if record.exc_info:
                words += "\n" + self.formatException(record.exc_info)
            fields = {"type": record.levelname.lower(), "where": record.name, "message": words}
        return redact(json.dumps(fields, ensure_ascii=True, default=str))


class ServiceLog:
    """The log of one service: its events by the bus's tap, and what libraries warn of.

    Args:
        path: The newest file; three older ones stand beside it.
        most_bytes: At which size it is rotated.

    Raises:
        OSError: It cannot be opened.
    """

    def __init__(self, path: Path, most_bytes: int) -> None:
        self._handler = _Handler(path, maxBytes=most_bytes, backupCount=KEPT, encoding="utf-8", delay=False)
        self._handler.setFormatter(_Lines())
        self._handler.setLevel(logging.WARNING)
        logging.getLogger().addHandler(self._handler)

    def take(self, event: Event) -> None:
        """Write an event; those that come many a second are passed by."""
        if isinstance(event, SKIPPED):
            return
        record = logging.LogRecord("midas", logging.WARNING, "", 0, "", None, None)
        record.fields = to_dict(event)
        self._handler.handle(record)

    @property
    def failing(self) -> bool:
        """Whether the disk refused the newest line."""
        return self._handler.failing

    def close(self) -> None:
        """Close the file; what a full disk kept from it is given up."""
        logging.getLogger().removeHandler(self._handler)
        with contextlib.suppress(OSError):
            self._handler.close()


def _as_path(name: str) -> Path:
    from pathlib import Path

    return Path(name)
