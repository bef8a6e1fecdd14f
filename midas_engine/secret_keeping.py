"""Secrets put away and taken out again: lines of the key file, and the system's keyring."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from midas_engine.errors import SettingsError
from midas_engine.redaction import REDACTOR
from midas_engine.regular import refuse_replacing
from midas_engine.secret_sources import KEYRING, NAME, SERVICE, asked_keyring, key_file, name_of, read_keys

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


def keep_secret(name: str, value: str, *, in_keyring: bool = False) -> Path:
    """Put a secret into the key file, or into the keyring with a line of the key file that says so; the file's path.

    Raises:
        SettingsError: The name or the value cannot be kept, or the place cannot be used.
    """
    value = value.strip()
    REDACTOR.register(value)
    if not NAME.fullmatch(name):
        raise SettingsError(f"{name[:100]!r} is no name of a key", hint="as in OPENAI_API_KEY, MIDAS_SECRET_BOT")
    if not value or not value.isprintable() or value == KEYRING:
        raise SettingsError(f"what was given for {name} is empty, or no line of text", hint="give the key alone")
    path = _place()
    kept = read_keys(path)
    if in_keyring:
        asked_keyring(lambda keyring: keyring.set_password(SERVICE, name, value))
    _write(path, [*_others(path, name, kept), f"{name}={KEYRING if in_keyring else value}"])
    return path


def forget_secret(name: str) -> bool:
    """Take a secret out of the key file, and out of the keyring where that held it; False when there was none.

    Raises:
        SettingsError: The place cannot be used.
    """
    path = _place()
    kept = read_keys(path)
    if name not in kept:
        return False
    if kept[name] == KEYRING:
        asked_keyring(lambda keyring: keyring.delete_password(SERVICE, name))
    _write(path, _others(path, name, kept))
    return True


def _others(path: Path, name: str, kept: Mapping[str, str]) -> list[str]:
    """The lines about anything else, comments among them, as they are."""
    if not kept and not path.exists():
        return []
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    return [line for line in lines if name_of(line) != name]


def _place() -> Path:
    path = key_file()
    if path is None:
        raise SettingsError("there is no home folder to keep keys in", hint="set HOME, or MIDAS_KEY_FILE")
    return path


def _write(path: Path, lines: Sequence[str]) -> None:
    """The whole file anew, in one step, readable by its owner alone from its first byte."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        refuse_replacing(path)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.writelines(f"{line}\n" for line in lines)
                file.flush()
                os.fsync(handle)
            os.replace(beside, path)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise SettingsError(
            f"the key file {path} cannot be written: {error.strerror}", hint="check its folder"
        ) from error
