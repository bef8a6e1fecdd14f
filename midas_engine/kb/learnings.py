"""Learning documents: what a session or a diagnosis taught, as Markdown that people read and prompts quote."""

from __future__ import annotations

import contextlib
import dataclasses
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from midas_engine.errors import DocumentDamagedError, KnowledgeBaseError, NameRefusedError
from midas_engine.kb.documents import moment, seal
from midas_engine.kb.frontmatter import Document, clean, decode, parse, render
from midas_engine.kb.names import slugify
from midas_engine.models import LearningDocument
from midas_engine.redaction import redact, redacted

if TYPE_CHECKING:
    from midas_engine.kb.files import Entry, FileTree

FOLDER = "knowledge/learnings"
REVOKED = f"{FOLDER}/revoked"
LOOPS = ("offline", "online")

MAX_LINE = 300
MAX_PROSE = 8_000
MAX_BODY = 60_000
MAX_ITEMS = 200
MAX_METRICS = 200

_SECTIONS = {
    "pattern_identified": "Pattern identified",
    "what_worked": "What worked",
    "what_failed": "What failed",
    "recommendation": "Recommendation",
}
_LINES = ("title", "loop", "result", "research_goal", "regime", "session_id", "feature", "provenance")
_LISTS = ("expressions", "accepted", "tags")
_NOTES = "Notes"
# Bold fields of the original's documents, by the snake case of what stood between the stars.
_ORIGINAL = {"goal": "research_goal", "pattern": "pattern_identified", "failed": "what_failed", "worked": "what_worked"}


def bounded(document: LearningDocument) -> LearningDocument:
    """The document as it will be stored: lines are lines, text is cut at its bound and says so."""
    changes: dict[str, Any] = {key: _line(getattr(document, key)) for key in _LINES}
    changes |= {key: _prose(getattr(document, key)) for key in _SECTIONS}
    for key in _LISTS:
        limit = 4096 if key == "expressions" else MAX_LINE
        changes[key] = tuple(_line(str(item), limit) for item in getattr(document, key)[:MAX_ITEMS])
    changes["body"] = _cut(_plain(document.body).strip(), MAX_BODY)
    changes["metrics"] = clean(dict(list(document.metrics.items())[:MAX_METRICS]))
    at = document.created_at
    changes["created_at"] = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    if changes["loop"] not in LOOPS:
        raise DocumentDamagedError(f"a learning belongs to the loop offline or online, not {changes['loop'][:40]!r}")
    return dataclasses.replace(document, **changes)


def _plain(text: str) -> str:
    return str(clean(str(text))).replace("\r\n", "\n").replace("\r", "\n")


def _line(text: str, limit: int = MAX_LINE) -> str:
    return _cut(" ".join(_plain(text).split()), limit)


def _prose(text: str) -> str:
    # Top headings are the document's own; in prose they would be taken for its sections.
    return _cut(re.sub(r"^[ \t]*#{1,2}(?=[ \t])", "###", _plain(text), flags=re.MULTILINE).strip(), MAX_PROSE)


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 8].rstrip() + " … [cut]"


def learning_text(document: LearningDocument) -> str:
    """The file of a bounded learning."""
    document = redacted(document)  # before it is sealed
    fields: dict[str, Any] = {key: getattr(document, key) for key in _LINES if getattr(document, key)}
    fields["created_at"] = document.created_at.isoformat()
    fields |= {key: list(getattr(document, key)) for key in _LISTS if getattr(document, key)}
    if document.metrics:
        fields["metrics"] = document.metrics
    fields = clean(fields)
    parts = [f"# {document.title}"]
    for key, title in _SECTIONS.items():
        if getattr(document, key):
            parts += [f"## {title}", getattr(document, key)]
    if document.body:
        parts += [f"## {_NOTES}", document.body]
    body = "\n" + "\n\n".join(parts) + "\n"
    fields["seal"] = seal(fields, body)
    return render(fields, body)


def learning_from_document(document: Document, path: str, changed_at: datetime) -> LearningDocument:
    """The learning in a parsed file, the original's form included.

    Raises:
        DocumentDamagedError: A field has the wrong type.
    """
    fields: dict[str, Any] = dict(document.fields)
    if document.style != "front matter":
        for name, key in _ORIGINAL.items():
            if name in fields:
                fields.setdefault(key, fields[name])
        for key in _LISTS:
            if isinstance(fields.get(key), str):
                fields[key] = [item.strip(" `") for item in fields[key].split(",")]
    loop = path.removeprefix(f"{FOLDER}/").split("/")[0]
    values: dict[str, Any] = {key: _as_text(fields, key) for key in _LINES}
    values["loop"] = values["loop"] if values["loop"] in LOOPS else (loop if loop in LOOPS else "offline")
    values["title"] = values["title"] or document.title or path.rpartition("/")[2].removesuffix(".md")
    values |= {key: _as_list(fields, key) for key in _LISTS}
    metrics = fields.get("metrics") or {}
    values["metrics"] = metrics if isinstance(metrics, dict) else {}
    sections, notes = _split(document.body)
    for key, title in _SECTIONS.items():
        values[key] = sections.get(title.lower()) or (_as_text(fields, key) if key in fields else "")
    known = any(title.lower() in sections for title in _SECTIONS.values())
    values["body"] = notes if notes is not None else "" if document.style == "front matter" else document.body.strip()
    if document.style == "front matter" and notes is None and not known:
        values["body"] = re.sub(r"\A\s*# [^\n]*\n?", "", document.body).strip()
    try:
        created = moment(fields, "created_at") or moment(fields, "date") or changed_at
    except DocumentDamagedError:
        if document.style == "front matter":
            raise
        created = changed_at
    return LearningDocument(created_at=created, path=path, **values)


