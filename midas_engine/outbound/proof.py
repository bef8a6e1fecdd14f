"""The proof: what was said at each bar, committed in a chain before its outcome could be known, its outcome after.

An entry is a line of JSON with its number (`n`), the time it was written (`at`), the digest of the one before
(`previous`) and its own. Three kinds: `spec` (a feature's name, version and expression), `signals` (a bar's values, as
one digest per feature) and `label` (the returns of the bar after, as one digest). Nobody can change an entry without
changing every digest behind it; who kept a later digest, the head, can tell a chain that was made anew.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from midas_engine.errors import DocumentDamagedError
from midas_engine.kb.atomic import sync_folder
from midas_engine.outbound.appending import append_whole
from midas_engine.outbound.signal_log import START, digest_of
from midas_engine.regular import open_regular

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

FILE = "outbound/proof.jsonl"
KINDS = ("spec", "signals", "label")
_DIGITS = 8


def values_digest(values: Iterable[float | None]) -> str:
    """Digest of one number a symbol: eight digits of each, nothing where there is none.

    Eight, so that another machine, whose last bits differ, finds the same; by way of the twelve of the record.

    Example:
        >>> values_digest([0.1 + 0.2, None]) == values_digest([0.3, float("nan")])
        True
        >>> values_digest([0.0]) == values_digest([-0.0]), values_digest([0.0]) == values_digest([None])
        (True, False)
    """
    texts = ["" if v is None or not math.isfinite(v) else f"{float(f'{v + 0.0:.12g}'):.{_DIGITS}g}" for v in values]
    return hashlib.sha256(",".join(texts).encode()).hexdigest()


def chain_bytes(entry: Mapping[str, Any]) -> bytes:
    """An entry as it stands in the file."""
    return json.dumps(entry, sort_keys=True, separators=(",", ":"), allow_nan=False).encode() + b"\n"


@dataclass(frozen=True, slots=True)
class Head:
    """The end of a chain at one moment: number and digest of its last entry."""

    n: int
    digest: str

    def __str__(self) -> str:
        return f"{self.n}:{self.digest}"


def read_head(text: str) -> Head | None:
    """A head as it is printed; None when the text is none."""
    number, _, digest = text.strip().partition(":")
    return Head(int(number), digest) if number.isdecimal() and len(digest) == 64 else None


class ProofChain:
    """The chain of a base. One process appends; any may read.

    Args:
        path: The file; it is made with the first entry.

    Attributes:
        head: Its end.
        written: When its last entry was written, ISO; empty: it has none.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.head = Head(0, START)
        self.specs: dict[str, str] = {}
        self.last: dict[str, str] = {}
        self.written = ""

    def open(self) -> None:
        """Find the end; a line that a crash left unfinished is cut off.

        Raises:
            DocumentDamagedError: An entry is not what its digest says.
        """
        self.head, self.specs, self.last, self.written = Head(0, START), {}, {}, ""
        if not self.path.exists():
            return
        data = self.path.read_bytes()
        whole = data.rfind(b"\n") + 1
        if whole < len(data):
            os.truncate(self.path, whole)
        for entry in self.entries():
            self._follow(entry)

    def entries(self) -> Iterator[dict[str, Any]]:
        """Every entry, oldest first."""
        with os.fdopen(open_regular(self.path, os.O_RDONLY), "rb") as file:
            for number, line in enumerate(file, 1):
                if not line.endswith(b"\n"):
                    return
                try:
                    entry: dict[str, Any] = json.loads(line)
                    sound = digest_of(entry) == entry["digest"]
                except (ValueError, KeyError, TypeError, AttributeError):
                    sound = False
                if not sound:
                    words = f"{self.path.name}, line {number}: the entry is not what its digest says"
                    raise DocumentDamagedError(words, hint="restore the file; what follows it proves nothing")
                yield entry

    def append(self, bodies: Iterable[Mapping[str, Any]]) -> None:
        """Put entries at the end, through a power cut."""
        data, head = b"", self.head
        made = []
        for body in bodies:
            entry = {**body, "n": head.n + 1, "previous": head.digest}
            entry["digest"] = digest_of(entry)
            head = Head(entry["n"], entry["digest"])
            data += chain_bytes(entry)
            made.append(entry)
        if not made:
            return
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = not self.path.exists()
        append_whole(self.path, data)
        if fresh:
            sync_folder(self.path.parent)
        for entry in made:
            self._follow(entry)

    def _follow(self, entry: Mapping[str, Any]) -> None:
        self.head, self.written = Head(int(entry["n"]), str(entry["digest"])), str(entry["at"])
        if entry["kind"] == "spec":
            self.specs[entry["feature"]] = entry["expression"]
        else:
            self.last[entry["kind"]] = entry["bar"]
