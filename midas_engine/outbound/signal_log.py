"""Signals on record before they are sent: numbered, chained by their digests, in files that rotate."""

from __future__ import annotations

import hashlib
import json
import os
from typing import TYPE_CHECKING, Any

from midas_engine.errors import DocumentDamagedError
from midas_engine.kb.atomic import sync_folder
from midas_engine.outbound.appending import append_whole

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

FOLDER = "outbound/signals"
START = "0" * 64
FILE_BYTES = 16_000_000
MOST_FILES = 64
_MOST_PLACES = 2000


def canonical(document: Mapping[str, Any]) -> bytes:
    """A document as its digest is taken: JSON with sorted keys and no blanks.

    Example:
        >>> canonical({"b": 1, "a": None})
        b'{"a":null,"b":1}'
    """
    return json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def digest_of(document: Mapping[str, Any]) -> str:
    """SHA-256 over everything in a record but its own digest."""
    return hashlib.sha256(canonical({k: v for k, v in document.items() if k != "digest"})).hexdigest()


class SignalLog:
    """The records of a base. One process appends; any may read.

    Args:
        folder: Where they are; made with the first record.

    Attributes:
        sequence: Number of the newest record; 0: there is none.
        head: Its digest.
        bar: Its bar, ISO; empty: none.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.sequence, self.head, self.bar = 0, START, ""
        self._places: dict[int, tuple[Path, int]] = {}

    def open(self) -> None:
        """Find the end; a line that a crash left unfinished is cut off, for it was sent to nobody.

        Raises:
            DocumentDamagedError: The newest record is not what its digest says.
        """
        files = self._files()
        self.sequence, self.head, self.bar = 0, START, ""
        self._places.clear()
        while files:
            path = files.pop()
            data = path.read_bytes()
            whole = data[: data.rfind(b"\n") + 1]
            if len(whole) < len(data):
                os.truncate(path, len(whole))
            if whole:
                last = _read(whole.splitlines()[-1], path)
                self.sequence, self.head, self.bar = int(last["sequence"]), str(last["digest"]), str(last["bar"])
                return
            path.unlink()

    def append(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Give a record its number, the digest of the one before and its own, and put it through a power cut."""
        record = {**body, "sequence": self.sequence + 1, "previous": self.head}
        record["digest"] = digest_of(record)
        files = self._files()
        path = files[-1] if files else None
        if path is None or path.stat().st_size >= FILE_BYTES:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            path = self.folder / f"{record['sequence']:012d}.jsonl"
            for old in files[: -MOST_FILES + 1]:
                old.unlink()
        fresh = not path.exists()
        append_whole(path, canonical(record) + b"\n")
        if fresh:
            sync_folder(path.parent)
        self.sequence, self.head, self.bar = record["sequence"], record["digest"], str(record["bar"])
        return record

    def since(self, sequence: int) -> Iterator[dict[str, Any]]:
        """Records after number `sequence`, oldest first; those that were kept."""
        files = self._files()
        begins = [int(path.stem) for path in files]
        known = self._places.get(sequence)
        for place, path in enumerate(files):
            if place + 1 < len(files) and begins[place + 1] <= sequence + 1:
                continue
            offset = known[1] if known is not None and known[0] == path else 0
            with path.open("rb") as file:
                file.seek(offset)
                for line in file:
                    if line.endswith(b"\n"):
                        record = _read(line, path)
                        offset += len(line)
                        self._remember(record["sequence"], path, offset)
                        if record["sequence"] > sequence:
                            yield record

    def _remember(self, sequence: int, path: Path, offset: int) -> None:
        """Where the record after this one begins: who reads on does not read all of the file at each bar."""
        self._places[sequence] = (path, offset)
        if len(self._places) > _MOST_PLACES:
            for old in list(self._places)[: _MOST_PLACES // 2]:
                self._places.pop(old, None)

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob("[0-9]*.jsonl")) if self.folder.is_dir() else []


def _read(line: bytes, path: Path) -> dict[str, Any]:
    try:
        record: dict[str, Any] = json.loads(line)
        if digest_of(record) == record["digest"]:
            return record
    except (ValueError, KeyError, TypeError, AttributeError):
        pass
    raise DocumentDamagedError(f"{path.name} holds a record that is not what its digest says", hint="restore it")
