"""Changes of several files that happen together or not at all.

The moment the pending file is in place the change has happened: readers see through it, and
whoever next holds the lock carries it out. Each step may be repeated, so a crash anywhere is
repaired by starting over. A finished change waits in `.midas/unjournalled` until the pipeline has
put it into the journal, so a journal that cannot be written loses nothing either.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from midas_engine.errors import DocumentDamagedError, KnowledgeBaseError
from midas_engine.kb.atomic import atomic_write, disk_error, durable_unlink, read_bytes, sync_folder
from midas_engine.kb.names import check_relative
from midas_engine.regular import open_regular

if TYPE_CHECKING:
    from collections.abc import Mapping

    from midas_engine.kb.files import FileTree

_FOLDER = ".midas"
_LIMIT = 20_000_000


@dataclass(frozen=True, slots=True)
class Change:
    """Files to write (path -> text) or remove (path -> None), and what the journal will say about it."""

    id: str
    files: Mapping[str, str | None]
    note: Mapping[str, Any] = field(default_factory=dict)


def digest(data: bytes | str | None) -> str:
    """The hash by which undo recognises a file; empty for a file that is not there."""
    if data is None:
        return ""
    return hashlib.sha256(data.encode() if isinstance(data, str) else data).hexdigest()[:32]


class Transactions:
    """Commits changes below one file tree. Every method that writes needs the store's lock."""

    def __init__(self, tree: FileTree) -> None:
        self._tree = tree
        self._folder = tree.root / _FOLDER
        self._pending = self._folder / "pending.json"
        self._spool = self._folder / "unjournalled"

    def token(self) -> bytes:
        """Changes with every commit: two equal readings frame a consistent look at the files."""
        try:
            return read_bytes(self._folder / "sequence", limit=64)
        except (FileNotFoundError, DocumentDamagedError):
            return b""

    def pending(self) -> Change | None:
        """The change that was decided and is not carried out to the end yet.

        Raises:
            DocumentDamagedError: The pending file does not match its checksum.
        """
        try:
            return _decode(read_bytes(self._pending, limit=_LIMIT))
        except FileNotFoundError:
            return None

    def commit(self, files: Mapping[str, str | None], note: Mapping[str, Any]) -> Change:
        """Carry out a change. When this returns, it is on disk, whole.

        Raises:
            KnowledgeBaseError: The disk refused. Before the decision nothing has changed; after it
                the change stands and is carried out by the next holder of the lock.
        """
        self.recover()
        # A text that cannot be encoded must fail here, before the decision.
        texts = {check_relative(p): None if t is None else t.encode().decode() for p, t in files.items()}
        change = Change(secrets.token_hex(8), texts, note)
        before = {path: self._digest_on_disk(path) for path in change.files}
        for path in change.files:
            self._tree.make_folder(path.rpartition("/")[0])
        self._tree.make_folder(_FOLDER)
        self._tree.make_folder(f"{_FOLDER}/unjournalled")
        self._tree.check_anchor()
        self._stamp()
        atomic_write(self._pending, _encode(change))
        try:
            # Again: who began to read after the first stamp and before the pending file was there must look once more.
            self._stamp()
            self._apply(change)
        except KnowledgeBaseError:
            if all(self._digest_on_disk(path) == known for path, known in before.items()):
                durable_unlink(self._pending)  # nothing was touched: take the decision back
            raise
        return change

    def _digest_on_disk(self, path: str) -> str:
        try:
            return digest(self._tree.read(path))
        except FileNotFoundError:
            return digest(None)

    def recover(self) -> Change | None:
        """Finish a change that a dead writer left; returns it. A damaged pending file is set aside."""
        try:
            change = self.pending()
        except DocumentDamagedError as error:
            if isinstance(error.__cause__, OSError):
                raise  # the disk cannot read it now; what was decided must not be dropped for that
            with contextlib.suppress(OSError):
                os.rename(self._pending, self._folder / f"pending-damaged-{secrets.token_hex(4)}.json")
                sync_folder(self._folder)
            return None
        if change is not None:
            self._tree.make_folder(f"{_FOLDER}/unjournalled")
            self._stamp()
            self._apply(change)
        return change

    def _stamp(self) -> None:
        # For readers that are running now; a crash may lose it, for then no reader is inside a look.
        try:
            # Not cut first: two readings of an empty file would be equal whatever came between them.
            handle = open_regular(self._folder / "sequence", os.O_WRONLY | os.O_CREAT)
            try:
                os.write(handle, secrets.token_hex(8).encode())
            finally:
                os.close(handle)
        except OSError as error:
            raise disk_error(error, f"the change was not begun: {self._folder / 'sequence'}") from error

    def _apply(self, change: Change) -> None:
        for path, text in change.files.items():
            if text is not None:
                self._tree.write(path, text.encode())
        for path, text in change.files.items():
            if text is None:
                self._tree.remove(path)
        try:
            order = f"{max((int(n[:6]) for n in os.listdir(self._spool) if n[:6].isdigit()), default=0) + 1:06d}"
            os.rename(self._pending, self._spool / f"{order}-{change.id}.json")
        except OSError as error:
            raise disk_error(error, f"the change is made but not closed: {self._spool}") from error
        sync_folder(self._spool)
        sync_folder(self._folder)

    def unjournalled(self) -> list[Change]:
        """Finished changes that the journal has not taken yet, oldest first."""
        found: list[Change] = []
        with contextlib.suppress(FileNotFoundError):
            for name in sorted(os.listdir(self._spool)):
                if name.endswith(".json") and not name.startswith("."):
                    with contextlib.suppress(DocumentDamagedError, FileNotFoundError):
                        found.append(_decode(read_bytes(self._spool / name, limit=_LIMIT)))
        return found

    def journalled(self, change: Change) -> None:
        """The journal has it: forget the copy."""
        for name in os.listdir(self._spool):
            if name.endswith(f"-{change.id}.json"):
                durable_unlink(self._spool / name)

    @property
    def idle(self) -> bool:
        """Nothing is pending and everything is in the journal."""
        try:
            return not self._pending.exists() and not any(n.endswith(".json") for n in os.listdir(self._spool))
        except FileNotFoundError:
            return True


def _encode(change: Change) -> bytes:
    body = json.dumps({"id": change.id, "files": dict(change.files), "note": dict(change.note)})
    return json.dumps({"checksum": digest(body), "change": body}).encode()


def _decode(data: bytes) -> Change:
    try:
        outer = json.loads(data)
        if digest(outer["change"]) != outer["checksum"]:
            raise DocumentDamagedError("a pending change does not match its checksum")
        body = json.loads(outer["change"])
        return Change(str(body["id"]), {check_relative(p): t for p, t in body["files"].items()}, body["note"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, KnowledgeBaseError) as error:
        if isinstance(error, DocumentDamagedError):
            raise
        raise DocumentDamagedError(f"a pending change cannot be read: {error}") from error
