"""`midas backup` and `midas restore`: a base in one file, and back. Kills that were made since a backup stay."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import secrets
import shutil
import sqlite3
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from midas_engine.errors import KnowledgeBaseError, LockTimeoutError
from midas_engine.kb.kill_file import NAME as KILLS
from midas_engine.kb.kill_file import KillFile
from midas_engine.kb.locks import StoreLock
from midas_engine.regular import obstacle, open_regular
from midas_engine.service.place import FOLDER, ROLE, Place
from midas_engine.service.standing import holder_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from midas_engine.clock import Clock

SCHEMA = 1
MANIFEST = "midas-backup.json"
JOURNAL = "journal.sqlite"
MOST_BYTES = 50_000_000_000
MOST_FILES = 200_000
MANIFEST_BYTES = 64_000_000
_PARTS = 1 << 20
# Made anew by whoever opens the base; the token and the log belong to the machine, runs are records of their own.
_NOT_KEPT = ("midas.lock", "midas.holder.lock", "monitor.lock", "monitor.holder.lock", f"{ROLE}.lock",
             f"{ROLE}.holder.lock", "journal.sqlite-wal", "journal.sqlite-shm", "journal.sqlite-journal",
             "journal.sqlite.lock")  # fmt: skip


@dataclass(frozen=True, slots=True)
class BackedUp:
    """A backup that was made."""

    path: Path
    files: int
    size: int


@dataclass(frozen=True, slots=True)
class Restored:
    """A base that was put back.

    Attributes:
        base: Where.
        files: How many files.
        kept_kills: Features killed after the backup was made, which stay killed.
        aside: Where the base that stood there before lies now; empty when there was none.
    """

    base: Path
    files: int
    kept_kills: tuple[str, ...]
    aside: str


def backup(base: Path, to: Path, clock: Clock) -> BackedUp:
    """Write a base into one compressed file, while whoever watches it goes on. Blocks.

    Raises:
        KnowledgeBaseError: There is no base, the file is there already, or the disk refuses.
    """
    if not (base / "schema.json").is_file():
        raise KnowledgeBaseError(f"there is no knowledge base at {base}", hint="--kb PATH names another")
    if os.path.lexists(to):
        raise KnowledgeBaseError(f"{to} is there already", hint="give another name; a backup is never written over")
    if not to.absolute().parent.is_dir():
        raise KnowledgeBaseError(f"there is no folder {to.parent} to write {to.name} into", hint="make it first")
    if base.resolve() in to.resolve().parents:
        hint = "give a place outside: restoring sets the whole folder aside"
        raise KnowledgeBaseError(f"{to} lies in the base that it is to save", hint=hint)
    young = to.with_name(f".{to.name}.{secrets.token_hex(4)}")
    copy = base / FOLDER / f"journal-{secrets.token_hex(4)}.copy"
    try:
        Place(base).make()
        with StoreLock(base / "midas.lock", clock=clock).hold():  # no change of several files is caught half-way
            if (base / JOURNAL).is_file():
                _copy_journal(base / JOURNAL, copy)
            count = _write(base, young, copy, clock)
        os.replace(young, to)
        return BackedUp(to, count, to.stat().st_size)
    except sqlite3.Error as error:
        hint = "any command that writes, such as `midas kb check`, salvages what can be read of it"
        if getattr(error, "sqlite_errorname", "") == "SQLITE_FULL":
            hint = f"free some space where {base} lies: the journal is copied there first"
        raise KnowledgeBaseError(f"{to} was not written: {base / JOURNAL}: {error}", hint=hint) from error
    except OSError as error:
        raise KnowledgeBaseError(f"{to} was not written: {error}", hint="nothing is left of it") from error
    finally:
        for path in (young, copy):
            with contextlib.suppress(OSError):
                path.unlink()


def _copy_journal(journal: Path, to: Path) -> None:
    """The journal as it is at one moment, though others write to it."""
    os.close(open_regular(to, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
    with contextlib.closing(sqlite3.connect(journal)) as source, contextlib.closing(sqlite3.connect(to)) as target:
        source.backup(target)


def _kept(base: Path) -> Iterator[str]:
    """Relative paths of what a backup holds, without the journal; links and special files are no part of a base."""
    for folder, folders, names in os.walk(base):
        here = Path(folder)
        if here == base:
            folders[:] = [name for name in folders if name not in (FOLDER, "runs")]
        folders[:] = sorted(name for name in folders if not (here / name).is_symlink())
        for name in sorted(names):
            path = here / name
            relative = path.relative_to(base).as_posix()
            if relative not in (*_NOT_KEPT, JOURNAL) and not obstacle(path):
                yield relative
    if (base / FOLDER / "alarms.jsonl").is_file():
        yield f"{FOLDER}/alarms.jsonl"


def _write(base: Path, to: Path, journal: Path, clock: Clock) -> int:
    found: dict[str, tuple[int, str]] = {}
    places = {relative: base / relative for relative in _kept(base)}
    if journal.is_file():
        places[JOURNAL] = journal
    # kills go in last: one that falls meanwhile is rather in it than not
    order = sorted(places, key=lambda name: (name == KILLS, name))
    handle = open_regular(to, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    with os.fdopen(handle, "wb") as raw:
        with tarfile.open(fileobj=raw, mode="w:gz", compresslevel=5) as tar:
            for name in order:
                found[name] = _add(tar, name, places[name])
            manifest = {"schema": SCHEMA, "made": clock.now().isoformat(), "base": base.name, "files": found}
            body = json.dumps(manifest).encode()
            info = tarfile.TarInfo(MANIFEST)
            info.size, info.mode = len(body), 0o600
            tar.addfile(info, io.BytesIO(body))
        raw.flush()
        os.fsync(raw.fileno())
    return len(found)


def _add(tar: tarfile.TarFile, name: str, path: Path) -> tuple[int, str]:
    """A file as it is now: read once, so that what is hashed is what is kept."""
    with os.fdopen(open_regular(path, os.O_RDONLY), "rb") as file:
        size = os.fstat(file.fileno()).st_size
        counted = _Counted(file, size)
        info = tarfile.TarInfo(name)
        info.size, info.mode = size, 0o600
        tar.addfile(info, counted)
    return size, counted.digest.hexdigest()


class _Counted:
    """Reads so many bytes and no more, though the file grows; those that lack are zeros no hash forgives."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self._file, self._left = file, size
        self.digest = hashlib.sha256()

    def read(self, count: int = -1) -> bytes:
        """The next bytes."""
        wanted = self._left if count < 0 else min(count, self._left)
        data = self._file.read(wanted)
        if len(data) < wanted:
            raise OSError("a file became shorter while it was read")
        self._left -= len(data)
        self.digest.update(data)
        return data


