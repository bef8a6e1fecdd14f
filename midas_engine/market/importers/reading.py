"""Files in, one panel out: every file read, examined by the doctor, and merged on the grid of the bars."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from midas_engine.errors import DataFormatError
from midas_engine.market.doctor.examine import examine
from midas_engine.market.doctor.report import defect
from midas_engine.market.importers.archive import without_file
from midas_engine.market.importers.budget import Budget
from midas_engine.market.importers.files import NoTable, find_files, read_tables
from midas_engine.market.importers.merge import build_panel
from midas_engine.market.importers.options import ImportOptions, import_options
from midas_engine.market.importers.table import read_table
from midas_engine.market.importers.unread import unread
from midas_engine.market.raw_rows import ASIDE, BARS, Part

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from midas_engine.market.doctor.examine import Examined
    from midas_engine.market.doctor.report import DoctorReport
    from midas_engine.market.panel import Panel

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


def read_parts(paths: Iterable[str | Path], bar: str | None = None, options: ImportOptions | None = None) -> list[Part]:
    """Every part of every file; of klines only those with bars of length `bar`, when it is given.

    A file of a folder, or of an archive, that is no market data is set aside: a part of kind "aside" names it and says
    why. It is refused where it was named itself, or where nothing else is there.

    Raises:
        DataFormatError: A file is in no layout Midas reads, nothing is there, or `bar` is no length.
    """
    said = options or ImportOptions()
    if bar is not None:
        said = replace(said, bar_seconds=import_options(bar=bar).bar_seconds)
    parts: list[Part] = []
    aside: list[NoTable] = []
    budget = Budget()
    seen: set[Path] = set()
    for path in map(Path, paths):
        if path.is_dir():
            aside += [_lost(name) for name in without_file(path)]
            aside += [NoTable(name, DataFormatError(why)) for name, why, _ in unread(path)]
        for file in find_files(path):
            if file in seen:
                continue
            seen.add(file)
            for read in _read_file(file, budget, said):
                if isinstance(read, list):
                    parts += read
                elif read.source == path.name and not path.is_dir():
                    raise read.error
                else:
                    aside.append(read)
    if not parts and aside:
        raise aside[0].error
    parts = [*_one_market(_one_contract(parts)), *(_set_aside(file) for file in aside)]
    return parts if said.bar_seconds is None else _of_length(parts, said.bar_seconds, bar or f"{said.bar_seconds} s")


def _read_file(file: Path, budget: Budget, said: ImportOptions) -> Iterator[list[Part] | NoTable]:
    """The parts of each table of a file, and what of it is none."""
    try:
        for table in read_tables(file, budget):
            if isinstance(table, NoTable):
                yield table
                continue
            try:
                yield read_table(table, said)
            except DataFormatError as error:
                yield NoTable(table.source, error)
    except DataFormatError as error:
        yield NoTable(file.name, error)


def _lost(name: str) -> NoTable:
    return NoTable(name, DataFormatError(f"only the checksum of {name} is here", hint="download the file itself, too"))


def _set_aside(file: NoTable) -> Part:
    import pandas as pd

    found = defect("set-aside", f"not read: {file.error.message}", place=file.source)
    empty = pd.DataFrame({"timestamp": pd.to_datetime([]), "symbol": pd.Categorical([])})
    return Part(file.source, ASIDE, empty, defects=(found,))


def _one_contract(parts: list[Part]) -> list[Part]:
    """The parts, with an error where one symbol was read from the names of two different things."""
    first: dict[tuple[str, str], Part] = {}
    out = []
    for part in parts:
        if part.contract and len(part.frame):
            symbol = str(part.frame["symbol"].iloc[0])
            known = first.setdefault((symbol, part.kind), part)
            if _differ(known.contract, part.contract):
                detail = f"{known.source} and {part.source} are both called {symbol}, and need not be one market"
                found = defect("shared-name", detail, count=len(part.frame), symbol=symbol, place=part.source)
                part = part.with_defects((*part.defects, found))
        out.append(part)
    return out


def _one_market(parts: list[Part]) -> list[Part]:
    """The parts, with an error where the folders of an archive say that they are of several markets."""
    first = next((part for part in parts if part.market), None)
    out = []
    for part in parts:
        if first is not None and part.market and not _same_market(first.market, part.market):
            detail = f"{first.source} is of {first.market} and {part.source} of {part.market}; they are never mixed"
            found = defect("several-markets", detail, count=len(part.frame), place=part.source)
            part = part.with_defects((*part.defects, found))
        out.append(part)
    return out


def _same_market(one: str, other: str) -> bool:
    # "futures" says less than "linear futures", and nothing against it
    return one == other or (one.endswith("futures") and other.endswith("futures") and "futures" in (one, other))


def _differ(one: str, other: str) -> bool:
    guessed = one.startswith("file ") or other.startswith("file ")
    settled = ":" in one and ":" in other
    return one != other and (guessed or settled)


def _of_length(parts: list[Part], seconds: int, said: str) -> list[Part]:
    # A file too small or too full of holes to tell its bar length goes by what the caller says.
    told = [replace(p, bar_seconds=seconds) if p.kind == BARS and p.bar_seconds is None else p for p in parts]
    kept = [p for p in told if p.kind != BARS or p.bar_seconds == seconds]
    if not any(p.kind == BARS for p in kept):
        lengths = sorted({p.bar_seconds for p in parts if p.kind == BARS and p.bar_seconds})
        raise DataFormatError(
            f"no bars of {said} in these files", hint="there are bars of " + ", ".join(f"{n} s" for n in lengths)
        )
    return kept


def read_any(
    paths: Iterable[str | Path],
    bar: str | None = None,
    *,
    options: ImportOptions | None = None,
    now: datetime | None = None,
) -> Panel:
    """One panel from files: klines with whatever funding, open interest and mark prices come along.

    What can be mended without a guess is mended (order, copies, units); all else is refused.

    Args:
        paths: Files or folders.
        bar: Which bar length, such as "1h", when the files hold several.
        options: What the files do not say themselves.
        now: The present; the wall clock's by default.

    Raises:
        DataFormatError: A file is in no layout Midas reads, or there are no klines.
        DataDefectError: The doctor found what forbids computing.
    """
    several = list(paths)
    examined = examine(read_parts(several, bar, options), now=now)
    examined.report.raise_if_unusable(_what(several))
    return build_panel(examined)


def import_panel(
    paths: Iterable[str | Path],
    out: str | Path,
    bar: str | None = None,
    *,
    options: ImportOptions | None = None,
    now: datetime | None = None,
) -> Imported:
    """`read_any`, written to `panel.parquet` in the folder `out`, whole or not at all.

    A panel that is there is replaced in one step: whoever reads it meanwhile sees the old or the new one.

    Raises:
        DataFormatError: As `read_any`, or `out` is a file or lies in what is read.
        DataDefectError: As `read_any`; nothing is written then.
    """
    several = list(paths)
    refuse_inside(out, several)
    examined = examine(read_parts(several, bar, options), now=now)
    examined.report.raise_if_unusable(_what(several))
    return write_examined(examined, out)


def refuse_inside(out: str | Path, paths: Iterable[str | Path]) -> None:
    """Refuse a folder inside what is imported: the next import would read the panel as if it were a dump.

    Raises:
        DataFormatError: `out` lies in one of `paths`, or is one.
    """
    folder = Path(out).resolve()
    for path in map(Path, paths):
        whole = path.resolve()
        if folder == whole or (path.is_dir() and whole in folder.parents):
            raise DataFormatError(
                f"--out {out} lies inside what is imported, {path}",
                hint="give a folder beside it, such as --out ./market; without --out it goes to the market store",
            )


def write_examined(examined: Examined, out: str | Path) -> Imported:
    """Merge what the doctor passed and write it to the folder `out`; see `import_panel`."""
    folder = Path(out)
    if folder.exists() and not folder.is_dir():
        raise DataFormatError(f"{folder} is a file", hint="give --out a folder")
    panel = build_panel(examined)
    return Imported(panel, examined.report, panel.save(folder / PANEL_FILE))


def _what(paths: list[str | Path]) -> str:
    return Path(paths[0]).name + (f" and {len(paths) - 1} more" if len(paths) > 1 else "")


def inspect(
    paths: str | Path | Iterable[str | Path],
    *,
    bar: str | None = None,
    options: ImportOptions | None = None,
    now: datetime | None = None,
) -> DoctorReport:
    """Every defect of a file, of all files of a folder, or of several.

    Args:
        paths: Files or folders.
        bar: Which bar length, such as "1h", when the files hold several.
        options: What the files do not say themselves.
        now: The present; the wall clock's by default.

    Raises:
        DataFormatError: A file is in no layout Midas reads.
    """
    several = [paths] if isinstance(paths, str | Path) else list(paths)
    return examine(read_parts(several, bar, options), now=now).report
