"""The manifest: one file that says what the store holds. What it does not name is not in the store."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from midas_engine.errors import DataDefectError
from midas_engine.market.durable import write_durably
from midas_engine.market.store.address import bar_name
from midas_engine.market.store.segment import Segment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MANIFEST = "manifest.json"
FORMAT = 1
_FOLDER = r"(?:bars|revisions)/venue=[a-z0-9_-]+/bar=[0-9a-z]+/month=[0-9]{4}-[0-9]{2}"
_FILE = re.compile(_FOLDER + r"/[0-9]{8}-[0-9]{4}\.parquet")


@dataclass(frozen=True, slots=True)
class Seal:
    """A sealed boundary, fixed at first use.

    Attributes:
        universe: The symbols it was fixed for; empty: all of the venue.
        sealed_from: First sealed bar, seconds since 1970 UTC.
        at: When it was fixed, ISO 8601.
    """

    universe: tuple[str, ...]
    sealed_from: int
    at: str


@dataclass(frozen=True, slots=True)
class Series:
    """All bars of one length of one venue.

    Attributes:
        venue: Whose.
        bar_seconds: How long a bar is.
        phase: Seconds by which the bars' opens lie off multiples of their length.
        months: Files by month (`2025-09`), in time order. In one month a bar of a symbol is in one file only.
        marks: Content mark of each month: it changes when, and only when, a figure does.
        seals: Sealed boundaries.
        revisions: Files with the figures that restated bars had before.
        restated: How many figures were restated.
    """

    venue: str
    bar_seconds: int
    phase: int
    months: dict[str, tuple[Segment, ...]] = field(default_factory=dict)
    marks: dict[str, str] = field(default_factory=dict)
    seals: tuple[Seal, ...] = ()
    revisions: tuple[dict[str, Any], ...] = ()
    restated: int = 0

    @property
    def key(self) -> str:
        """`binance@1h`."""
        return f"{self.venue}@{bar_name(self.bar_seconds)}"

    def segments(self) -> Iterator[Segment]:
        """Every file, in time order."""
        for month in sorted(self.months):
            yield from self.months[month]

    @property
    def symbols(self) -> tuple[str, ...]:
        """Names, sorted."""
        return tuple(sorted({name for segment in self.segments() for name in segment.symbols}))

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns: the price columns first, in the order they are read."""
        found = {name for segment in self.segments() for name in segment.columns}
        first = [c for c in ("open", "high", "low", "close", "volume") if c in found]
        return (*first, *sorted(found - set(first)))

    @property
    def first(self) -> int:
        """Open of the first bar, seconds since 1970; the series must have one."""
        return min(span.first for segment in self.segments() for span in segment.symbols.values())

    @property
    def last(self) -> int:
        """Open of the last bar, seconds since 1970; the series must have one."""
        return max(span.last for segment in self.segments() for span in segment.symbols.values())

    @property
    def mark(self) -> str:
        """Content of the whole series; compaction leaves it as it is."""
        text = json.dumps([self.key, sorted(self.marks.items())])
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()

    def as_json(self) -> dict[str, Any]:
        """As the manifest keeps it."""
        return {
            "venue": self.venue,
            "bar_seconds": self.bar_seconds,
            "phase": self.phase,
            "months": {m: [s.as_json() for s in files] for m, files in sorted(self.months.items())},
            "marks": dict(sorted(self.marks.items())),
            "seals": [{"universe": list(s.universe), "sealed_from": s.sealed_from, "at": s.at} for s in self.seals],
            "revisions": list(self.revisions),
            "restated": self.restated,
        }

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> Series:
        """What `as_json` wrote; ValueError, KeyError or TypeError when it is something else."""
        return cls(
            str(stored["venue"]),
            int(stored["bar_seconds"]),
            int(stored["phase"]),
            {str(m): tuple(Segment.from_json(s) for s in files) for m, files in stored["months"].items()},
            {str(m): str(mark) for m, mark in stored["marks"].items()},
            tuple(Seal(tuple(map(str, s["universe"])), int(s["sealed_from"]), str(s["at"])) for s in stored["seals"]),
            tuple(dict(r) for r in stored["revisions"]),
            int(stored["restated"]),
        )