def restore(source: Path, base: Path, clock: Clock) -> Restored:
    """Put a backup in the place of a base, which is set aside. Kills made since stay. Blocks.

    Raises:
        KnowledgeBaseError: It is no sound backup, the base is in use, or the disk refuses; nothing has changed then.
    """
    if os.path.lexists(base) and not base.is_dir():
        raise KnowledgeBaseError(f"{base} is no folder", hint="give another --kb")
    base = Path(os.path.abspath(base))  # "." has no name beside which another may lie
    other = base.is_dir() and any(base.iterdir()) and not any((base / name).exists() for name in ("schema.json", KILLS))
    if other or not base.name:
        raise KnowledgeBaseError(f"{base} holds other things and no knowledge base", hint="give another --kb")
    refuse_live(base)
    young = base.with_name(f"{base.name}.restoring-{secrets.token_hex(4)}")
    try:
        young.mkdir(mode=0o700, parents=True)
        count = _unpack(source, young)
        kept = _merge_kills(base, young)
        refuse_live(base)
        aside = ""
        if base.is_dir() and any(base.iterdir()):
            place = base.with_name(f"{base.name}.before-{clock.now():%Y%m%dT%H%M%S}-{secrets.token_hex(2)}")
            os.rename(base, place)
            aside = str(place)
        elif base.is_dir():
            base.rmdir()
        os.rename(young, base)
        return Restored(base, count, kept, aside)
    except (OSError, tarfile.TarError, EOFError) as error:
        raise KnowledgeBaseError(f"{source} cannot be restored: {error}", hint="nothing was changed") from error
    finally:
        shutil.rmtree(young, ignore_errors=True)


