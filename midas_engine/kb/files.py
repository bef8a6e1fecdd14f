"""The knowledge base's folder: every path checked, links never followed, reads cached by file identity."""

from __future__ import annotations

import contextlib
import errno
import heapq
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from midas_engine.clock import WallClock
from midas_engine.errors import KnowledgeBaseError
from midas_engine.kb.atomic import (
    FOLDER_MODE,
    MAX_DOCUMENT_BYTES,
    atomic_write,
    disk_error,
    durable_unlink,
    is_temp,
    read_bytes,
    sweep_temps,
    sync_folder,
)
from midas_engine.redaction import redact

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

T = TypeVar("T")
Signature = tuple[int, int, int, int]

# A file may be written again within one tick of the file system's clock, and look unchanged: as git does with its
# index, what changed this recently is read again.
_RACY_NS = 50_000_000
MAX_ENTRIES = 50_000
MAX_LEVELS = 6


@dataclass(frozen=True, slots=True)
class Entry:
    """One file in the base, as the folder lists it. `kind` is "file", "folder", "link" or "special"."""

    path: str
    kind: str
    size: int
    changed_ns: int
    signature: Signature


class FileTree:
    """Reads and writes below one root by relative POSIX paths.

    Args:
        root: The folder; it may be a symbolic link itself, nothing below it may.

    Attributes:
        left_out: Folder -> how many of its entries the last listing left out, because there were too many.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._wall = WallClock()
        self._identity: tuple[int, int] | None = None
        self._cache: dict[tuple[str, object], tuple[Signature, object]] = {}
        self.left_out: dict[str, int] = {}

    def anchor(self) -> None:
        """Remember which folder this is, so that a swapped one is noticed before it is written to."""
        info = os.stat(self.root)
        self._identity = (info.st_dev, info.st_ino)

    def check_anchor(self) -> None:
        """Refuse to write into a folder that replaced the one that was opened.

        Raises:
            KnowledgeBaseError: The folder is gone or another one stands in its place.
        """
        try:
            info = os.stat(self.root)
        except OSError as error:
            raise disk_error(error, f"{self.root} cannot be used") from error
        if self._identity is not None and (info.st_dev, info.st_ino) != self._identity:
            raise KnowledgeBaseError(
                f"{self.root} was replaced by another folder while it was open",
                hint="restart Midas to use the folder that is there now",
            )

    def _locate(self, path: str) -> Path:
        here = self.root
        for part in path.split("/")[:-1]:
            here = here / part
            with contextlib.suppress(FileNotFoundError):
                if stat.S_ISLNK(os.lstat(here).st_mode):
                    raise KnowledgeBaseError(
                        f"{here.relative_to(self.root)} is a symbolic link, and links are not followed",
                        hint="replace it by a real folder",
                    )
        return self.root / path

    def read(self, path: str, *, limit: int = MAX_DOCUMENT_BYTES) -> bytes:
        """The bytes of a document; see `read_bytes` for what is refused."""
        return read_bytes(self._locate(path), limit=limit)

    def write(self, path: str, data: bytes, *, replace: bool = True) -> Path:
        """Write a document atomically, making its folders."""
        target = self._locate(path)
        self.check_anchor()
        self.make_folder(str(Path(path).parent))
        atomic_write(target, _without_secrets(data), replace=replace)
        return target

    def lost(self) -> str:
        """Why the folder that was opened is not there any more; empty while it is."""
        try:
            self.check_anchor()
        except KnowledgeBaseError as error:
            return error.message
        return ""

    def remove(self, path: str) -> None:
        """Remove a document durably; nothing there is fine."""
        self.check_anchor()
        durable_unlink(self._locate(path))

    def make_folder(self, path: str) -> None:
        """Make a folder and its parents below the root, private and durable."""
        here = self.root
        for part in Path(path).parts:
            parent, here = here, here / part
            try:
                os.mkdir(here, FOLDER_MODE)
            except FileExistsError:
                if not stat.S_ISDIR(os.lstat(here).st_mode):
                    raise KnowledgeBaseError(
                        f"{here.relative_to(self.root)} is in the way: a folder belongs there",
                        hint="move that file elsewhere",
                    ) from None
            except OSError as error:
                raise disk_error(error, f"the folder {here} was not made") from error
            else:
                sync_folder(parent)

    def entry(self, path: str) -> Entry | None:
        """What is at `path`, without following links; None if nothing."""
        try:
            info = os.lstat(self._locate(path))
        except (OSError, KnowledgeBaseError):
            return None
        return _entry(path, info)

    def entries(self, folder: str) -> list[Entry]:
        """The entries of one folder by name; empty when it is gone. Temporary and hidden files are left out.

        Of a folder with more than `MAX_ENTRIES` the newest are given, and `left_out` counts the others.
        """
        found: list[Entry] = []
        total = 0
        try:
            base = self._locate(f"{folder}/x").parent if folder else self.root
            if stat.S_ISLNK(os.lstat(base).st_mode) and folder:
                return []
            with os.scandir(base) as listing:
                for item in listing:
                    if item.name.startswith(".") or is_temp(item.name):
                        continue
                    with contextlib.suppress(OSError):
                        path = f"{folder}/{item.name}" if folder else item.name
                        found.append(_entry(path, item.stat(follow_symlinks=False)))
                        total += 1
                    if len(found) >= 2 * MAX_ENTRIES:
                        found = _newest(found)
        except (OSError, KnowledgeBaseError):
            return []
        if total > MAX_ENTRIES:
            found = _newest(found)
            self.left_out[folder] = total - MAX_ENTRIES
        else:
            self.left_out.pop(folder, None)
        return sorted(found, key=lambda e: e.path)

    def notices(self) -> list[str]:
        """What the listings made so far left out, in words."""
        return [
            f"{number:,} files of {folder or 'the base'} are left out: the newest {MAX_ENTRIES:,} are read"
            for folder, number in self.left_out.items()
        ]

    def walk(self, folder: str = "", levels: int = MAX_LEVELS) -> Iterator[Entry]:
        """Every entry below `folder`, depth first, folders excluded, links not followed."""
        for entry in self.entries(folder):
            if entry.kind == "folder":
                if levels > 1:
                    yield from self.walk(entry.path, levels - 1)
            else:
                yield entry

    def folder_times(self, folders: Iterable[str]) -> tuple[int, ...]:
        """When something was last added to, replaced in or removed from each folder; 0 for one that is not there."""
        found = []
        for folder in folders:
            try:
                found.append(os.stat(self.root / folder).st_mtime_ns)
            except OSError:
                found.append(0)
        return tuple(found)

    def cached(self, entry: Entry, kind: object, parse: Callable[[Entry, bytes], T]) -> T:
        """What `parse` makes of a file's bytes, remembered until the file changes.

        A read that fails is not remembered: the disk may do better next time.

        Args:
            entry: The file as its folder listed it.
            kind: Tells the parsers of one file apart.
            parse: Depends on nothing but the bytes and the entry.

        Raises:
            FileNotFoundError: It vanished.
            DocumentDamagedError: It cannot be read.
        """
        key = (entry.path, kind)
        known = self._cache.get(key)
        if known is not None and known[0] == entry.signature:
            return known[1]  # type: ignore[return-value]
        value = parse(entry, self.read(entry.path))
        age_ns = self._wall.now().timestamp() * 1e9 - entry.changed_ns
        if age_ns < 0 or age_ns > _RACY_NS:
            if len(self._cache) > 20_000:
                self._cache.clear()
            self._cache[key] = (entry.signature, value)
        return value

    def sweep(self) -> int:
        """Remove the temporary files of dead writers everywhere below the root; call it under the lock."""
        removed = sweep_temps(self.root) + sweep_temps(self.root / ".midas")
        stack = [("", 0)]
        while stack:
            folder, level = stack.pop()
            for entry in self.entries(folder):
                if entry.kind == "folder" and level < MAX_LEVELS:
                    removed += sweep_temps(self.root / entry.path)
                    stack.append((entry.path, level + 1))
        return removed


def _without_secrets(data: bytes) -> bytes:
    """A document's bytes as they may be kept; a picture's stay."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return data
    return redact(text).encode("utf-8")


