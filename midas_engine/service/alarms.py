"""The alarms file: every alarm once, in order, whatever stops the process in between."""

from __future__ import annotations

import json
import os
from collections import deque
from typing import TYPE_CHECKING, Any

from midas_engine.events import AlertRaised, AlertResolved
from midas_engine.jsonable import plain
from midas_engine.outbound.appending import add_whole
from midas_engine.regular import open_regular

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from midas_engine.events import Event

MOST_WAITING = 10_000


class AlarmsFile:
    """Appends what began and what ended, a JSON line each, before the next bar is taken.

    A monitor that is started again publishes the events of its newest bar once more, with the ids they had: what the
    file has is not written twice. A line that a dying writer left unfinished is cut off; its event comes again.

    Args:
        path: The file.
        fault: Told once per stretch in which it cannot be written; what waits is written when it can be.

    Raises:
        OSError: It cannot be opened.
    """

    def __init__(self, path: Path, fault: Callable[[str, str], None]) -> None:
        self._fault = fault
        self._handle = open_regular(path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
        self._known: set[tuple[str, str]] = set()
        self._waiting: deque[bytes] = deque(maxlen=MOST_WAITING)
        self._failing = False
        self._learn()

    def _learn(self) -> None:
        """What is in the file already; the end of an unfinished line goes."""
        whole = 0
        with os.fdopen(os.dup(self._handle), "rb") as file:
            file.seek(0)
            for line in file:
                if not line.endswith(b"\n"):
                    break
                whole += len(line)
                try:
                    row = json.loads(line)
                    self._known.add((str(row["what"]), str(row["id"])))
                except (ValueError, KeyError, TypeError):
                    continue
        os.ftruncate(self._handle, whole)

    def take(self, event: Event) -> None:
        """Write an alarm; other events are passed by. For the bus's tap: one short write, and never an error."""
        if not isinstance(event, AlertRaised | AlertResolved):
            return
        what = "raised" if isinstance(event, AlertRaised) else "resolved"
        if (what, event.alert.id) in self._known:
            return
        self._known.add((what, event.alert.id))
        row: dict[str, Any] = {"what": what, "id": event.alert.id, "at": event.at.isoformat()}
        row |= {k: v for k, v in plain(event.alert).items() if k not in row}
        self._waiting.append(json.dumps(row, ensure_ascii=True, allow_nan=False).encode() + b"\n")
        self._write()

    def _write(self) -> None:
        try:
            while self._waiting:
                add_whole(self._handle, self._waiting[0])
                self._waiting.popleft()
        except OSError as error:
            if not self._failing:
                self._fault(
                    f"the alarms file cannot be written: {error}", "free some space; what waits is written then"
                )
            self._failing = True
        else:
            self._failing = False

    @property
    def failing(self) -> bool:
        """Whether the disk refused the newest line."""
        return self._failing

    def close(self) -> None:
        """Close the file; twice is fine."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1