def refuse_live(base: Path) -> None:
    """Refuse a base that somebody watches or writes now.

    Raises:
        KnowledgeBaseError: Names who.
    """
    holder = holder_of(base)
    lock = base / "midas.lock"
    if not holder and lock.exists():
        try:
            with StoreLock(lock).hold(timeout=0):
                pass
        except LockTimeoutError:
            holder = StoreLock(lock).holder()
    if not holder and (base / f"{JOURNAL}.lock").exists():
        from midas_engine.errors import JournalError
        from midas_engine.journal.presence import Presence

        try:
            Presence(base / JOURNAL, alone=True).release()
        except JournalError:
            holder = "a process that has its journal open"
    if holder:
        raise KnowledgeBaseError(f"{base} is in use by {holder}", hint="stop that first")


def _unpack(source: Path, to: Path) -> int:
    """Write every file that the manifest vouches for, and nothing else."""
    files: dict[str, tuple[int, str]] = {}
    manifest: dict[str, object] | None = None
    total = 0
    with os.fdopen(open_regular(source, os.O_RDONLY), "rb") as raw, tarfile.open(fileobj=raw, mode="r|gz") as tar:
        for member in tar:
            body = tar.extractfile(member) if member.isreg() else None
            if body is None or len(files) > MOST_FILES:
                raise KnowledgeBaseError(f"{source} holds {member.name[:80]!r}, which is no file of a base")
            if member.name == MANIFEST:
                if member.size > MANIFEST_BYTES:
                    raise KnowledgeBaseError(f"{source} has no manifest of a possible size")
                manifest = json.loads(body.read())
                continue
            total += member.size
            if total > MOST_BYTES:
                raise KnowledgeBaseError(f"{source} holds more than {MOST_BYTES:,} bytes")
            files[member.name] = _extract(member.name, body, to)
    _check(source, manifest, files)
    return len(files)


def _extract(name: str, body: IO[bytes], to: Path) -> tuple[int, str]:
    path = to / name
    if name.startswith(("/", "\\")) or ".." in Path(name).parts or not path.resolve().is_relative_to(to.resolve()):
        raise KnowledgeBaseError(f"the backup holds {name[:80]!r}, which lies outside of a base")
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    digest, size = hashlib.sha256(), 0
    with os.fdopen(open_regular(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL), "wb") as file:
        while piece := body.read(_PARTS):
            digest.update(piece)
            size += len(piece)
            file.write(piece)
        file.flush()
        os.fsync(file.fileno())
    return size, digest.hexdigest()


def _check(source: Path, manifest: dict[str, object] | None, files: dict[str, tuple[int, str]]) -> None:
    if not isinstance(manifest, dict) or not isinstance(manifest.get("files"), dict):
        raise KnowledgeBaseError(f"{source} is no backup, or is cut off: its manifest is missing")
    if not isinstance(manifest.get("schema"), int) or int(str(manifest["schema"])) > SCHEMA:
        raise KnowledgeBaseError(f"{source} was written by a newer Midas", hint="update this one")
    wanted = {str(name): tuple(row) for name, row in dict(manifest["files"]).items()}  # type: ignore[call-overload]
    if wanted != files:
        odd = sorted(set(wanted.items()) ^ set(files.items()))
        raise KnowledgeBaseError(f"{source} is damaged: {odd[0][0]} is not what was backed up", hint="take another one")


def _merge_kills(old: Path, new: Path) -> tuple[str, ...]:
    """What was killed in the base that stands there is killed in the one that takes its place: nothing un-kills."""
    held = KillFile(old / KILLS).read()
    if held.damage:
        raise KnowledgeBaseError(
            f"the kills of {old} cannot be read: {held.damage}", hint="`midas kb check` there; they must not be lost"
        )
    file = KillFile(new / KILLS)
    known = file.read().kills
    fresh = [kill for name, kill in held.kills.items() if name not in known]
    if fresh:
        file.keep_all(fresh)
    return tuple(sorted(kill.feature for kill in fresh))
