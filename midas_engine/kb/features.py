"""The features of a knowledge base: one file each, in the folder of its state."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from midas_engine.errors import DocumentDamagedError, KnowledgeBaseError, NameRefusedError
from midas_engine.kb.documents import damaged_feature, feature_from_bytes
from midas_engine.kb.frontmatter import decode, parse
from midas_engine.kb.names import check_name
from midas_engine.models import FeatureRecord, FeatureState

if TYPE_CHECKING:
    from collections.abc import Iterable

    from midas_engine.kb.files import Entry, FileTree
    from midas_engine.kb.locks import StoreLock
    from midas_engine.kb.transaction import Transactions

FOLDERS: dict[FeatureState, str] = {
    FeatureState.CANDIDATE: "knowledge/features/candidates",
    FeatureState.SHADOW: "knowledge/features/candidates",
    FeatureState.DEPLOYED: "knowledge/features/deployed",
    FeatureState.ARCHIVED: "knowledge/features/archived",
}
_STATES = {folder: state for state, folder in FOLDERS.items() if state is not FeatureState.SHADOW}
_RANK = {FeatureState.ARCHIVED: 3, FeatureState.DEPLOYED: 2, FeatureState.SHADOW: 1, FeatureState.CANDIDATE: 0}
_RETRIES = 25


def feature_path(name: str, state: FeatureState) -> str:
    """Where the file of a feature in `state` lies."""
    return f"{FOLDERS[state]}/{check_name(name)}.md"


def state_of(path: str) -> FeatureState | None:
    """The state that the folder of a feature's file stands for; None for any other file."""
    return _STATES.get(path.rpartition("/")[0])


class FeatureShelf:
    """Reads features as one consistent picture, whatever another process is doing to them."""

    def __init__(self, tree: FileTree, transactions: Transactions, lock: StoreLock) -> None:
        self._tree = tree
        self._transactions = transactions
        self._lock = lock

    def all(self) -> list[FeatureRecord]:
        """Every file of the pipeline, damaged and double ones included, by name."""
        for _ in range(_RETRIES):
            token = self._transactions.token()
            records = self._look()
            if self._transactions.token() == token:
                return records
        with self._lock.hold():  # a writer without a pause; wait for its turn to end
            self._transactions.recover()
            return self._look()

    def mark(self) -> object:
        """Equal to an earlier mark when no file of the pipeline was added, replaced or removed in between.

        The token alone would not do: it changes before the files do. The folders' times have the resolution of the
        file system's clock, so who sees a new mark looks once more a moment later.
        """
        return self._transactions.token(), self._tree.folder_times((*_STATES, ".midas"))

    def _look(self) -> list[FeatureRecord]:
        try:
            pending = self._transactions.pending()
        except DocumentDamagedError:
            pending = None
        decided = dict(pending.files) if pending else {}
        records: list[FeatureRecord] = []
        for folder in _STATES:
            records.extend(
                self._read(entry)
                for entry in self._tree.entries(folder)
                if entry.path not in decided and (entry.path.endswith(".md") or entry.kind != "file")
            )
        for path, text in decided.items():
            folder, _, file = path.rpartition("/")
            if text is not None and folder in _STATES:
                records.append(feature_from_bytes(text.encode(), file.removesuffix(".md"), _STATES[folder], path))
        return _without_doubles(records)

    def _read(self, entry: Entry) -> FeatureRecord:
        folder, _, file = entry.path.rpartition("/")
        name, state = file.removesuffix(".md"), _STATES[folder]
        if entry.kind != "file":
            return damaged_feature(name, state, entry.path, f"it is a {entry.kind}, not a regular file")
        try:
            return self._tree.cached(entry, "feature", lambda e, data: feature_from_bytes(data, name, state, e.path))
        except FileNotFoundError:
            return damaged_feature(name, state, entry.path, "it vanished while it was read")
        except KnowledgeBaseError as error:
            return damaged_feature(name, state, entry.path, str(error))

    def find(self, name: str) -> FeatureRecord | None:
        """The feature called `name`, in whatever state; None if there is none.

        Raises:
            NameRefusedError: The name is not allowed.
            DocumentDamagedError: Its file cannot be read.
        """
        check_name(name)
        damaged: FeatureRecord | None = None
        for record in self.all():
            if record.name == name:
                if not record.damaged:
                    return record
                damaged = record
        if damaged is not None:
            raise DocumentDamagedError(f"{damaged.path}: {damaged.damaged}", hint="see `midas kb check`")
        return None

    def body(self, record: FeatureRecord) -> str | None:
        """What stands below the front matter of the feature's file; None when it has no such part."""
        try:
            document = parse(decode(self._tree.read(record.path)))
        except (KnowledgeBaseError, FileNotFoundError):
            return None
        return document.body if document.style == "front matter" else document.body or None

    def free_name(self, base: str) -> str:
        """`base`, or `base_2`, `base_3`... if that is taken in any state or by a damaged file."""
        check_name(base)
        taken = {record.name for record in self.all()}
        stem = re.sub(r"@[0-9]+$", "", base)
        if base not in taken:
            return base
        for number in range(2, 10_000):
            tail = f"_{number}"
            name = stem[: 80 - len(tail)] + tail
            if name not in taken:
                return name
        raise NameRefusedError(f"there are too many features called {base!r}", hint="choose another name")


def _without_doubles(records: Iterable[FeatureRecord]) -> list[FeatureRecord]:
    """One record per name stays whole; the others, which only hands can have made, are marked damaged.

    A killed one wins over all: copying a file never revives what was killed. Then the latest change
    wins, and of two as late the one further along.
    """
    chosen: dict[str, FeatureRecord] = {}
    result: list[FeatureRecord] = []
    for record in sorted(records, key=lambda r: (r.name, r.path)):
        if record.damaged:
            result.append(record)
            continue
        other = chosen.get(record.name)
        if other is None:
            chosen[record.name] = record
            continue
        winner, loser = (record, other) if _weight(record) > _weight(other) else (other, record)
        chosen[record.name] = winner
        result.append(
            damaged_feature(loser.name, loser.state, loser.path, f"a second file of this feature; {winner.path} counts")
        )
    return sorted([*chosen.values(), *result], key=lambda r: (r.name, r.path))


def _weight(record: FeatureRecord) -> tuple[bool, float, int]:
    return (record.killed, record.changed_at.timestamp() if record.changed_at else 0.0, _RANK[record.state])
