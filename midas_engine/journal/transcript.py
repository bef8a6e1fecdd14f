"""The transcript of a session: what it was given, every question and reply, and how it ended, as it happened."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from midas_engine.journal.journal import Journal
    from midas_engine.journal.schema import Row

PREFIX = "transcript:"
TABLE = "model_calls"
MAX_BYTES = 200_000_000


@dataclass(frozen=True, slots=True)
class Transcripts:
    """Reads and writes the transcripts of a journal; they lie beside the costs of the calls, in the same table.

    A row is of one kind: "call" (a question and its reply), "failed" (a question without one), "answer" (what the base
    or the ledger said), "end" (how it ended, with the hash of everything that was said). Keys are redacted in all of
    them. `expire` keeps them for some days, `fit` within a size; what the calls cost stays.

    Example: `Transcripts(journal).rows("20260101-000000-ab12")`.
    """

    journal: Journal

    def append(self, session_id: str, kind: str, body: Mapping[str, Any], *, at: datetime | None = None) -> None:
        """Append a row.

        Raises:
            JournalError: The journal cannot be written, or the row is larger than a row may be.
        """
        entry = ("", at or self.journal.clock.now(), session_id, PREFIX + kind, body)
        self.journal.tables.append(TABLE, [entry])

    def rows(self, session_id: str, *kinds: str) -> Sequence[Row]:
        """The rows of a session, oldest first."""
        wanted = tuple(PREFIX + kind for kind in kinds or ("call", "failed", "answer", "end"))
        return self.journal.tables.rows(TABLE, key=session_id, kinds=wanted)

    def size(self) -> int:
        """Bytes that all transcripts take."""
        return self.journal.tables.bytes_of(TABLE, PREFIX)

    def fit(self, most_bytes: int = MAX_BYTES) -> int:
        """Remove the oldest transcripts, whole ones, until the rest fit; returns how many went."""
        return self.journal.tables.drop_oldest(TABLE, PREFIX, most_bytes)

    def expire(self, days: float) -> int:
        """Remove the transcripts whose last row is older than so many days; returns how many went. 0 keeps all."""
        if days <= 0:
            return 0
        return self.journal.tables.drop_before(TABLE, PREFIX, self.journal.clock.now() - timedelta(days=days))


def text_hash(*parts: Any) -> str:
    """SHA-256 of texts and numbers, as transcripts carry it.

    Example:
        >>> text_hash("a", "b") == text_hash("ab")
        False
    """
    return hashlib.sha256(json.dumps(parts, ensure_ascii=True).encode()).hexdigest()
