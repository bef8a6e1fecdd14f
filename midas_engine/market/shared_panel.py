"""`SharedPanel`: a panel as workers get it, by path and content hash. Its figures never travel."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from midas_engine.errors import DataError
from midas_engine.market.lazy_columns import LazyColumns
from midas_engine.market.origin import FixedOrigin
from midas_engine.market.panel import Panel

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class SharedPanel:
    """Where a worker finds a panel, and how it tells that it is the one.

    Attributes:
        folder: A copy as plain files that every worker of this machine maps: one in memory, however many read it.
        snapshot: Content hash of the panel.
        source: What `load_panel` takes, for a worker on another machine; empty when the panel has no such name.
        store: Folder of the market store there.
    """

    folder: str
    snapshot: str
    source: str = ""
    store: str = ""

    @classmethod
    def write(cls, panel: Panel, folder: Path, *, source: str = "", store: str = "") -> SharedPanel:
        """Share a panel through `folder`, and by its name where it has one."""
        share_panel(panel, folder)
        return cls(str(folder), panel.snapshot_id, source, store)

    def open(self) -> Panel:
        """The panel: mapped from the folder, or loaded by its name on a machine that has no such folder.

        Raises:
            DataError: It is not there, or it is another panel.
        """
        folder = Path(self.folder)
        if (folder / "about.json").is_file():
            return self._checked(read_panel(folder), f"the copy in {folder}")
        if not self.source:
            raise DataError(
                f"no panel at {folder} on this machine",
                hint="workers elsewhere need data that they can load by name: sample, store:NAME or a shared path",
            )
        from midas_engine.market.sources import load_panel

        return self._checked(load_panel(self.source, store=self.store), self.source)

    def _checked(self, panel: Panel, what: str) -> Panel:
        if panel.snapshot_id != self.snapshot:
            raise DataError(
                f"{what} is not the data this was started on: its content is {panel.snapshot_id[:12]}, "
                f"not {self.snapshot[:12]}",
                hint="every worker must see the same files; a store may have grown meanwhile",
            )
        return panel


def share_panel(panel: Panel, folder: Path) -> None:
    """Write a panel as plain .npy files that workers map."""
    np.save(folder / "times.npy", panel.timestamps.astype(np.int64), allow_pickle=False)
    for number, name in enumerate(panel.columns):  # derived ones too, or every worker would hold its own
        np.save(folder / f"column-{number}.npy", panel.rows(name, 0, panel.T), allow_pickle=False)
    sealed = None if panel.origin is None else panel.origin.sealed_from
    about = {
        "bar_seconds": panel.bar_seconds,
        "symbols": panel.symbols,
        "fields": list(panel.fields),
        "columns": list(panel.columns),
        "snapshot": panel.snapshot_id,
        "origin": None if sealed is None else [panel.identity, str(sealed)],
    }
    (folder / "about.json").write_text(json.dumps(about), encoding="utf-8")


def read_panel(folder: Path) -> Panel:
    """The panel that `share_panel` wrote: its columns are mapped, not copied."""
    about = json.loads((folder / "about.json").read_text(encoding="utf-8"))
    files = {name: folder / f"column-{number}.npy" for number, name in enumerate(about["columns"])}

    def opened(name: str) -> NDArray[np.float64]:
        return np.asarray(np.load(files[name], mmap_mode="r", allow_pickle=False))

    fields = LazyColumns(about["fields"], opened)
    derived = LazyColumns([name for name in files if name not in fields], opened)
    _ = *fields.values(), *derived.values()  # opened while the folder is there
    times = np.load(folder / "times.npy", allow_pickle=False).astype("datetime64[ns]")
    origin = about["origin"] and FixedOrigin(about["origin"][0], np.datetime64(about["origin"][1], "ns"))
    symbols, seconds = about["symbols"], about["bar_seconds"]
    return Panel.over(times, symbols, fields, seconds, snapshot=about["snapshot"], origin=origin, derived=derived)