def _newest(entries: list[Entry]) -> list[Entry]:
    """The newest `MAX_ENTRIES`; of equally new ones those whose names come last, so that it is always the same ones."""
    return heapq.nlargest(MAX_ENTRIES, entries, key=lambda e: (e.changed_ns, e.path))


def _entry(path: str, info: os.stat_result) -> Entry:
    mode = info.st_mode
    kind = (
        "file"
        if stat.S_ISREG(mode)
        else "folder"
        if stat.S_ISDIR(mode)
        else "link"
        if stat.S_ISLNK(mode)
        else "special"
    )
    return Entry(
        path, kind, info.st_size, info.st_mtime_ns, (info.st_ino, info.st_mtime_ns, info.st_ctime_ns, info.st_size)
    )


def make_root(path: Path) -> None:
    """Make the base's folder; one that is there stays, and one that cannot be written may still be read.

    Raises:
        KnowledgeBaseError: It cannot be made, or a file is in the way.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        if not (isinstance(error, FileExistsError) or error.errno in (errno.EROFS, errno.EACCES)) or not path.is_dir():
            reason = "a file is in the way" if isinstance(error, FileExistsError) else error.strerror or str(error)
            raise KnowledgeBaseError(f"the folder {path} cannot be made: {reason}", hint="give another --kb") from error
