"""What changed in the base's folder, in batches, whoever changed it."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from midas_engine.errors import KnowledgeBaseError
from midas_engine.kb.atomic import is_temp, read_bytes

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator

DEBOUNCE_MS = 150
_SUFFIXES = (".md", ".json", ".png", ".csv")


class Fingerprints:
    """Content hashes by relative path: a touch, or a save of the same text, is no change."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._known: dict[str, str] = {}

    def learn(self) -> None:
        """Take what is there now as known."""
        for folder, folders, names in os.walk(self._root):
            folders[:] = [f for f in folders if not f.startswith(".")]
            for name in names:
                path = Path(folder, name)
                if watched(path.relative_to(self._root)):
                    self._known[path.relative_to(self._root).as_posix()] = self._hash(path)

    def changed(self, paths: set[Path]) -> tuple[str, ...]:
        """The relative paths whose content differs from the last time, gone ones included."""
        found: list[str] = []
        for path in paths:
            try:
                relative = path.relative_to(self._root)
            except ValueError:
                continue
            if not watched(relative):
                continue
            key, content = relative.as_posix(), self._hash(path)
            if self._known.get(key, "") != content:
                found.append(key)
                if content:
                    self._known[key] = content
                else:
                    self._known.pop(key, None)
        return tuple(sorted(found))

    @staticmethod
    def _hash(path: Path) -> str:
        try:
            return hashlib.blake2b(read_bytes(path), digest_size=16).hexdigest()
        except FileNotFoundError:
            return ""
        except KnowledgeBaseError:
            return "damaged"


def watched(relative: Path) -> bool:
    """Documents only: no hidden files, temporary files, locks or databases."""
    if any(part.startswith(".") for part in relative.parts) or is_temp(relative.name):
        return False
    return relative.suffix in _SUFFIXES


async def watch(
    root: Path, *, stop: asyncio.Event | None = None, debounce_ms: int = DEBOUNCE_MS
) -> AsyncIterator[tuple[str, ...]]:
    """Batches of relative paths whose content changed, until `stop` is set.

    The folder is watched, not its files: editors and atomic writers replace files. A watch that the
    system takes away (the folder was removed) ends the iteration.
    """
    import asyncio

    from watchfiles import awatch

    root = await asyncio.to_thread(root.resolve)
    prints = Fingerprints(root)
    await asyncio.to_thread(prints.learn)
    try:
        async for changes in awatch(root, stop_event=stop, debounce=debounce_ms, step=20, recursive=True):
            batch = await asyncio.to_thread(prints.changed, {Path(path) for _, path in changes})
            if batch:
                yield batch
    except (FileNotFoundError, RuntimeError):  # RuntimeError: watchfiles lost its inotify watch
        return
