"""What the terminal remembers from one start to the next: theme, orders, windows. Never anything that acts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from midas_engine.errors import KnowledgeBaseError

if TYPE_CHECKING:
    from pathlib import Path

Value = bool | int | str
MAX_BYTES = 50_000
MOST = 200


class Kept:
    """Small values by name, in one file.

    Args:
        path: The file; None keeps nothing beyond this process.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._values: dict[str, Value] = {}
        self.trouble = ""
        if path is not None:
            self._read(path)

    def _read(self, path: Path) -> None:
        try:
            with path.open("rb") as file:
                found = json.loads(file.read(MAX_BYTES))
        except FileNotFoundError:
            return
        except (OSError, ValueError, RecursionError):
            self.trouble = f"{path} cannot be read: orders and the theme begin anew"
            return
        if isinstance(found, dict):
            kept = {k: v for k, v in found.items() if isinstance(v, bool | int | str) and len(str(v)) <= 200}
            self._values = dict(list(kept.items())[:MOST])

    def flag(self, name: str) -> bool:
        """A kept yes or no; no when nothing is kept."""
        return self._values.get(name) is True

    def number(self, name: str, below: int) -> int:
        """A kept place in a list of `below`; 0 when nothing fitting is kept."""
        found = self._values.get(name)
        return found if isinstance(found, int) and not isinstance(found, bool) and 0 <= found < below else 0

    def text(self, name: str) -> str:
        """A kept word; empty when nothing is kept."""
        found = self._values.get(name)
        return found if isinstance(found, str) else ""

    def keep(self, name: str, value: Value) -> None:
        """Remember; on disk at once, for nobody says when the window is closed."""
        if self._values.get(name) == value and type(self._values.get(name)) is type(value):
            return
        self._values.pop(name, None)
        self._values[name] = value
        self._values = dict(list(self._values.items())[-MOST:])
        if self._path is not None:
            self._write(self._path)

    def _write(self, path: Path) -> None:
        from midas_engine.kb.atomic import atomic_write

        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            atomic_write(path, json.dumps(self._values, indent=1).encode())
        except (OSError, KnowledgeBaseError) as error:
            self.trouble = f"what was chosen is forgotten at the end: {error}"
