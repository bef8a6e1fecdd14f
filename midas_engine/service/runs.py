"""Recorded runs: the events of every run of the service, in the base, with an index, within a cap."""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from midas_engine.alive import Alive, is_alive
from midas_engine.errors import KnowledgeBaseError
from midas_engine.events import BarProcessed, Event, ReplayMoved, TokensStreamed
from midas_engine.regular import open_regular
from midas_engine.service.wire import WireError, event_of, packed, unpacked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from midas_engine.clock import Clock

SCHEMA = 1
SEGMENT_BYTES = 8_000_000
MOST_WAITING = 200_000
SKIPPED = (TokensStreamed, ReplayMoved)
_NAME = re.compile(r"\d{8}T\d{6}-[0-9a-f]{6}")
_SEGMENT = re.compile(r"events-(\d{6})\.jsonl")


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the service.

    Attributes:
        id: Its name: when it began, and six signs.
        began: When.
        source: Where its bars came from.
        bar_seconds: Length of a bar.
        ended: How: "running", "stopped", or "cut off" when nothing was written at its end.
        events: How many are kept; None while that is not counted.
        bars: Bars among them; None likewise.
        size: Bytes on disk.
        first: Number of its oldest segment that is kept; above 0 the beginning has gone under the cap.
    """

    id: str
    began: datetime
    source: str
    bar_seconds: int
    ended: str
    events: int | None
    bars: int | None
    size: int
    first: int = 0


class Runs:
    """The runs of a base.

    Args:
        folder: Where they lie, one folder each.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def all(self) -> list[Run]:
        """Every run, newest first; what cannot be read is left out."""
        found = []
        with contextlib.suppress(OSError):
            for name in sorted(os.listdir(self.folder), reverse=True):
                if _NAME.fullmatch(name):
                    with contextlib.suppress(KnowledgeBaseError):
                        found.append(self.read(name))
        return found

    def find(self, name: str) -> Run:
        """A run by its name, its beginning, or "last".

        Raises:
            KnowledgeBaseError: There is none, or several begin so.
        """
        known = self.all()
        if name in ("", "last"):
            if known:
                return known[0]
            raise KnowledgeBaseError("no run is recorded", hint="midas run records one (service.record)")
        chosen = [run for run in known if run.id.startswith(name)]
        if len(chosen) == 1:
            return chosen[0]
        what = f"{len(chosen)} runs begin with {name[:40]!r}" if chosen else f"there is no run {name[:40]!r}"
        raise KnowledgeBaseError(what, hint="`midas runs` lists them")

    def read(self, name: str) -> Run:
        """What the index and the folder of a run say.

        Raises:
            KnowledgeBaseError: It is none, or a newer Midas wrote it.
        """
        folder = self.folder / name
        try:
            handle = open_regular(folder / "run.json", os.O_RDONLY)
            with os.fdopen(handle, "rb") as file:
                index = json.loads(file.read(100_000))
            if int(index["schema"]) > SCHEMA:
                raise KnowledgeBaseError(f"run {name} was written by a newer Midas", hint="update this one")
            segments = self.segments(name)
            size = sum((folder / f"events-{n:06d}.jsonl").stat().st_size for n in segments)
            ended = str(index.get("ended", ""))
            if not ended:
                ended = "running" if is_alive(folder / "alive") else "cut off"
            return Run(
                name,
                datetime.fromisoformat(index["began"]),
                str(index["source"]),
                int(index["bar_seconds"]),
                ended,
                index.get("events"),
                index.get("bars"),
                size,
                min(segments, default=0),
            )
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise KnowledgeBaseError(f"run {name} cannot be read: {error}", hint="remove its folder") from error

    def segments(self, name: str) -> list[int]:
        """Numbers of a run's segments that are kept, in order."""
        found = []
        for file in os.listdir(self.folder / name):
            match = _SEGMENT.fullmatch(file)
            if match:
                found.append(int(match[1]))
        return sorted(found)

    def events(self, name: str) -> Iterator[Event]:
        """A run's events, oldest first. A line that was not finished, or that cannot be read, is passed by."""
        for number in self.segments(name):
            try:
                handle = open_regular(self.folder / name / f"events-{number:06d}.jsonl", os.O_RDONLY)
            except OSError:
                continue
            with os.fdopen(handle, "rb") as file:
                for line in file:
                    try:
                        event = event_of(unpacked(line)) if line.endswith(b"\n") else None
                    except WireError:
                        continue
                    if event is not None:
                        yield event

    def drop_before(self, at: datetime, *, keep: str = "") -> int:
        """Remove whole runs that were last written before `at`, and are neither `keep` nor running; how many went."""
        gone = 0
        for run in self.all():
            if run.id == keep or run.ended == "running":
                continue
            last = run.began.timestamp()
            for number in self.segments(run.id):
                with contextlib.suppress(OSError):
                    last = max(last, (self.folder / run.id / f"events-{number:06d}.jsonl").stat().st_mtime)
            if last < at.timestamp():
                _remove(self.folder / run.id)
                gone += 1
        return gone

    def prune(self, most_bytes: int, *, keep: str = "") -> int:
        """Remove the oldest segments until what is left fits; the newest segment of run `keep` stays. Bytes removed."""
        sizes: list[tuple[str, int, int]] = []
        for run in reversed(self.all()):
            for number in self.segments(run.id):
                with contextlib.suppress(OSError):
                    path = self.folder / run.id / f"events-{number:06d}.jsonl"
                    sizes.append((run.id, number, path.stat().st_size))
        total, removed = sum(size for _, _, size in sizes), 0
        newest = max((n for name, n, _ in sizes if name == keep), default=-1)
        for name, number, size in sizes:
            if total - removed <= most_bytes:
                break
            if (name, number) == (keep, newest):
                continue
            with contextlib.suppress(OSError):
                (self.folder / name / f"events-{number:06d}.jsonl").unlink()
                removed += size
            if name != keep and not self.segments(name):
                _remove(self.folder / name)
        return removed


