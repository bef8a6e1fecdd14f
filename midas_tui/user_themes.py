"""A user's own themes: `NAME.toml` in `themes` of the configuration folder, one colour a role."""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING

from midas_engine.errors import SettingsError
from midas_engine.text import did_you_mean
from midas_tui.palette import ROLE_NAMES, Roles, make_theme

if TYPE_CHECKING:
    from pathlib import Path

    from textual.theme import Theme

MAX_BYTES = 20_000
_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")


def theme_from_file(path: Path) -> Theme:
    """The theme in a file: `dark = true` and one `#rrggbb` for each role.

    Raises:
        SettingsError: It cannot be read, a role is unknown or missing, or a colour is none.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        given = tomllib.loads(data.decode("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise SettingsError(f"theme {path} cannot be read: {error}", hint="it must be UTF-8 TOML") from error
    if len(data) > MAX_BYTES:
        raise SettingsError(f"theme {path} has more than {MAX_BYTES:,} bytes", hint="a theme is eleven lines")
    dark = given.pop("dark", True)
    for role, colour in given.items():
        if role not in ROLE_NAMES:
            raise SettingsError(f"unknown role {role!r} in theme {path}", hint=did_you_mean(role, ROLE_NAMES))
        if not (isinstance(colour, str) and _COLOUR.fullmatch(colour)):
            raise SettingsError(f"{role} = {colour!r} in theme {path} is no colour", hint='write it as "#rrggbb"')
    if missing := [role for role in ROLE_NAMES if role not in given]:
        raise SettingsError(f"theme {path} says nothing of {', '.join(missing)}", hint="every role needs a colour")
    if not isinstance(dark, bool):
        raise SettingsError(f"dark = {dark!r} in theme {path} is neither true nor false", hint="dark = true")
    return make_theme(path.stem, Roles(**given), dark=dark)


def user_themes(folder: Path | None) -> tuple[list[Theme], list[str]]:
    """The themes of a folder, by name, and why others of its files cannot be used."""
    themes: list[Theme] = []
    refused: list[str] = []
    if folder is None or not folder.is_dir():
        return themes, refused
    for path in sorted(folder.glob("*.toml"))[:100]:
        try:
            themes.append(theme_from_file(path))
        except SettingsError as error:
            refused.append(str(error))
    return themes, refused
