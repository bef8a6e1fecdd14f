"""Where a key or a secret comes from: the one way to read one.

It is looked for by its name, in this order:

1. the environment;
2. the key file: `midas/keys` in `$XDG_CONFIG_HOME` or `~/.config`, or what `MIDAS_KEY_FILE` names. One `NAME=VALUE` a
   line. It must belong to you, and nobody else may read it;
3. the system's keyring, where the key file says `NAME=keyring:` (extra `keyring`; service `midas`, user `NAME`).

What was read is taken out of every text from then on, see `redaction`.
"""

from __future__ import annotations

import os
import re
import stat
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from midas_engine.errors import SettingsError
from midas_engine.redaction import REDACTOR
from midas_engine.regular import open_regular

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

FILE_VARIABLE = "MIDAS_KEY_FILE"
KEYRING = "keyring:"
SERVICE = "midas"
# A keyring that is locked may ask its user, who may not be there.
KEYRING_SECONDS = 10.0
MOST_BYTES = 64_000
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
_seen: dict[Path, tuple[tuple[int, ...], dict[str, str]]] = {}


@dataclass(frozen=True, slots=True)
class Found:
    """A secret and where it was.

    Attributes:
        value: Itself; empty when there is none. It is in no representation.
        where: Its name, and where it was found; for a person.
    """

    value: str = field(repr=False)
    where: str

    def __bool__(self) -> bool:
        return bool(self.value)


def find_secret(name: str, environ: Mapping[str, str] | None = None) -> Found:
    """The secret of that name; an empty one where there is none.

    Raises:
        SettingsError: The key file may be read by others, or is none; the keyring does not answer.
    """
    env = os.environ if environ is None else environ
    value = env.get(name, "").strip()
    if value:
        REDACTOR.register(value)
        return Found(value, name)
    path = key_file(env)
    kept = read_keys(path) if path is not None else {}
    if name not in kept:
        return Found("", name)
    if kept[name] != KEYRING:
        return Found(kept[name], f"{name} in {path}")
    value = (asked_keyring(lambda keyring: keyring.get_password(SERVICE, name)) or "").strip()
    if not value:
        raise SettingsError(
            f"{path} says that {name} is in the keyring, and it is not", hint=f"midas keys set {name} --keyring"
        )
    REDACTOR.register(value)
    return Found(value, f"{name} in the keyring")


def have_secret(name: str, environ: Mapping[str, str] | None = None) -> bool:
    """Whether there seems to be one; a keyring is not asked, a key file that cannot be used has none."""
    env = os.environ if environ is None else environ
    if env.get(name, "").strip():
        return True
    path = key_file(env)
    try:
        return path is not None and name in read_keys(path)
    except SettingsError:
        return False


def key_file(environ: Mapping[str, str] | None = None) -> Path | None:
    """Where the key file would be; None where there is no home for one."""
    env = os.environ if environ is None else environ
    if given := env.get(FILE_VARIABLE, "").strip():
        return Path(given)
    # A relative folder would be looked for in the working folder, of all places.
    folder, home = env.get("XDG_CONFIG_HOME", ""), env.get("HOME", "")
    base = Path(folder) if os.path.isabs(folder) else Path(home) / ".config" if os.path.isabs(home) else None
    return None if base is None else base / "midas" / "keys"


def read_keys(path: Path) -> dict[str, str]:
    """Names and values of a key file; none where there is no file.

    Raises:
        SettingsError: Another than its owner may read it, it belongs to somebody else, or a line is none.
    """
    try:
        info = os.lstat(path)
        mark = (info.st_ino, info.st_size, info.st_mtime_ns, info.st_ctime_ns, info.st_mode, info.st_uid)
        if (seen := _seen.get(path)) is not None and seen[0] == mark:
            return seen[1]
        handle = open_regular(path, os.O_RDONLY)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise SettingsError(f"the key file {path} cannot be read: {error.strerror}", hint="see midas keys") from error
    with os.fdopen(handle, "rb") as file:
        info = os.fstat(handle)
        if info.st_uid != os.getuid():
            raise SettingsError(f"the key file {path} belongs to another user", hint="make one of your own")
        if info.st_mode & 0o077:
            others = stat.filemode(info.st_mode)
            raise SettingsError(
                f"the key file {path} may be read or written by others ({others})", hint=f"chmod 600 {path}"
            )
        found = _parsed(path, file.read(MOST_BYTES + 1))
    for value in found.values():
        REDACTOR.register(value)
    _seen[path] = (mark, found)
    return found


def _parsed(path: Path, data: bytes) -> dict[str, str]:
    """What a key file says. No message holds a line: it could be a key."""
    if len(data) > MOST_BYTES:
        raise SettingsError(f"the key file {path} has more than {MOST_BYTES:,} bytes", hint="one NAME=VALUE a line")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise SettingsError(f"the key file {path} is no text in UTF-8", hint="one NAME=VALUE a line") from None
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.strip().startswith("#"):
            continue
        name, mark, value = name_of(line), "=" in line, line.partition("=")[2].strip()
        if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
            value = value[1:-1]
        if not mark or not NAME.fullmatch(name) or not value:
            raise SettingsError(f"line {number} of the key file {path} is no NAME=VALUE", hint="# begins a comment")
        if name in found:
            raise SettingsError(f"line {number} of the key file {path} gives {name} once more", hint="keep one of them")
        found[name] = value
    return found


def name_of(line: str) -> str:
    """The name that a line of a key file is about; empty for a comment.

    Example:
        >>> name_of("export OPENAI_API_KEY = x"), name_of("# OPENAI_API_KEY=x")
        ('OPENAI_API_KEY', '')
    """
    name = line.strip().removeprefix("export ").partition("=")[0].strip()
    return "" if name.startswith("#") else name


def asked_keyring(ask: Callable[[Any], str | None]) -> str | None:
    """What the system's keyring answers.

    Args:
        ask: Given the module `keyring`.

    Raises:
        SettingsError: It is not installed, there is none on this machine, or it does not answer in time.
    """
    try:
        import keyring
    except ImportError as error:
        raise SettingsError("a keyring needs the extra", hint="pip install 'midas-alpha[keyring]'") from error
    answers: list[str | None] = []
    failures: list[str] = []

    def work() -> None:
        try:
            answers.append(ask(keyring))
        except Exception as error:  # whatever a backend raises; its text could hold what was asked for
            failures.append(type(error).__name__)

    thread = threading.Thread(target=work, name="midas-keyring", daemon=True)
    thread.start()
    thread.join(KEYRING_SECONDS)
    if failures:
        raise SettingsError(
            f"the keyring cannot be used ({failures[0]})", hint="a machine without a desktop has none: use the key file"
        )
    if not answers:
        raise SettingsError(f"the keyring did not answer in {KEYRING_SECONDS:g} s", hint="unlock it, and try again")
    return answers[0]
