"""Unix sockets between processes of one user: made private, found only where they are, and the other side looked at."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
import struct
from typing import TYPE_CHECKING

from midas_engine.errors import KnowledgeBaseError

if TYPE_CHECKING:
    from pathlib import Path

CONNECT_SECONDS = 2.0


def peer_is_us(connection: socket.socket) -> bool:
    """Whether the process at the other end belongs to this user, where the kernel tells; the folder says so anyway."""
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None:
        return True
    raw = connection.getsockopt(socket.SOL_SOCKET, option, struct.calcsize("3i"))
    _, user, _ = struct.unpack("3i", raw)
    return bool(user == os.getuid())


def listening_socket(path: Path) -> socket.socket:
    """A listening socket at `path`, 0600. One that a dead service left is replaced; a living one is not touched.

    Raises:
        KnowledgeBaseError: Something else is there, or it cannot be made.
    """
    try:
        info = os.lstat(path)
    except OSError:
        info = None
    if info is not None:
        if not stat.S_ISSOCK(info.st_mode) or info.st_uid != os.getuid():
            raise KnowledgeBaseError(f"{path} is no socket of yours, where the service's belongs", hint="remove it")
        if (probe := connected(path)) is not None:
            probe.close()
            raise KnowledgeBaseError(f"another process listens at {path}", hint="stop it, or remove the socket")
        with contextlib.suppress(OSError):
            path.unlink()
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        made.bind(str(path))
        made.listen(64)
    except OSError as error:
        made.close()
        raise KnowledgeBaseError(f"{path} cannot be listened at: {error.strerror}", hint="check its folder") from error
    finally:
        os.umask(before)
    made.setblocking(False)
    return made


def connected(path: Path) -> socket.socket | None:
    """A connection to the service at `path`; None when there is none: no socket, a stale one, or another user's."""
    try:
        info, folder = os.lstat(path), os.lstat(path.parent)
        if not stat.S_ISSOCK(info.st_mode) or info.st_uid != os.getuid() or info.st_mode & 0o077:
            return None
        if folder.st_uid != os.getuid() or folder.st_mode & 0o022:
            return None
    except OSError:
        return None
    found = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    found.settimeout(CONNECT_SECONDS)
    try:
        found.connect(str(path))
        if peer_is_us(found):
            return found
    except OSError:
        pass
    found.close()
    return None
