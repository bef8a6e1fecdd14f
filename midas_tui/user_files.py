"""Where a user's own files of the terminal lie: outside every working folder, as consent and keys do."""

from __future__ import annotations

import os
from pathlib import Path


def config_folder() -> Path | None:
    """`midas` in `$XDG_CONFIG_HOME` or `~/.config`; None without a home."""
    return _folder("XDG_CONFIG_HOME", ".config")


def state_folder() -> Path | None:
    """`midas` in `$XDG_STATE_HOME` or `~/.local/state`; None without a home."""
    return _folder("XDG_STATE_HOME", ".local/state")


def _folder(variable: str, otherwise: str) -> Path | None:
    given = os.environ.get(variable, "")
    try:
        # A relative one would be looked for in the working folder: the standard says to pass it over.
        return (Path(given) if os.path.isabs(given) else Path.home() / otherwise) / "midas"
    except RuntimeError:
        return None
