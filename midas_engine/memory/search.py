"""Full text search over what a base knows: SQLite's FTS5 with BM25, over words, columns, operators and family words."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from midas_engine.memory.families import asked_families, family_of, form_of
from midas_engine.memory.tries import tried_forms

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from midas_engine.evaluator.trials.ledger import Trial
    from midas_engine.models import FeatureRecord, LearningDocument

MAX_WORDS = 40
_WORD = re.compile(r"[^\W_]{1,60}")
# Words that every learning has: they tell nothing apart.
_STOP = frozenset(("a", "an", "and", "are", "as", "at", "be", "by", "for", "from", "has", "in", "is", "it", "its", "of",
                   "on", "or", "that", "the", "this", "to", "was", "were", "with"))  # fmt: skip
# Words of a goal that name nothing in particular, without their plural's s.
_OPEN = frozenset(("anything", "any", "something", "thing", "what", "predict", "next", "bar", "return", "signal",
                   "feature", "alpha", "find", "new", "good", "idea", "work"))  # fmt: skip


@dataclass(frozen=True, slots=True)
class Found:
    """One thing that matches.

    Attributes:
        kind: learning, feature or tried.
        where: Its path, or its form.
        title: One line on it.
        excerpt: The words around the match.
        score: BM25, higher is nearer; compares within one search only.
    """

    kind: str
    where: str
    title: str
    excerpt: str
    score: float


Entry = tuple[str, str, str, str, str]  # kind, where, title, text, family words


def learning_entry(document: LearningDocument) -> Entry:
    """A learning, with the families of what it tried."""
    families = {family_of(form_of(text)) for text in document.expressions[:50]}
    families |= set(asked_families(f"{document.title} {document.research_goal} {' '.join(document.tags)}"))
    text = "\n".join(
        (document.research_goal, document.pattern_identified, document.what_worked, document.what_failed,
         document.recommendation, *document.expressions[:50], " ".join(document.tags), document.regime,
         document.feature, document.body[:8_000])
    )  # fmt: skip
    return "learning", document.path, document.title, text, " ".join(sorted(families))


def feature_entry(record: FeatureRecord) -> Entry:
    """A feature of the pipeline."""
    text = f"{record.expression}\n{record.hypothesis}\n{record.reason}"
    return "feature", record.name, f"{record.name} ({record.state.value})", text, family_of(form_of(record.expression))


def search(entries: Iterable[Entry], text: str, n: int = 10) -> list[Found]:
    """The entries that match, best first; a query that names a family finds what belongs to it."""
    words = words_of(text)
    if not words:
        return []
    with closing(sqlite3.connect(":memory:")) as base:
        base.execute("CREATE VIRTUAL TABLE e USING fts5(kind UNINDEXED, place, title, body, family, tokenize='porter')")
        base.executemany("INSERT INTO e VALUES (?, ?, ?, ?, ?)", [tuple(map(_plain, entry)) for entry in entries])
        rows = base.execute(
            "SELECT kind, place, title, snippet(e, 3, '', '', '...', 24), -bm25(e, 0, 1, 3, 1, 2) FROM e "
            "WHERE e MATCH ? ORDER BY bm25(e, 0, 1, 3, 1, 2), place LIMIT ?",
            (" OR ".join(f'"{word}"' for word in words), max(0, min(n, 1_000))),
        ).fetchall()
    return [Found(kind, where, title, " ".join(excerpt.split()), score) for kind, where, title, excerpt, score in rows]


def words_of(text: str) -> list[str]:
    """What a query looks for: its words but those that tell nothing apart, and the families they name."""
    words = [w for w in dict.fromkeys(_WORD.findall(text.lower())) if w not in _STOP][:MAX_WORDS]
    return words + [f for f in asked_families(text) if f not in words]


def everything(
    learnings: Iterable[LearningDocument], features: Iterable[FeatureRecord], trials: Sequence[Trial]
) -> list[Entry]:
    """What `midas kb search` looks through."""
    forms = (
        ("tried", form.form, form.line, f"{form.example} {form.form}", form.family) for form in tried_forms(trials)
    )
    return [*map(learning_entry, learnings), *map(feature_entry, features), *forms]


def related(documents: Sequence[LearningDocument], goal: str, n: int) -> list[LearningDocument]:
    """The learnings that speak to a goal, best first, each text once."""
    by_path = {d.path: d for d in documents}
    found: list[LearningDocument] = []
    seen = set()
    for hit in search(map(learning_entry, documents), goal, 10 * n):
        document = by_path[hit.where]
        said = (document.pattern_identified, document.what_worked, document.what_failed, document.body)
        if said not in seen:
            seen.add(said)
            found.append(document)
    return found[:n]


def speaking(documents: Sequence[LearningDocument], goal: str) -> list[LearningDocument]:
    """Those that are about what sets the goal apart: a word of it that not every one of them has.

    A goal that names nothing in particular ("anything that predicts") is spoken to by all.
    """
    words = [_words(f"{d.title} {d.research_goal} {d.pattern_identified} {' '.join(d.tags)}") for d in documents]
    rest = {w for w in _words(goal) - _OPEN if not all(w in own for own in words)}
    return [d for d, own in zip(documents, words, strict=True) if not rest or rest & own]


def _words(text: str) -> set[str]:
    return {w.removesuffix("s") for w in _WORD.findall(text.lower()) if w not in _STOP}


def _plain(text: str) -> str:
    return text.replace("\x00", " ")
