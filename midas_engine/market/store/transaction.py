"""One change of the store: new files first, then the manifest, then the old files go.

Killed anywhere before the manifest is renamed, the store holds the old content; from then on the new. What a dead
writer leaves behind is named nowhere, and the next writer removes it.
"""

from __future__ import annotations

import contextlib
import os
import re
from typing import TYPE_CHECKING

from midas_engine.errors import DataError
from midas_engine.market.durable import left_behind, sync_folder
from midas_engine.market.store.address import bar_name
from midas_engine.market.store.manifest import MANIFEST, Manifest, Series, read_manifest, write_manifest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TREES = ("bars", "revisions")
OUR_NAME = re.compile(r"[0-9]{8}-[0-9]{4}\.parquet")


class Transaction:
    """What one writer does between `writing` and `commit`; use it inside the store's lock.

    Args:
        folder: The store.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifest = read_manifest(folder)
        self.number = self.manifest.number + 1
        self._made: list[str] = []

    def new_file(self, series: Series, month: str, tree: str = "bars") -> str:
        """The path of a file that this change will write."""
        folder = f"{tree}/venue={series.venue}/bar={bar_name(series.bar_seconds)}/month={month}"
        name = f"{folder}/{self.number:08d}-{len(self._made):04d}.parquet"
        self._made.append(name)
        return name

    def commit(self, series: Series) -> Manifest:
        """Make `series` what the store holds under its key; then remove the files that no longer belong to it.

        Raises:
            DataError: The disk refused; the store is as it was, or the message says that it is not.
        """
        after = self.manifest.after(series, self.number)
        try:
            write_manifest(self.folder, after)
        except OSError as error:
            if read_manifest(self.folder).number < after.number:
                raise disk_refused(self.folder, error) from error
            raise DataError(  # the old files stay: after a power cut the old manifest may be back
                f"the store {self.folder} was changed, but the disk did not confirm it: {error.strerror or error}",
                hint="check the disk; after a power cut run the same command again",
            ) from error
        self._made = []
        self._remove(self.manifest.files() - after.files())
        self.manifest, self.number = after, after.number + 1
        return after

    def give_up(self) -> None:
        """Remove what was written for a change that is not made."""
        if read_manifest(self.folder).number < self.number:  # else it was made, and only what follows failed
            self._remove(set(self._made))

    def _remove(self, files: set[str]) -> None:
        for name in files:
            with contextlib.suppress(OSError):
                (self.folder / name).unlink()
        for parent in {(self.folder / name).parent for name in files}:
            with contextlib.suppress(OSError):  # a folder that still holds something stays
                parent.rmdir()


def leftovers(folder: Path, manifest: Manifest) -> Iterator[tuple[Path, bool]]:
    """Files in the store's folder that the manifest does not name, and whether they are a dead writer's."""
    files = manifest.files()
    if folder.is_dir():
        for name in sorted(os.listdir(folder)):
            if left_behind(name, MANIFEST):
                yield folder / name, True
    for tree in TREES:
        for where, _, names in os.walk(folder / tree):
            for name in sorted(names):
                path = folder / os.path.relpath(os.path.join(where, name), folder)
                relative = path.relative_to(folder).as_posix()
                if relative not in files and not (name.endswith(".tmp") and not left_behind(name)):
                    yield path, OUR_NAME.fullmatch(name) is not None or left_behind(name)


def sweep_leftovers(folder: Path, manifest: Manifest) -> int:
    """Remove what dead writers left; foreign files stay. Call it under the lock. Gives the bytes freed."""
    freed = 0
    for path, ours in list(leftovers(folder, manifest)):
        if ours:
            with contextlib.suppress(OSError):
                size = path.stat().st_size
                path.unlink()
                freed += size
                sync_folder(path.parent)
    return freed


def disk_refused(folder: Path, error: OSError) -> DataError:
    """A disk failure in words a user can act on."""
    return DataError(
        f"the store {folder} was not changed: {error.strerror or error}",
        hint="free some space or check the disk and the folder's permissions, then do it again; nothing was lost",
    )
