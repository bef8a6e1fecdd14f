"""Kills a second time, outside the journal: one small file whose lines are sealed, appended and synced.

A line is written with one `write` on a descriptor opened for appending, then `fsync`: no lock is needed, so neither a
process that sits on the journal nor one that holds the base's lock can delay a kill, and several processes may write
at once. Each line says its length and checksum and how many sound lines its writer saw before it. So a line that a
dying writer left unfinished is told apart from damage, and a line that was lost in the middle shows. What was cut off
at a line's end shows only beside the other record, the journal: whoever starts a monitor compares the two.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from midas_engine.errors import DocumentDamagedError, KnowledgeBaseError
from midas_engine.kb.atomic import atomic_write, disk_error, read_bytes, sync_folder
from midas_engine.kb.names import split_version
from midas_engine.kb.sealed_lines import append_synced, opened, sealed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

NAME = "kills.log"
MAX_BYTES = 20_000_000
_NOT_A_FILE = frozenset({errno.ELOOP, errno.ENXIO, errno.EISDIR})


@dataclass(frozen=True, slots=True)
class Kill:
    """One kill that holds.

    Attributes:
        id: Unique; what says "told", "archived" or "ended" names it.
        actor: "operator" or "detector".
        via: Where it was given: "terminal", "command line", "Python"; may be empty.
        at: When, ISO.
        bar: Number of the newest bar its monitor knew; -1 when no monitor gave it.
        told: `on_kill` was called and returned.
        archived: The pipeline has it.
    """

    id: str
    feature: str
    version: int
    reason: str
    actor: str
    via: str
    at: str
    bar: int = -1
    told: bool = False
    archived: bool = False


@dataclass(frozen=True, slots=True)
class Kills:
    """What the file says.

    Attributes:
        kills: The kills that hold, by feature.
        ended: Ids of kills that a named redeploy ended.
        lives: When a feature was last let live again, ISO.
        file_id: Tells this file from one that replaced it; empty when there is none.
        kept: The journal has had a copy of these kills.
        damage: What is wrong with the file; empty when it is sound.
        torn: Its last line is unfinished: its writer died, and nobody was told of it.
    """

    kills: Mapping[str, Kill] = field(default_factory=dict)
    ended: frozenset[str] = frozenset()
    lives: Mapping[str, str] = field(default_factory=dict)
    file_id: str = ""
    kept: bool = False
    damage: str = ""
    torn: bool = False
    lines: int = 0

    @property
    def missing(self) -> bool:
        """There is no file."""
        return not self.file_id and not self.damage

    @property
    def pending(self) -> list[Kill]:
        """Kills whose `on_kill` has not returned yet."""
        return [kill for kill in self.kills.values() if not kill.told]


class KillFile:
    """The file of kills. Every method is short, blocking, and safe beside other processes.

    Args:
        path: The file; it is made with the first line.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def signature(self) -> tuple[int, int, int] | None:
        """Changes whenever the file did, for one `stat`; None when there is none."""
        try:
            info = os.lstat(self.path)
        except OSError:
            return None
        return info.st_ino, info.st_size, info.st_mtime_ns

    def read(self) -> Kills:
        """What the file says; of a damaged one, what its sound lines say."""
        try:
            data = read_bytes(self.path, limit=MAX_BYTES)
        except FileNotFoundError:
            return Kills()
        except (DocumentDamagedError, OSError) as error:
            return Kills(damage=str(error))
        return _read(data, self.path.name)

    # -- writing ---------------------------------------------------------------------------------

    def latch(
        self,
        feature: str,
        *,
        reason: str,
        actor: str,
        at: datetime,
        via: str = "",
        bar: int = -1,
        id: str = "",
    ) -> Kill:
        """Write a kill; returns it, or the one that holds already. When this returns it survives a power cut.

        Raises:
            KnowledgeBaseError: The disk refused.
        """
        return self.keep(Kill(id, feature, split_version(feature)[1], reason, actor, via, at.isoformat(), bar))

    def keep(self, kill: Kill) -> Kill:
        """Write a kill as it is, with a name if it has none; returns it, or the one that holds already."""
        held = self.read().kills.get(kill.feature)
        if held is not None:
            return held
        kept = replace(kill, id=kill.id or secrets.token_hex(8))
        self._append([_line_of(kept)])
        return kept

    def keep_all(self, kills: Sequence[Kill]) -> None:
        """Write many kills with one write and one sync; those that hold already are left as they are."""
        held = self.read().kills
        fresh = {kill.feature: replace(kill, id=kill.id or secrets.token_hex(8)) for kill in kills}
        lines = [_line_of(kill) for name, kill in fresh.items() if name not in held]
        if lines:
            self._append(lines)

    def told(self, id: str) -> None:
        """Note that the callback of a kill has returned."""
        self._append([{"op": "told", "id": id}])

    def archived(self, id: str) -> None:
        """Note that the pipeline has a kill."""
        self._append([{"op": "archived", "id": id}])

    def kept(self) -> None:
        """Note that the journal has a copy; also seals a line that a dead writer left unfinished."""
        self._append([{"op": "kept"}])

    def let_live(self, feature: str, *, reason: str, actor: str, at: datetime, via: str = "") -> None:
        """End the kill of a feature: a redeploy by its name, and nothing else."""
        held = self.read().kills.get(feature)
        ends = [] if held is None else [held.id]
        line = {"op": "live", "feature": feature, "ends": ends, "reason": reason, "actor": actor, "via": via}
        self._append([{**line, "at": at.isoformat()}])

    def rebuild(self, kills: Iterable[Kill], ended: Iterable[str] = (), lives: Mapping[str, str] | None = None) -> str:
        """Put a new file with these kills in the place of what is there, which is set aside; returns its new name."""
        wreck = self.set_aside()
        lines: list[dict[str, Any]] = [{"op": "open", "file": secrets.token_hex(8)}]
        lines += [{"op": "live", "feature": n, "ends": [], "at": at} for n, at in (lives or {}).items()]
        lines += [{"op": "ended", "ends": sorted(ended)}, *(_line_of(kill) for kill in kills)]
        data = b"".join(sealed({**line, "n": n}) for n, line in enumerate(lines))
        try:
            atomic_write(self.path, data, replace=False)
        except FileExistsError:  # another process made it first: add to it
            self._append(lines[1:])
        return wreck

    def set_aside(self) -> str:
        """Rename what is there, whatever it is; returns its new name, empty when nothing was."""
        wreck = self.path.with_name(f"{self.path.name}.damaged-{secrets.token_hex(4)}")
        try:
            os.rename(self.path, wreck)
        except FileNotFoundError:
            return ""
        except OSError as error:
            raise disk_error(error, f"{self.path} cannot be set aside") from error
        sync_folder(self.path.parent)
        return wreck.name

    def make(self) -> None:
        """Make the file if there is none."""
        with contextlib.suppress(FileExistsError):
            head = sealed({"op": "open", "file": secrets.token_hex(8), "n": 0})
            atomic_write(self.path, head, replace=False)

    def _append(self, lines: list[dict[str, Any]]) -> None:
        for _ in range(5):
            try:
                if self._append_once(lines):
                    return
            except FileNotFoundError:
                self.make()
            except OSError as error:
                if error.errno not in _NOT_A_FILE:
                    raise disk_error(error, f"{self.path} was not written") from error
                self.set_aside()  # a pipe, a link or a folder: no place for a kill
        raise KnowledgeBaseError(f"{self.path.name} is replaced all the time", hint="find out by whom")

    def _append_once(self, lines: list[dict[str, Any]]) -> bool:
        """Write and sync; False when the file was replaced meanwhile, so that nobody would find the lines."""
        seen = self.read().lines
        data = b"".join(sealed({**line, "n": seen + place}) for place, line in enumerate(lines))
        return append_synced(self.path, data)


