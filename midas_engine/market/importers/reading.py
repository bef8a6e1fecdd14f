"""Files in, one panel out: every file read, examined by the doctor, and merged on the grid of the bars."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from midas_engine.errors import DataFormatError
from midas_engine.market.doctor.examine import examine
from midas_engine.market.importers.files import find_files, read_tables
from midas_engine.market.importers.layouts import read_table
from midas_engine.market.importers.merge import build_panel
from midas_engine.market.importers.names import interval_seconds

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from midas_engine.market.doctor.examine import Examined
    from midas_engine.market.doctor.report import DoctorReport
    from midas_engine.market.panel import Panel
    from midas_engine.market.raw_rows import Part

PANEL_FILE = "panel.parquet"


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import made.

    Attributes:
        panel: The data.
        report: What the doctor found in the files.
        path: Where the panel was written.
    """

    panel: Panel
    report: DoctorReport
    path: Path


def read_parts(paths: Iterable[str | Path], bar: str | None = None) -> list[Part]:
    """Every part of every file; of klines only those with bars of length `bar`, when it is given.

    Raises:
        DataFormatError: A file is in no layout Midas reads, nothing is there, or `bar` is no length.
    """
    wanted = None
    if bar is not None:
        wanted = interval_seconds(bar)
        if wanted is None:
            raise DataFormatError(f"{bar!r} is no bar length", hint="such as 1m, 15m, 1h, 4h, 1d")
    files = [file for path in paths for file in find_files(Path(path))]
    parts = [part for file in dict.fromkeys(files) for table in read_tables(file) for part in read_table(table)]
    if wanted is None:
        return parts
    # A file too small or too full of holes to tell its bar length goes by what the caller says.
    told = [replace(p, bar_seconds=wanted) if p.kind == "bars" and p.bar_seconds is None else p for p in parts]
    kept = [p for p in told if p.kind != "bars" or p.bar_seconds == wanted]
    if not any(p.kind == "bars" for p in kept):
        lengths = sorted({p.bar_seconds for p in parts if p.kind == "bars" and p.bar_seconds})
        raise DataFormatError(
            f"no bars of {bar} in these files", hint="there are bars of " + ", ".join(f"{n} s" for n in lengths)
        )
    return kept


def read_any(paths: Iterable[str | Path], bar: str | None = None, *, now: datetime | None = None) -> Panel:
    """One panel from files: klines with whatever funding, open interest and mark prices come along.

    What can be mended without a guess is mended (order, copies, units); all else is refused.

    Args:
        paths: Files or folders.
        bar: Which bar length, such as "1h", when the files hold several.
        now: The present; the wall clock's by default.

    Raises:
        DataFormatError: A file is in no layout Midas reads, or there are no klines.
        DataDefectError: The doctor found what forbids computing.
    """
    several = list(paths)
    examined = examine(read_parts(several, bar), now=now)
    examined.report.raise_if_unusable(_what(several))
    return build_panel(examined)


def import_panel(
    paths: Iterable[str | Path], out: str | Path, bar: str | None = None, *, now: datetime | None = None
) -> Imported:
    """`read_any`, written to `panel.parquet` in the folder `out`, whole or not at all.

    A panel that is there is replaced in one step: whoever reads it meanwhile sees the old or the new one.

    Raises:
        DataFormatError: As `read_any`, or `out` is a file.
        DataDefectError: As `read_any`; nothing is written then.
    """
    several = list(paths)
    examined = examine(read_parts(several, bar), now=now)
    examined.report.raise_if_unusable(_what(several))
    return write_examined(examined, out)


def write_examined(examined: Examined, out: str | Path) -> Imported:
    """Merge what the doctor passed and write it to the folder `out`; see `import_panel`."""
    folder = Path(out)
    if folder.exists() and not folder.is_dir():
        raise DataFormatError(f"{folder} is a file", hint="give --out a folder")
    panel = build_panel(examined)
    return Imported(panel, examined.report, panel.save(folder / PANEL_FILE))


def _what(paths: list[str | Path]) -> str:
    return Path(paths[0]).name + (f" and {len(paths) - 1} more" if len(paths) > 1 else "")
