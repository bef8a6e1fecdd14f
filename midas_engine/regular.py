"""Files that are opened only when they are regular ones: a pipe, socket or device in their place never hangs Midas."""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_CAREFUL = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
_KINDS = (
    (stat.S_ISDIR, "folder"),
    (stat.S_ISLNK, "symbolic link"),
    (stat.S_ISFIFO, "named pipe"),
    (stat.S_ISSOCK, "socket"),
    (stat.S_ISCHR, "device"),
    (stat.S_ISBLK, "device"),
)


class NotRegularError(OSError):
    """Something else stands where a regular file belongs; `strerror` says what."""


def kind_of_mode(mode: int) -> str:
    """What a file's mode says it is, in a user's words; empty for a regular file."""
    if stat.S_ISREG(mode):
        return ""
    return next((name for is_it, name in _KINDS if is_it(mode)), "special file")


def obstacle(path: Path, *, follow: bool = False) -> str:
    """What stands at `path` in place of a regular file; empty when one is there, or nothing.

    Args:
        path: Where to look.
        follow: Look at what a symbolic link names; a link to nothing is nothing.
    """
    try:
        info = os.stat(path, follow_symlinks=follow)
    except OSError:
        return ""
    return kind_of_mode(info.st_mode)


def refuse_replacing(path: Path) -> None:
    """Raise when a pipe, socket or device stands at `path`: a rename over /dev/null would end it for everybody.

    Raises:
        NotRegularError: Names the path and what it is.
    """
    kind = obstacle(path)
    if kind and kind not in ("folder", "symbolic link"):  # a rename says of a folder what is wrong, and takes a link
        raise _not_regular(path, kind)


def refuse_special(path: Path, *, follow: bool = False) -> None:
    """Raise when something other than a regular file stands at `path`.

    Raises:
        NotRegularError: Names the path and what it is.
    """
    kind = obstacle(path, follow=follow)
    if kind:
        raise _not_regular(path, kind)


def open_regular(path: Path, flags: int, mode: int = 0o600) -> int:
    """`os.open` that never waits, never follows a link and gives a regular file only.

    Raises:
        NotRegularError: Something else is there; it was not touched.
        OSError: As `os.open`.
    """
    refuse_special(path)  # some devices act on being opened
    try:
        handle = os.open(path, flags | _CAREFUL, mode)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO, errno.EISDIR):
            raise _not_regular(path, obstacle(path) or "special file") from error
        raise
    kind = kind_of_mode(os.fstat(handle).st_mode)
    if kind:
        os.close(handle)
        raise _not_regular(path, kind)
    return handle


def _not_regular(path: Path, kind: str) -> NotRegularError:
    return NotRegularError(errno.EINVAL, f"it is a {kind}, where a regular file belongs", str(path))
