"""`Segment`: what the manifest says of one Parquet file, enough to answer questions without opening it."""

from __future__ import annotations

import base64
import zlib
from dataclasses import dataclass
from typing import Any

from midas_engine.market.provenance import Provenance

_MOST_MONTH_BITS = 31 * 86_400


@dataclass(frozen=True, slots=True)
class SymbolSpan:
    """Rows of one symbol in a file.

    Attributes:
        first: Open time of its first row, seconds since 1970 UTC.
        last: Open time of its last row.
        rows: Rows.
        known: Rows whose close is known (of bars without a close: rows).
    """

    first: int
    last: int
    rows: int
    known: int


@dataclass(frozen=True, slots=True)
class ColumnNote:
    """One column of a file.

    Attributes:
        known: Rows where it has a figure.
        origins: Who gave the figures.
    """

    known: int
    origins: tuple[Provenance, ...]


@dataclass(frozen=True, slots=True)
class Segment:
    """One immutable file: rows of one venue, bar length and month. A bar of a symbol is in one segment only.

    Attributes:
        file: Path inside the store, with forward slashes.
        sha256: Of the file's bytes.
        size: Its bytes.
        rows: Its rows.
        symbols: What it has of each symbol.
        columns: What it has of each column.
        bars: Bit k is set when the k-th bar of the month has a known close of any symbol.
    """

    file: str
    sha256: str
    size: int
    rows: int
    symbols: dict[str, SymbolSpan]
    columns: dict[str, ColumnNote]
    bars: int

    def as_json(self) -> dict[str, Any]:
        """As the manifest keeps it."""
        packed = self.bars.to_bytes((self.bars.bit_length() + 7) // 8, "little")
        return {
            "file": self.file,
            "sha256": self.sha256,
            "bytes": self.size,
            "rows": self.rows,
            "symbols": {n: [s.first, s.last, s.rows, s.known] for n, s in self.symbols.items()},
            "columns": {
                n: {"known": c.known, "origins": [o.as_json() for o in c.origins]} for n, c in self.columns.items()
            },
            "bars": base64.b64encode(zlib.compress(packed)).decode(),
        }

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> Segment:
        """What `as_json` wrote; ValueError, KeyError or TypeError when it is something else."""
        unpack = zlib.decompressobj()
        bits = unpack.decompress(base64.b64decode(stored["bars"], validate=True), _MOST_MONTH_BITS // 8 + 1)
        return cls(
            str(stored["file"]),
            str(stored["sha256"]),
            int(stored["bytes"]),
            int(stored["rows"]),
            {str(n): SymbolSpan(*map(int, s)) for n, s in stored["symbols"].items()},
            {
                str(n): ColumnNote(int(c["known"]), tuple(Provenance.from_json(o) for o in c["origins"]))
                for n, c in stored["columns"].items()
            },
            int.from_bytes(bits, "little"),
        )
