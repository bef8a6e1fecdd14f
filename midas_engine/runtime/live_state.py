"""Where a live watch keeps the monitor's state: in the journal, apart for each feed and its symbols."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from midas_engine.monitor.state.recovery import BAR_KEY, SNAPSHOT_KEY
from midas_engine.runtime.outage_teller import OUTAGE_KEY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from midas_engine.journal import Journal

_BARS = BAR_KEY.partition("{")[0]


class StateOf:
    """The journal's states, the monitor's own kept apart by feed and symbols: arrays of other symbols do not fit."""

    def __init__(self, journal: Journal, feed: str, symbols: Sequence[str]) -> None:
        self._journal = journal
        self.path = journal.path
        self.fresh_notices, self.actions = journal.fresh_notices, journal.actions
        self._mark = hashlib.sha256("\n".join((feed, *symbols)).encode()).hexdigest()[:12]

    def _key(self, key: str) -> str:
        own = key.startswith((SNAPSHOT_KEY, _BARS, OUTAGE_KEY))
        return f"live/{self._mark}/{key}" if own else key  # kills hold whatever the feed

    @property
    def notices(self) -> Sequence[str]:
        """What the journal lost."""
        return self._journal.notices

    def put_state(self, key: str, blob: bytes, *, durable: bool = False) -> None:
        """Keep `blob` under this feed's `key`."""
        self._journal.put_state(self._key(key), blob, durable=durable)

    def get_state(self, key: str) -> bytes | None:
        """What was kept under this feed's `key`."""
        return self._journal.get_state(self._key(key))
