"""The one way a file is written: temporary file beside it, fsync, rename, fsync of the folder.

After any crash the path holds the old content or the new one, whole. A failed fsync condemns the
file it failed on (the kernel may have dropped the pages): it is thrown away, never synced again.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import stat
from typing import TYPE_CHECKING

from midas_engine.alive import runs
from midas_engine.errors import DocumentDamagedError, KnowledgeBaseError
from midas_engine.regular import refuse_replacing

if TYPE_CHECKING:
    from pathlib import Path

FILE_MODE = 0o600
FOLDER_MODE = 0o700
MAX_DOCUMENT_BYTES = 2_000_000
_TEMP = re.compile(r"\.midas-([0-9]+)-[0-9a-f]{12}\.tmp")


def atomic_write(path: Path, data: bytes, *, replace: bool = True) -> None:
    """Put `data` at `path`, durably, or leave everything as it was.

    Args:
        path: Where; its folder must exist. A symbolic link there is replaced, not followed.
        data: The whole content.
        replace: False refuses to overwrite, even against a writer that ignores the lock.

    Raises:
        FileExistsError: Something is there and `replace` is False.
        KnowledgeBaseError: The disk refused; says what happened and what is there now.
    """
    temp = path.parent / f".midas-{os.getpid()}-{secrets.token_hex(6)}.tmp"
    try:
        refuse_replacing(path)
        _write_temp(temp, data)
        if replace:
            os.rename(temp, path)
        else:
            _rename_new(temp, path)
    except FileExistsError:
        _forget(temp)
        raise
    except OSError as error:
        _forget(temp)
        raise disk_error(error, f"{path} was not written") from error
    except BaseException:
        _forget(temp)
        raise
    sync_folder(path.parent)


def _write_temp(temp: Path, data: bytes) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
    handle = os.open(temp, flags, FILE_MODE)
    try:
        if hasattr(os, "fchmod"):
            os.fchmod(handle, FILE_MODE)  # the umask may have taken more than it should
        view, stalled = memoryview(data), 0
        while view:
            written = os.write(handle, view)
            stalled = 0 if written else stalled + 1
            if stalled > 3:
                raise OSError(errno.EIO, "the disk accepts no bytes")
            view = view[written:]
        if os.fstat(handle).st_size != len(data):
            raise OSError(errno.EIO, "the file came out shorter than what was written")
        os.fsync(handle)
    finally:
        os.close(handle)


def _rename_new(temp: Path, path: Path) -> None:
    """Rename that fails when something is there: a hard link, or where there are none, a look first."""
    try:
        os.link(temp, path)
    except FileExistsError:
        raise
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK):
            raise
        if os.path.lexists(path):
            raise FileExistsError(errno.EEXIST, "exists", str(path)) from error
        os.rename(temp, path)
    else:
        os.unlink(temp)


def _forget(temp: Path) -> None:
    with contextlib.suppress(OSError):
        os.unlink(temp)


def durable_unlink(path: Path) -> None:
    """Remove `path` and make that durable; nothing there is fine."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return
    except OSError as error:
        raise disk_error(error, f"{path} was not removed") from error
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make renames and removals in `folder` survive a power cut."""
    try:
        handle = os.open(folder, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0))
    except PermissionError:
        return  # Windows cannot open folders
    except OSError as error:
        raise disk_error(error, f"{folder} cannot be opened") from error
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # file systems that have no such thing
            raise disk_error(error, f"the change in {folder} is made but may not survive a power cut") from error
    finally:
        os.close(handle)


def read_bytes(path: Path, *, limit: int = MAX_DOCUMENT_BYTES) -> bytes:
    """The content of a regular file; never follows a link, never waits on a pipe.

    Raises:
        FileNotFoundError: Nothing is there.
        DocumentDamagedError: It is a link or special file, too large, or the disk cannot read it.
    """
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
    try:
        handle = os.open(path, flags)
    except FileNotFoundError:
        raise
    except OSError as error:
        reason = "it is a symbolic link" if error.errno == errno.ELOOP else (error.strerror or str(error))
        raise DocumentDamagedError(f"{path.name} cannot be read: {reason}") from error
    try:
        info = os.fstat(handle)
        if not stat.S_ISREG(info.st_mode):
            raise DocumentDamagedError(f"{path.name} is not a regular file")
        if info.st_size > limit:
            raise DocumentDamagedError(f"{path.name} has {info.st_size:,} bytes, more than {limit:,}")
        pieces: list[bytes] = []
        left = limit + 1
        while left > 0 and (piece := os.read(handle, min(left, 1 << 20))):
            pieces.append(piece)
            left -= len(piece)
        if left <= 0:
            raise DocumentDamagedError(f"{path.name} grew past {limit:,} bytes while it was read")
        return b"".join(pieces)
    except OSError as error:
        raise DocumentDamagedError(f"{path.name} cannot be read: {error.strerror or error}") from error
    finally:
        os.close(handle)


def sweep_temps(folder: Path) -> int:
    """Remove temporary files that dead writers left in `folder`; foreign files stay. Returns how many.

    Call it under the store's lock: then no writer of this store is at work, and a temp whose
    process still lives belongs to somebody who writes without the lock, so it stays.
    """
    removed = 0
    with contextlib.suppress(OSError):
        for name in os.listdir(folder):
            match = _TEMP.fullmatch(name)
            if match and (int(match[1]) == os.getpid() or not runs(int(match[1]))):
                _forget(folder / name)
                removed += 1
    return removed


def is_temp(name: str) -> bool:
    """Whether a file name is one of ours that is never a document."""
    return _TEMP.fullmatch(name) is not None


def disk_error(error: OSError, what: str) -> KnowledgeBaseError:
    """A disk failure in words a user can act on."""
    hints = {
        errno.ENOSPC: "free some space on the disk and try again; nothing was lost",
        errno.EDQUOT: "the disk quota is used up; free some space and try again; nothing was lost",
        errno.EROFS: "the disk is mounted read-only; open the knowledge base with --read-only or mount it writable",
        errno.EACCES: "check the owner and permissions of the knowledge base folder",
        errno.EPERM: "check the owner and permissions of the knowledge base folder",
        errno.EXDEV: "a folder inside the knowledge base is another disk; keep the base on one",
        errno.ENOENT: "the knowledge base folder is gone; restore it or start again with another --kb",
        errno.EIO: "the disk reports errors; check it before writing more",
    }
    hint = hints.get(error.errno or 0, "check the disk and the folder's permissions")
    return KnowledgeBaseError(f"{what}: {error.strerror or error}", hint=hint)
