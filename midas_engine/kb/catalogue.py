"""The list of documents that the terminal's tree shows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from midas_engine.errors import KnowledgeBaseError
from midas_engine.kb.documents import seal_state
from midas_engine.kb.frontmatter import decode, heading, parse

if TYPE_CHECKING:
    from midas_engine.kb.files import Entry, FileTree

_KINDS = (
    ("knowledge/features/", "feature"),
    ("knowledge/learnings/", "learning"),
    ("knowledge/regimes/", "regime"),
    ("knowledge/thresholds.json", "thresholds"),
    ("reports/daily/", "report"),
    ("reports/diagnoses/", "diagnosis"),
    ("reports/", "report"),
    ("skills/", "skill"),
    ("proposer/prompts/", "prompt"),
)
_SUFFIXES = (".md", ".json", ".txt", ".csv")


@dataclass(frozen=True, slots=True)
class DocumentInfo:
    """One document of the base.

    Attributes:
        path: Relative to the base's folder.
        title: Its name or first heading; the file name when it has neither.
        kind: feature, learning, regime, thresholds, report, diagnosis, skill, prompt or other.
        changed_at: When its file last changed, UTC.
        damaged: Why it cannot be read; empty when it can.
    """

    path: str
    title: str
    kind: str
    changed_at: datetime
    damaged: str = ""


def kind_of(path: str) -> str:
    """What sort of document lies at `path`."""
    return next((kind for prefix, kind in _KINDS if path.startswith(prefix)), "other")


def _title_and_damage(entry: Entry, data: bytes) -> tuple[str, str]:
    name = entry.path.rpartition("/")[2]
    try:
        text = decode(data)
        if not entry.path.endswith(".md"):
            return name, ""
        document = parse(text)
    except KnowledgeBaseError as error:
        return name, str(error)
    whole = seal_state(document)[0] or kind_of(entry.path) != "feature"
    title = document.title or heading(document.body) or name.removesuffix(".md")
    return title[:200], "" if whole else "the front matter is not what Midas wrote"


class Catalogue:
    """Lists documents, remembering what it read until a file changes."""

    def __init__(self, tree: FileTree) -> None:
        self._tree = tree

    def all(self) -> list[DocumentInfo]:
        """Every document by path. Files of other programs at the root are not documents."""
        found: list[DocumentInfo] = []
        for top in ("knowledge", "proposer", "reports", "skills"):
            for entry in self._tree.walk(top):
                if entry.kind != "file" or entry.path.endswith(_SUFFIXES):
                    title, damaged = self._title(entry)
                    at = datetime.fromtimestamp(entry.changed_ns / 1e9, UTC)
                    found.append(DocumentInfo(entry.path, title, kind_of(entry.path), at, damaged))
        return found

    def _title(self, entry: Entry) -> tuple[str, str]:
        name = entry.path.rpartition("/")[2]
        if entry.kind != "file":
            return name, f"it is a {entry.kind}, not a regular file"
        try:
            return self._tree.cached(entry, "title", _title_and_damage)
        except FileNotFoundError:
            return name, "it vanished while it was read"
        except KnowledgeBaseError as error:
            return name, str(error)

    def text(self, info: DocumentInfo) -> str:
        """The text of a listed document; empty when it is gone or damaged by now."""
        try:
            return decode(self._tree.read(info.path))
        except (FileNotFoundError, KnowledgeBaseError):
            return ""