@dataclass(frozen=True, slots=True)
class Manifest:
    """What the store holds.

    Attributes:
        number: How often the manifest was written; names of files begin with it.
        series: By key (`binance@1h`).
    """

    number: int = 0
    series: dict[str, Series] = field(default_factory=dict)

    def files(self) -> set[str]:
        """Every file that belongs to the store."""
        found = {s.file for series in self.series.values() for s in series.segments()}
        return found | {str(r["file"]) for series in self.series.values() for r in series.revisions}

    def after(self, series: Series, number: int) -> Manifest:
        """The manifest with `series` in place of the one of that key, or without it when it has no bars and no seal."""
        kept = {key: other for key, other in self.series.items() if key != series.key}
        if series.months or series.seals:
            kept[series.key] = series
        return replace(self, number=number, series=dict(sorted(kept.items())))


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Put the manifest in its place: from here on the store is what it says.

    Raises:
        OSError: The disk refused; the old manifest holds.
    """
    body = {"number": manifest.number, "series": {k: s.as_json() for k, s in manifest.series.items()}}
    text = json.dumps(body, separators=(",", ":"), ensure_ascii=False)
    head = {"format": FORMAT, "sha256": hashlib.sha256(text.encode()).hexdigest()}
    data = f"{json.dumps(head)}\n{text}\n".encode()
    write_durably(folder / MANIFEST, lambda stream: stream.write(data))


def is_manifest(path: Path) -> bool:
    """Whether a file begins as a manifest does, sound or not."""
    try:
        with open(path, "rb") as stream:
            head = json.loads(stream.readline(200))
        return isinstance(head, dict) and set(head) == {"format", "sha256"}
    except (OSError, ValueError, RecursionError):
        return False


def read_manifest(folder: Path) -> Manifest:
    """The manifest of the store in `folder`; an empty one when nothing was ever written there.

    Raises:
        DataDefectError: It is damaged, was written by a newer Midas, or cannot be read.
    """
    path = folder / MANIFEST
    try:
        head, _, text = path.read_bytes().partition(b"\n")
    except FileNotFoundError:
        orphan = next((folder / "bars").rglob("*.parquet"), None)
        if orphan is None:
            return Manifest()
        raise DataDefectError(
            f"{path} is missing, and there are files of bars beside it, such as {orphan.name}",
            hint="restore it from a copy; or move the folder aside and import its files again, by "
            "`midas data import FOLDER/bars --venue NAME`: sealed boundaries are lost with it",
        ) from None
    except OSError as error:
        raise DataDefectError(f"{path} cannot be read: {error.strerror or error}") from error
    restore = "restore the store's folder from a copy, or move it aside and import again"
    try:
        said = json.loads(head)
        version, seal = int(said["format"]), str(said["sha256"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DataDefectError(f"{path} is no manifest of a market store", hint=restore) from error
    if version != FORMAT:
        raise DataDefectError(
            f"{path} has format {version}, this Midas knows {FORMAT}", hint="update Midas, or use another `store`"
        )
    if hashlib.sha256(text.removesuffix(b"\n")).hexdigest() != seal:
        raise DataDefectError(f"{path} is damaged: its content is not what was written", hint=restore)
    try:
        body = json.loads(text)
        manifest = Manifest(int(body["number"]), {str(k): Series.from_json(s) for k, s in body["series"].items()})
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DataDefectError(f"{path} cannot be understood: {error}", hint=restore) from error
    strange = next((name for name in manifest.files() if _FILE.fullmatch(name) is None), None)
    if strange is not None:
        raise DataDefectError(f"{path} names {strange[:80]!r}, which is no file of a store", hint=restore)
    return manifest
