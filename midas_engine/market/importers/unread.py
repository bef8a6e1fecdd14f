"""What lies in a folder and is not read: hidden places are passed over, all else that may be data is named."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from midas_engine.market.store.manifest import MANIFEST, is_manifest

if TYPE_CHECKING:
    from pathlib import Path, PurePath

READ = (
    ".csv", ".tsv", ".txt", ".json", ".jsonl", ".ndjson", ".parquet", ".pq", ".feather", ".arrow",
    ".zip", ".gz", ".zst", ".bz2", ".xz",
)  # fmt: skip
# What is no data whatever its content; everything else is named.
_NO_DATA = frozenset(
    (
        ".md", ".rst", ".py", ".pyc", ".ipynb", ".r", ".jl", ".js", ".ts", ".sh", ".bat", ".ps1", ".log", ".png",
        ".jpg", ".jpeg", ".gif", ".svg", ".pdf", ".html", ".htm", ".css", ".toml", ".yaml", ".yml", ".ini", ".cfg",
        ".conf", ".lock", ".checksum", ".sha256", ".md5", ".asc", ".sig", ".url", ".lnk", ".db-wal", ".db-shm",
    )
)  # fmt: skip
_SYSTEM = frozenset(("thumbs.db", "desktop.ini", "license", "makefile", "dockerfile", "icon\r"))
_UNFINISHED = frozenset((".part", ".partial", ".tmp", ".crdownload", ".download", ".aria2"))
_NAMED = 3


def hidden(path: PurePath) -> bool:
    """Whether a path inside a folder or an archive leads through what systems hide: `.git`, `__MACOSX`, `._x.csv`."""
    return any(part.startswith(".") or part == "__MACOSX" for part in path.parts)


def files_below(folder: Path) -> list[Path]:
    """Files below a folder that are not hidden and not of a market store in it, by name."""
    found = sorted(p for p in folder.rglob("*") if not hidden(p.relative_to(folder)) and p.is_file())
    stores = [p.parent for p in found if p.name == MANIFEST and is_manifest(p)]
    return [p for p in found if not any(store in p.parents for store in stores)]


def unread(folder: Path) -> list[tuple[str, str, int]]:
    """Name, why, and how many, of files that may be data and are in no format that is read: one row a suffix."""
    kinds: dict[str, list[str]] = defaultdict(list)
    for path in files_below(folder):
        suffix = path.suffix.lower()
        if suffix not in READ and suffix not in _NO_DATA and path.name.lower() not in _SYSTEM:
            kinds[suffix].append(path.name)
    rows = []
    for suffix, names in sorted(kinds.items()):
        what = (
            "is a download that was not finished" if suffix in _UNFINISHED
            else f"ends in {suffix}, which Midas does not read" if suffix else "has no suffix that says what it is"
        )  # fmt: skip
        more = f" ({len(names)} such files: {', '.join(names[:_NAMED])}{', ...' if len(names) > _NAMED else ''})"
        rows.append((names[0], f"{names[0]} {what}" + (more if len(names) > 1 else ""), len(names)))
    return rows
