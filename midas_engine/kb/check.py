"""`kb check`: everything that is wrong with a base, each with what to do about it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Protocol

from midas_engine.errors import KnowledgeBaseError, NameRefusedError, SettingsError
from midas_engine.kb import seeding
from midas_engine.kb.catalogue import kind_of
from midas_engine.kb.documents import seal_state
from midas_engine.kb.features import FOLDERS
from midas_engine.kb.files import MAX_ENTRIES
from midas_engine.kb.frontmatter import decode, parse
from midas_engine.kb.kill_file import NAME as KILLS
from midas_engine.kb.names import check_name, check_relative, split_version
from midas_engine.kb.problem import Problem
from midas_engine.models import FeatureState

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from midas_engine.kb.files import FileTree
    from midas_engine.kb.kill_file import KillFile
    from midas_engine.kb.transaction import Transactions
    from midas_engine.models import FeatureRecord


_OWN_FILES = (
    "midas.lock", "midas.holder.lock", "monitor.lock", "monitor.holder.lock", "service.lock",
    "service.holder.lock", ".midas/sequence", ".midas/pending.json",
    "journal.sqlite", "journal.sqlite-wal", "journal.sqlite-shm", "journal.sqlite-journal", "journal.sqlite.lock",
)  # fmt: skip


class Checked(Protocol):
    """What the check reads of a base; `KnowledgeBase` is one."""

    @property
    def path(self) -> Path: ...  # noqa: D102
    @property
    def read_only_reason(self) -> str: ...  # noqa: D102
    @property
    def swept(self) -> int: ...  # noqa: D102
    @property
    def kill_file(self) -> KillFile: ...  # noqa: D102
    def features(self) -> list[FeatureRecord]: ...  # noqa: D102
    def damaged_features(self) -> list[FeatureRecord]: ...  # noqa: D102
    def read_document(self, path: str) -> tuple[dict[str, Any], str]: ...  # noqa: D102
    def read_text(self, path: str) -> str: ...  # noqa: D102
    def thresholds(self) -> dict[str, Any]: ...  # noqa: D102


def check(kb: Checked, tree: FileTree, transactions: Transactions) -> list[Problem]:
    """Look at every file once; changes nothing."""
    if not kb.path.is_dir():
        return [Problem(".", f"there is no knowledge base at {kb.path}", "open one with `midas status --kb PATH`")]
    found = [
        *_store(kb, transactions),
        *_kills(kb),
        *_layout(tree),
        *_documents(tree),
        *_features(kb),
        *_thresholds(kb),
    ]
    found += [*_crowded(tree), *_in_the_way(tree)]
    order = {"error": 0, "warning": 1, "note": 2}
    return sorted(found, key=lambda p: (order[p.severity], p.path, p.message))


def _store(kb: Checked, transactions: Transactions) -> Iterator[Problem]:
    if kb.read_only_reason and "read-only" not in kb.read_only_reason:
        yield Problem(
            seeding.SCHEMA_PATH, kb.read_only_reason, "reading works; to write, update Midas or mend the cause"
        )
    if kb.swept:
        yield Problem(
            ".", f"{kb.swept} temporary file(s) of a writer that died were removed", "nothing to do", severity="note"
        )
    if not transactions.idle:
        yield Problem(
            ".midas", "a change is not in the journal yet", "any command that writes finishes it", severity="warning"
        )
    try:
        strays = [n for n in os.listdir(kb.path / ".midas") if n.startswith("pending-damaged-")]
    except OSError:
        strays = []
    for name in strays:
        yield Problem(
            f".midas/{name}",
            "a change that was cut off could not be read and was not made",
            "repeat it, delete this file",
        )


def _kills(kb: Checked) -> Iterator[Problem]:
    state = kb.kill_file.read()
    if state.damage:
        advice = "the next start of a monitor makes it anew from the journal; restore it if the journal is damaged too"
        yield Problem(KILLS, state.damage, advice)
    waiting = [kill.feature for kill in state.kills.values() if not kill.archived]
    live = {r.name for r in kb.features() if r.state in (FeatureState.DEPLOYED, FeatureState.SHADOW)}
    for name in sorted(live.intersection(waiting)):
        yield Problem(KILLS, f"{name} is killed, its file is not moved yet", "any command that writes does", "warning")


def _crowded(tree: FileTree) -> Iterator[Problem]:
    """Folders of which the looks above saw a part only."""
    for folder, number in tree.left_out.items():
        yield Problem(
            folder or ".",
            f"{number:,} of its files are left out of every listing: the newest {MAX_ENTRIES:,} are read",
            "move old files out of the folder",
        )


def _in_the_way(tree: FileTree) -> Iterator[Problem]:
    """Pipes, links and folders where the base keeps files of its own: verbs that need those refuse."""
    for path in _OWN_FILES:
        entry = tree.entry(path)
        if entry is not None and entry.kind != "file":
            yield Problem(path, f"a {entry.kind} stands where a file of the base belongs", "remove it")


def _layout(tree: FileTree) -> Iterator[Problem]:
    for folder in seeding.FOLDERS:
        entry = tree.entry(folder)
        if entry is None:
            yield Problem(folder, "the folder is missing", "open the base once for writing; it is made anew", "warning")
        elif entry.kind != "folder":
            yield Problem(folder, f"a {entry.kind} stands where a folder belongs", "move it elsewhere")
    for path in seeding.seed_paths():
        if tree.entry(path) is None:
            yield Problem(
                path, "a seeded document is missing", "open the base once for writing; it comes back", "warning"
            )


def _documents(tree: FileTree) -> Iterator[Problem]:
    for top in ("knowledge", "proposer", "reports", "skills"):
        for entry in tree.walk(top):
            if entry.kind != "file":
                advice = "put a real file in its place" if entry.kind == "link" else "remove it"
                yield Problem(entry.path, f"a {entry.kind} is not followed or read", advice)
                continue
            if kind_of(entry.path) == "feature":
                continue  # looked at with the pipeline
            try:
                check_relative(entry.path)
            except NameRefusedError as error:
                yield Problem(entry.path, error.message, "rename the file", severity="warning")
            if not entry.path.endswith((".md", ".json", ".txt")) or kind_of(entry.path) == "thresholds":
                continue
            try:
                data = tree.read(entry.path)
                text = decode(data)
                document = parse(text) if entry.path.endswith(".md") else None
            except FileNotFoundError:
                continue
            except KnowledgeBaseError as error:
                yield Problem(entry.path, error.message, error.hint or "mend the file or remove it")
                continue
            if data.startswith(b"\xef\xbb\xbf"):
                yield Problem(entry.path, "it starts with a byte-order mark", "nothing to do; it is ignored", "note")
            if document is not None and seal_state(document) != (True, True):
                yield Problem(entry.path, "it was edited since Midas wrote it", "nothing to do if that was you", "note")
            if kind_of(entry.path) == "prompt" and len(text.strip()) < 40:
                yield Problem(entry.path, "the prompt is nearly empty", "delete it; the default comes back", "warning")


def _features(kb: Checked) -> Iterator[Problem]:
    for record in kb.damaged_features():
        message, _, hint = record.damaged.partition("\n  hint: ")
        yield Problem(record.path, message, hint or "mend the file, or move it out of the base")
    sound = kb.features()
    live: dict[str, str] = {}
    for record in sound:
        if record.state is FeatureState.DEPLOYED:
            base = split_version(record.name)[0]
            if base in live:
                yield Problem(record.path, f"{live[base]} is deployed too", "demote one of the two versions", "warning")
            live[base] = record.name
            if record.expected_score is None:
                yield Problem(
                    record.path,
                    "it has no expected score, so it can be watched but never called dead",
                    f"evaluate it: `midas evaluate` on {record.name}",
                    severity="note",
                )
        if record.killed and record.state is not FeatureState.ARCHIVED:
            yield Problem(
                record.path, "it is killed but not archived", f"`midas kill {record.name} --reason ...` again"
            )
    by_path = {r.path: r for r in sound}
    for state in (FeatureState.CANDIDATE, FeatureState.DEPLOYED, FeatureState.ARCHIVED):
        for record in (r for p, r in by_path.items() if p.startswith(FOLDERS[state])):
            yield from _feature_file(kb, record.path, state)


def _feature_file(kb: Checked, path: str, state: FeatureState) -> Iterator[Problem]:
    try:
        fields, _ = kb.read_document(path)
        document = parse(kb.read_text(path))
    except KnowledgeBaseError:
        return
    said = fields.get("state", state.value)
    if (
        document.style == "front matter"
        and said != state.value
        and not (state is FeatureState.CANDIDATE and said == FeatureState.SHADOW)
    ):
        yield Problem(path, f"the file says {said!r}; its folder says {state.value}", "the folder counts", "warning")
    if not seal_state(document)[1]:
        yield Problem(path, "its notes were edited since Midas wrote it", "nothing to do if that was you", "note")
    if "seal" not in fields:
        yield Problem(path, "it carries no seal", "nothing to do: the next change by Midas seals it", "note")
    try:
        check_name(path.rpartition("/")[2].removesuffix(".md"))
    except NameRefusedError as error:
        yield Problem(path, error.message, "rename the file")


def _thresholds(kb: Checked) -> Iterator[Problem]:
    try:
        kb.thresholds()
    except SettingsError as error:
        yield Problem(
            "knowledge/thresholds.json",
            error.message,
            error.hint or "mend the key; until then the last good set is used",
        )