def _split(body: str) -> tuple[dict[str, str], str | None]:
    head, mark, notes = body.partition(f"\n## {_NOTES}\n")
    sections: dict[str, list[str]] = {}
    current: list[str] = []
    for line in head.split("\n"):
        title = line[2:].strip().lower() if line.startswith("## ") else ""
        if title:
            current = sections[title] = []
        else:
            current.append(line)
    return {title: "\n".join(lines).strip() for title, lines in sections.items()}, notes.strip() if mark else None


def _sequence(path: str) -> int:
    """Which of the same-second learnings of one title this is."""
    match = re.search(r"-([0-9]{1,6})\.md\Z", path)
    return int(match[1]) if match else 1


def _as_text(fields: dict[str, Any], key: str) -> str:
    value = fields.get(key)
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, int | float):
        return str(value)
    raise DocumentDamagedError(f"`{key}` is not text")


def _as_list(fields: dict[str, Any], key: str) -> tuple[str, ...]:
    value = fields.get(key)
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(v, str | int | float) for v in value):
        raise DocumentDamagedError(f"`{key}` is not a list of texts")
    return tuple(str(v) for v in value)


def _learning_or_damage(entry: Entry, data: bytes) -> LearningDocument | str:
    changed_at = datetime.fromtimestamp(entry.changed_ns / 1e9, UTC)
    try:
        return learning_from_document(parse(decode(data)), entry.path, changed_at)
    except KnowledgeBaseError as error:
        return str(error)


class LearningShelf:
    """Writes and lists learnings; needs the store's lock to write."""

    def __init__(self, tree: FileTree) -> None:
        self._tree = tree

    def save(self, document: LearningDocument) -> LearningDocument:
        """Write a learning under a name of its own; returns it as stored, with its path."""
        stored = bounded(document)
        stem = f"{stored.created_at:%Y%m%d-%H%M%S}-{slugify(stored.title, fallback='learning', limit=48)}"
        path = self._write_new(f"{FOLDER}/{stored.loop}/{stem}", learning_text(stored).encode())
        return dataclasses.replace(stored, path=path)

    def _write_new(self, stem: str, data: bytes) -> str:
        """Write under `stem`, numbered when that is taken; returns the path."""
        taken = {entry.path for entry in self._tree.entries(stem.rpartition("/")[0])}
        for number in range(1, 100_000):
            path = f"{stem}.md" if number == 1 else f"{stem}-{number}.md"
            if path not in taken:
                with contextlib.suppress(FileExistsError):
                    self._tree.write(path, data, replace=False)
                    return path
        raise KnowledgeBaseError(f"there are too many documents called {stem}")

    def read(self, entry: Entry) -> LearningDocument | str:
        """The learning of a file, or why it cannot be read."""
        if entry.kind != "file":
            return f"it is a {entry.kind}, not a regular file"
        try:
            return self._tree.cached(entry, "learning", _learning_or_damage)
        except FileNotFoundError:
            return "it vanished while it was read"
        except KnowledgeBaseError as error:
            return str(error)

    def all(self, loop: str | None = None) -> list[LearningDocument]:
        """Every readable learning, newest first; damaged and revoked ones are left out."""
        found: list[LearningDocument] = []
        for each in LOOPS if loop is None else (loop,):
            if each not in LOOPS:
                raise NameRefusedError(f"there is no loop {each[:40]!r}", hint="offline or online")
            for entry in self._tree.walk(f"{FOLDER}/{each}"):
                if entry.path.endswith(".md"):
                    learning = self.read(entry)
                    if isinstance(learning, LearningDocument):
                        found.append(learning)
        return sorted(found, key=lambda d: (d.created_at, _sequence(d.path), d.path), reverse=True)

    def revoke(self, path: str, reason: str = "") -> str:
        """Set a learning aside so that no prompt quotes it again, the reason beside it; returns where it is now."""
        if not path.startswith(FOLDER) or path.startswith(REVOKED):
            raise NameRefusedError(f"{path[:120]!r} is not a learning", hint=f"it lies under {FOLDER}/")
        name = path.rpartition("/")[2]
        try:
            data = self._tree.read(path)
        except FileNotFoundError as error:
            aside = any(entry.path.endswith(f"/{name}") for entry in self._tree.walk(REVOKED))
            raise NameRefusedError(
                f"there is no learning {path[:120]!r}",
                hint=f"it was revoked: {REVOKED}/{name[:120]}" if aside else "midas learnings lists them",
            ) from error
        target = self._write_new(f"{REVOKED}/{name.removesuffix('.md')}", data)
        if reason:
            self._tree.write(f"{target.removesuffix('.md')}.reason.txt", (redact(_line(reason, 2_000)) + "\n").encode())
        self._tree.remove(path)
        return target
