"""`Provenance`: where the figures of a column come from, so that a name alone proves nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

HOW = ("fetched", "imported", "recorded")
"""Asked of a venue's history, read from somebody's files, or written down from a live feed."""
CANDLES = frozenset({"open", "high", "low", "close", "volume", "quote_volume", "vwap", "returns"})
"""Columns of the bars that are foreseen themselves. A wrong price is wrong on both sides, and the doctor looks for it;
any other column may know the future, whatever it is called."""


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where the figures of one column come from.

    Attributes:
        how: "fetched", "imported" or "recorded".
        source: Who gave them: a venue, or the names of files.
        kind: What the giver says they are, such as "candles" or "funding"; empty where nobody says, and then the
            column's name is a claim, not a proof.
        at: When they were written down, UTC.

    Example:
        >>> Provenance("fetched", "binance", "candles", datetime(2026, 1, 1, tzinfo=UTC)).as_json()["at"]
        '2026-01-01T00:00:00+00:00'
    """

    how: str
    source: str
    kind: str
    at: datetime

    def __post_init__(self) -> None:
        if self.how not in HOW:
            raise ValueError(f"{self.how!r}: figures are {', '.join(HOW)}")
        if self.at.tzinfo is None:
            raise ValueError("the instant needs a time zone")

    @property
    def origin(self) -> tuple[str, str, str]:
        """What two records of the same giver have in common."""
        return self.how, self.source, self.kind

    def as_json(self) -> dict[str, str]:
        """As the manifest keeps it."""
        at = self.at.astimezone(UTC).isoformat(timespec="seconds")
        return {"how": self.how, "source": self.source, "kind": self.kind, "at": at}

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> Provenance:
        """What `as_json` wrote; ValueError, KeyError or TypeError when it is something else."""
        return cls(str(stored["how"]), str(stored["source"]), str(stored["kind"]), datetime.fromisoformat(stored["at"]))


def unproven(given: Mapping[str, Sequence[Provenance]], columns: Iterable[str]) -> tuple[str, ...]:
    """Which of `columns` nobody vouches for: not of the candles, and not fetched from a venue or recorded live.

    Args:
        given: Who gave each column, as `Panel.provenance`.
        columns: Columns that are read.

    Example:
        >>> at = datetime(2026, 1, 1, tzinfo=UTC)
        >>> given = {"funding_rate": (Provenance("fetched", "binance", "funding", at),)}
        >>> unproven(given, ("close", "funding_rate", "open_interest"))
        ('open_interest',)
    """
    proofs = {name: [p.how in ("fetched", "recorded") for p in given.get(name, ())] for name in columns}
    return tuple(name for name, found in proofs.items() if name not in CANDLES and not (found and all(found)))
