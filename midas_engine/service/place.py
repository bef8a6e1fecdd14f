"""Where a base keeps what its service needs: a private folder, the socket in it, the token, log and alarms."""

from __future__ import annotations

import hashlib
import os
import secrets
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

from midas_engine.errors import KnowledgeBaseError, SettingsError
from midas_engine.redaction import REDACTOR
from midas_engine.regular import open_regular
from midas_engine.secret_sources import find_secret

FOLDER = ROLE = "service"
TOKEN_VARIABLE = "MIDAS_SERVICE_TOKEN"
MOST_SOCKET_BYTES = 107
_LEAST_TOKEN = 16


@dataclass(frozen=True, slots=True)
class Place:
    """The paths of one base's service.

    Attributes:
        base: The knowledge base's folder.
    """

    base: Path

    @property
    def folder(self) -> Path:
        """What is private to the user."""
        return self.base / FOLDER

    @property
    def alarms(self) -> Path:
        """Every alarm once, a line each."""
        return self.folder / "alarms.jsonl"

    @property
    def log(self) -> Path:
        """The newest log."""
        return self.folder / "midas.log"

    @property
    def token_file(self) -> Path:
        """The token of the doors on loopback."""
        return self.folder / "token"

    @property
    def runs(self) -> Path:
        """Recorded runs."""
        return self.base / "runs"

    @property
    def socket(self) -> Path:
        """The control socket: in the base, or in the runtime folder where that path would be too long for one.

        The runtime folder is `$XDG_RUNTIME_DIR/midas`, or one of this user's own among the temporary ones.
        """
        own = self.base.absolute().resolve() / FOLDER / "socket"
        if len(os.fsencode(own)) <= MOST_SOCKET_BYTES:
            return own
        name = hashlib.sha256(os.fsencode(self.base.absolute().resolve())).hexdigest()[:16] + ".socket"
        given = Path(os.environ.get("XDG_RUNTIME_DIR", "")) / "midas" / name
        if given.is_absolute() and len(os.fsencode(given)) <= MOST_SOCKET_BYTES:
            return given
        return Path(tempfile.gettempdir()) / f"midas-{os.getuid()}" / name

    def make(self) -> None:
        """Make the private folder and the socket's.

        Raises:
            KnowledgeBaseError: What stands there belongs to another, or cannot be made private.
        """
        for folder in {self.folder, self.socket.parent}:
            private_folder(folder)

    def token(self) -> str:
        """The token: that of `MIDAS_SERVICE_TOKEN`, else the file's, which is made with the first call.

        Raises:
            SettingsError: It is too short to be one.
            KnowledgeBaseError: The file may be read by others, or cannot be made.
        """
        given = find_secret(TOKEN_VARIABLE)
        token = given.value or self._kept_token()
        if len(token) < _LEAST_TOKEN:
            where = given.where if given else str(self.token_file)
            raise SettingsError(f"the token in {where} is too short", hint=f"{_LEAST_TOKEN} characters at least")
        REDACTOR.register(token)
        return token

    def found_token(self) -> str:
        """The token as a client knows it; nothing is made.

        Raises:
            SettingsError: There is none.
        """
        if not find_secret(TOKEN_VARIABLE) and not self.token_file.exists():
            raise SettingsError("there is no token for the service", hint=f"set {TOKEN_VARIABLE}, or give its --kb")
        return self.token()

    def _kept_token(self) -> str:
        path = self.token_file
        try:
            handle = open_regular(path, os.O_RDONLY)
        except FileNotFoundError:
            private_folder(self.folder)
            try:
                handle = open_regular(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
                os.write(handle, secrets.token_urlsafe(32).encode() + b"\n")
                os.lseek(handle, 0, os.SEEK_SET)
            except OSError as error:
                raise KnowledgeBaseError(f"{path} cannot be made: {error.strerror}", hint="check the folder") from error
        except OSError as error:
            raise KnowledgeBaseError(f"{path} cannot be read: {error.strerror}", hint="remove it") from error
        with os.fdopen(handle, "rb") as file:
            info = os.fstat(handle)
            if info.st_uid != os.getuid() or info.st_mode & 0o077:
                raise KnowledgeBaseError(f"{path} may be read by others than you", hint=f"chmod 600 {path}")
            return file.read(4096).decode("ascii", "replace").strip()


def private_folder(path: Path) -> None:
    """Make `path` a folder that only this user enters.

    Raises:
        KnowledgeBaseError: It is a link, belongs to somebody else, or cannot be made.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        info = os.lstat(path)
        if not stat.S_ISDIR(info.st_mode) or info.st_uid != os.getuid():
            raise KnowledgeBaseError(
                f"{path} is a link, or belongs to another user: no place for a socket", hint="remove it and try again"
            )
        if info.st_mode & 0o077:
            os.chmod(path, 0o700)
    except OSError as error:
        raise KnowledgeBaseError(
            f"{path} cannot be made: {error.strerror}", hint="check the folder above it"
        ) from error
