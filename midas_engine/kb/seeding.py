"""What first run leaves on disk: the folders, the skills, the prompts, the thresholds, the schema version."""

from __future__ import annotations

import hashlib
import json
from importlib import resources
from typing import TYPE_CHECKING, Any

from midas_engine.errors import DocumentDamagedError, StoreVersionError
from midas_engine.kb.thresholds import PATH as THRESHOLDS
from midas_engine.kb.thresholds import default_thresholds, strict_json

if TYPE_CHECKING:
    from collections.abc import Iterator
    from importlib.resources.abc import Traversable

    from midas_engine.kb.files import FileTree

SCHEMA = 1
SCHEMA_PATH = "schema.json"
DSL_SKILL = "skills/midas-dsl.md"

FOLDERS = (
    "skills",
    "knowledge/features/candidates",
    "knowledge/features/deployed",
    "knowledge/features/archived",
    "knowledge/learnings/offline",
    "knowledge/learnings/online",
    "knowledge/regimes",
    "proposer/prompts",
    "reports/daily",
    "reports/diagnoses",
)
PROMPTS = ("plan", "generate", "refine", "learn", "diagnose")
# Seeds of earlier versions, by the start of their SHA-256: one that nobody edited is read as today's.
_FORMER = frozenset(
    {
        "e9e9538fc9b605041eac72bf97b98cd5", "62b174b1848d060ac061932d4e2eb0da", "b60a1b7416b6ef2d9009f701e4e7e6dd",
        "a2110587a6631c374ffae6c8a98d5b17", "83568ccdf1e07224d0bf65769ec42b05",
        "f58a58f95f4d535487689e01f1637630", "040fd28c2cd67631bfed59ad438b6b6b",
        "e46d6d0a1aeef558074d7e2ebfdc9c42",
    }
)  # fmt: skip


def as_today(path: str, data: bytes) -> bytes:
    """`data` of a seeded document; that of an earlier version which nobody edited is answered by today's."""
    if hashlib.sha256(data).hexdigest()[:32] not in _FORMER:
        return data
    return written_seeds().get(path, data)


def written_seeds() -> dict[str, bytes]:
    """The seeds that people wrote, by relative path."""
    root = resources.files("midas_engine.kb") / "seeds"
    return dict(_files(root, ""))


def _files(folder: Traversable, prefix: str) -> Iterator[tuple[str, bytes]]:
    for item in sorted(folder.iterdir(), key=lambda i: i.name):
        if item.is_dir():
            if item.name != "__pycache__":
                yield from _files(item, f"{prefix}{item.name}/")
        elif item.name.endswith((".md", ".json")):
            yield f"{prefix}{item.name}", item.read_bytes()


def generated_seeds() -> dict[str, bytes]:
    """The seeds that the program knows best: the language's own description and the evaluator's gates."""
    from midas_engine.dsl import skill_document

    return {
        DSL_SKILL: skill_document().encode(),
        THRESHOLDS: (json.dumps(default_thresholds(), indent=2) + "\n").encode(),
    }


def seed_paths() -> tuple[str, ...]:
    """Every seeded path."""
    return (*written_seeds(), DSL_SKILL, THRESHOLDS)


def plant(tree: FileTree) -> list[str]:
    """Make missing folders and missing seeds; what is there stays. Returns the paths written."""
    for folder in FOLDERS:
        tree.make_folder(folder)
    written: list[str] = []
    missing = [path for path in seed_paths() if tree.entry(path) is None]
    if missing:
        seeds = written_seeds()
        if DSL_SKILL in missing or THRESHOLDS in missing:
            seeds |= generated_seeds()
        for path in missing:
            tree.write(path, seeds[path])
            written.append(path)
    if tree.entry(SCHEMA_PATH) is None:
        tree.write(SCHEMA_PATH, (json.dumps({"schema": SCHEMA, "format": "midas knowledge base"}) + "\n").encode())
        written.append(SCHEMA_PATH)
    return written


def check_schema(tree: FileTree) -> str:
    """Why this program must not write to the base; empty when it may."""
    try:
        record: Any = strict_json(tree.read(SCHEMA_PATH, limit=10_000).decode())
        version = record["schema"]
        if isinstance(version, bool) or not isinstance(version, int):
            raise ValueError("the schema is not a whole number")
    except FileNotFoundError:
        return ""
    except (ValueError, KeyError, TypeError, DocumentDamagedError) as error:
        return f"{SCHEMA_PATH} cannot be read ({error}), so the base's version is unknown"
    if version > SCHEMA:
        return f"the base was written by a newer Midas (schema {version}; this one knows {SCHEMA})"
    return ""


def refuse_newer(reason: str) -> StoreVersionError:
    """The error for a write into a base that must not be written."""
    return StoreVersionError(reason, hint="update Midas, or use another --kb; reading works as it is")


def replant(tree: FileTree) -> None:
    """Write every seed anew, edits included: for the repository's own `kb/` after a seed changed."""
    for path, data in (written_seeds() | generated_seeds()).items():
        tree.write(path, data)
    plant(tree)


if __name__ == "__main__":
    import sys
    from pathlib import Path

    from midas_engine.kb.files import FileTree

    replant(FileTree(Path(sys.argv[1]).resolve()))