def _remove(folder: Path) -> None:
    with contextlib.suppress(OSError):
        for file in folder.iterdir():
            file.unlink()
        folder.rmdir()


class RunRecorder:
    """Writes the events of this run, in batches, off the event loop.

    Args:
        runs: Where to.
        clock: Says when it began.
        most_bytes: What all runs together may take.
        fault: Told (message, hint) once per stretch in which nothing can be written.

    Attributes:
        dropped: Events that were lost because the disk did not take them.
    """

    def __init__(self, runs: Runs, clock: Clock, most_bytes: int, fault: Callable[[str, str], None]) -> None:
        self._runs, self._clock, self._most, self._fault = runs, clock, most_bytes, fault
        self._waiting: deque[Event] = deque()
        self._handle, self._segment, self._size = -1, 0, 0
        self._alive: Alive | None = None
        self._failing = False
        self.events = self.bars = self.dropped = 0
        self.name = ""
        self._facts: dict[str, Any] = {}

    def begin(self, source: str, bar_seconds: int) -> None:
        """Make the run's folder. Blocks; call it in a thread.

        Raises:
            OSError: It cannot be made.
        """
        import secrets

        now = self._clock.now().astimezone(UTC)
        self.name = f"{now:%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"
        folder = self._runs.folder / self.name
        folder.mkdir(mode=0o700, parents=True)
        self._alive = Alive(folder / "alive")
        self._facts = {"schema": SCHEMA, "began": now.isoformat(), "source": source, "bar_seconds": bar_seconds}
        self._write_index()
        self._open(0)

    def _write_index(self, **more: Any) -> None:
        path = self._runs.folder / self.name / "run.json"
        young = path.with_name("run.json.new")
        handle = open_regular(young, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump({**self._facts, **more}, file)
        os.replace(young, path)

    def _open(self, number: int) -> None:
        if self._handle >= 0:
            os.close(self._handle)
        path = self._runs.folder / self.name / f"events-{number:06d}.jsonl"
        self._handle = open_regular(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self._segment, self._size = number, 0

    def take(self, event: Event) -> None:
        """Queue an event; never blocks."""
        if isinstance(event, SKIPPED):
            return
        if len(self._waiting) >= MOST_WAITING:
            self._waiting.popleft()
            self.dropped += 1
        self._waiting.append(event)

    def flush(self) -> None:
        """Write what waits. Blocks; call it in a thread, one at a time. A disk that refuses is told once."""
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(2_000, len(self._waiting)))]
            data = b"".join(packed(event) + b"\n" for event in batch)
            try:
                if self._size > SEGMENT_BYTES:
                    self._open(self._segment + 1)
                    self._runs.prune(self._most, keep=self.name)
                if os.write(self._handle, data) != len(data):
                    raise OSError("the disk took only a part of it")
            except OSError as error:
                self.dropped += len(batch)
                if not self._failing:
                    self._fault(f"the run is not recorded: {error}", "free some space; what came meanwhile is lost")
                self._failing = True
                return
            self._failing = False
            self._size += len(data)
            self.events += len(batch)
            self.bars += sum(isinstance(event, BarProcessed) for event in batch)

    @property
    def failing(self) -> bool:
        """Whether the disk refused the newest events."""
        return self._failing

    def close(self) -> None:
        """Write what waits and how it ended; twice is fine. Blocks."""
        if self._handle < 0:
            return
        self.flush()
        os.close(self._handle)
        self._handle = -1
        with contextlib.suppress(OSError):
            self._write_index(ended="stopped", events=self.events, bars=self.bars, dropped=self.dropped)
            self._runs.prune(self._most, keep=self.name)
        if self._alive is not None:
            self._alive.release()
