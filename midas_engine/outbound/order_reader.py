"""The far side of an order file: reads what is new, obeys it once, writes its key, and looks at the lease.

For bots that have a timer and no web server, such as a nautilus actor or a freqtrade strategy.
"""

from __future__ import annotations

import json
import os
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from midas_engine.outbound.appending import append_whole
from midas_engine.outbound.order import STOPPING, order_of
from midas_engine.regular import open_regular

if TYPE_CHECKING:
    from collections.abc import Callable

    from midas_engine.clock import Clock
    from midas_engine.outbound.order import Order


class OrderReader:
    """Obeys the orders of a file. Call `poll` every second or so.

    A key is written after its order was obeyed: one that a crash interrupts is obeyed once more, so `obey` must be able
    to close what is closed already. An order that is older than the newest about its feature is passed over.

    Args:
        path: The file that Midas writes.
        obey: Called with each order.
        clock: Judges the lease.
        lease_ends: Called once when the lease ran out: "hold" and "flatten" are the bot's own choice.

    Attributes:
        newest: The newest order about each feature, obeyed before or now.
    """

    def __init__(
        self, path: Path, obey: Callable[[Order], None], clock: Clock, lease_ends: Callable[[], None] | None = None
    ) -> None:
        self._path, self._obey, self._clock, self._lease_ends = Path(path), obey, clock, lease_ends
        self._acks = Path(f"{path}.acks")
        self._done = set(self._acks.read_text("utf-8").split()) if self._acks.exists() else set()
        self.newest: dict[str, Order] = {}
        self._offset, self._told = 0, False
        self._beat, self._heard = "", 0.0
        self._looked: float | None = None

    @property
    def stopped(self) -> frozenset[str]:
        """Features that stand still."""
        return frozenset(name for name, order in self.newest.items() if order.action in STOPPING)

    def poll(self) -> int:
        """Obey what is new; gives how many orders were obeyed."""
        obeyed = 0
        if self._done and not self._acks.exists():  # somebody moved it away: what was obeyed still was
            append_whole(self._acks, "".join(f"{key}\n" for key in sorted(self._done)).encode())
        for line in self._fresh():
            try:
                order = order_of(json.loads(line))
            except (ValueError, KeyError, TypeError):
                continue  # a line that a crash left unfinished; it is written again below
            held = self.newest.get(order.feature)
            late = held is not None and order.sequence <= held.sequence
            if not late:
                self.newest[order.feature] = order
            if order.key in self._done:
                continue
            if not late:
                self._obey(order)
                obeyed += 1
            self._note(order.key)
        return obeyed

    def lease_holds(self) -> bool:
        """Whether the lease holds, or none was ever given. Its end is told once, until the next heartbeat.

        The first look believes the wall clock. From then on a heartbeat is as old as it has been seen here: a clock
        that is set neither ends a lease nor stretches it.
        """
        try:
            text = Path(f"{self._path}.lease").read_text("utf-8")
            beat = json.loads(text)
            age = (self._clock.now() - datetime.fromisoformat(beat["at"])).total_seconds()
            seconds, moment = float(beat["seconds"]), self._clock.monotonic()
            if text != self._beat:
                most = age if self._looked is None else moment - self._looked
                self._beat, self._heard = text, moment - max(0.0, min(age, most))
            self._looked = moment
            holds = moment - self._heard <= seconds
        except FileNotFoundError:
            return True
        except (ValueError, KeyError, TypeError, OSError):
            holds = False  # what cannot be read holds nothing
        if not holds and not self._told and self._lease_ends is not None:
            self._lease_ends()
        self._told = not holds
        return holds

    def _fresh(self) -> list[bytes]:
        """Whole lines behind what was read before."""
        try:
            handle = open_regular(self._path, os.O_RDONLY)
        except FileNotFoundError:
            return []
        with os.fdopen(handle, "rb") as file:
            if os.fstat(file.fileno()).st_size < self._offset:
                self._offset = 0  # another file took its place
            file.seek(self._offset)
            data = file.read()
        whole = data[: data.rfind(b"\n") + 1]
        self._offset += len(whole)
        return whole.splitlines()

    def _note(self, key: str) -> None:
        append_whole(self._acks, f"{key}\n".encode())
        self._done.add(key)