def _line_of(kill: Kill) -> dict[str, Any]:
    fields = {name: getattr(kill, name) for name in Kill.__slots__}
    return {"op": "kill", **fields}


def _read(data: bytes, name: str) -> Kills:
    state, damage, torn = _State(), "", False
    for number, line in opened(data):
        torn = line is None
        if line is None:
            continue
        problem = line if isinstance(line, str) else state.take(line)
        damage = damage or (f"{name}, line {number}: {problem}" if problem else "")
    if not state.file_id and not damage:
        damage = f"{name} has no beginning"
    return Kills(state.kills, frozenset(state.ended), state.lives, state.file_id, state.kept, damage, torn, state.lines)


class _State:
    """Lines folded into what holds now."""

    def __init__(self) -> None:
        self.kills: dict[str, Kill] = {}
        self.ended: set[str] = set()
        self.lives: dict[str, str] = {}
        self.file_id, self.kept, self.lines = "", False, 0
        self._twins: dict[str, str] = {}

    def take(self, line: dict[str, Any]) -> str:
        """Fold one line in; gives what is wrong, or nothing."""
        try:
            missing = int(line["n"]) > self.lines
            self.lines += 1
            self._fold(str(line["op"]), line)
        except (KeyError, TypeError, ValueError) as error:
            return f"it lacks something: {error}"
        return "lines before it are gone" if missing else ""

    def _fold(self, op: str, line: dict[str, Any]) -> None:
        if op == "open":
            self.file_id = self.file_id or str(line["file"])
        elif op == "kill":
            kill = Kill(**{name: line[name] for name in Kill.__slots__})
            held = self.kills.get(kill.feature)
            if held is not None:
                self._twins[kill.id] = held.id  # two processes killed it in the same moment
            elif kill.id not in self.ended:
                self.kills[kill.feature] = kill
        elif op in ("told", "archived"):
            wanted = self._twins.get(str(line["id"]), str(line["id"]))
            for feature, kill in self.kills.items():
                if kill.id == wanted:
                    self.kills[feature] = replace(kill, told=True) if op == "told" else replace(kill, archived=True)
        elif op == "ended":
            self.ended.update(str(name) for name in line["ends"])
        elif op == "live":
            self._live(str(line["feature"]), line)
        elif op == "kept":
            self.kept = True

    def _live(self, feature: str, line: dict[str, Any]) -> None:
        self.ended.update(str(name) for name in line["ends"])
        self.lives[feature] = str(line["at"])
        held = self.kills.get(feature)
        # a kill that the redeploy's writer had not seen yet is newer than what it ended: it holds
        if held is not None and held.id in self.ended:
            del self.kills[feature]


def acknowledged(feature: str, answers: Mapping[str, Mapping[str, str]]) -> bool:
    """Whether every far side that was ordered to stop a feature has said that it did; False where none was."""
    states = answers.get(feature, {})
    return bool(states) and set(states.values()) == {"acknowledged"}


def unanswered(kills: Iterable[Kill], answers: Mapping[str, Mapping[str, str]]) -> list[Kill]:
    """Kills that nobody outside has taken so far: no callback returned, and not every far side acknowledged.

    Args:
        kills: Which.
        answers: How the newest order about each feature stands, by far side.
    """
    return [kill for kill in kills if not kill.told and not acknowledged(kill.feature, answers)]
