"""What speaks of what in a base: learnings, features and sessions, each from the others."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from midas_engine.errors import KnowledgeBaseError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from midas_engine.kb import KnowledgeBase
    from midas_engine.models import FeatureRecord, LearningDocument

MOST_LINKS = 200
_NAMED = re.compile(r"\[\[([^\[\]\n]{1,200})\]\]")


@dataclass(frozen=True, slots=True)
class Link:
    """One thing to go to.

    Attributes:
        kind: document, feature or session.
        target: A path, a name, or a session's id.
        why: In a few words, how the two belong together.
    """

    kind: str
    target: str
    why: str


def linked(kb: KnowledgeBase, subject: str) -> list[Link]:
    """What belongs to a subject, both ways, each once; at most `MOST_LINKS`. Blocking.

    Args:
        kb: The base.
        subject: A document's path, `feature:NAME` or `session:ID`.
    """
    features, learnings = kb.features(), kb.learnings()
    kind, _, name = subject.partition(":")
    found: list[Link] = []
    if kind == "session":
        found += _of_session(name, features, learnings)
    elif kind == "feature":
        found += [Link("document", r.path, "its file") for r in features if r.name == name]
        found += _of_feature(name, features, learnings)
        found += _diagnoses(kb, name)
    else:
        found += _of_document(kb, subject, features, learnings)
    found = [link for link in dict.fromkeys(found) if (link.kind, link.target) != ("document", subject)]
    return list({(link.kind, link.target): link for link in reversed(found)}.values())[::-1][:MOST_LINKS]


def _stem(name: str) -> str:
    """A feature's name without its version."""
    return name.partition("@")[0]


def _of_document(
    kb: KnowledgeBase, path: str, features: Sequence[FeatureRecord], learnings: Sequence[LearningDocument]
) -> Iterator[Link]:
    for record in features:
        if record.path == path:
            yield Link("feature", record.name, f"its card, {record.state.value}")
            yield from _of_feature(record.name, features, learnings)
            yield from _diagnoses(kb, record.name)
    for learning in learnings:
        if learning.path != path:
            continue
        for name in dict.fromkeys((*learning.accepted, *filter(None, (learning.feature,)))):
            near = [r for r in features if _stem(r.name) == _stem(name)]
            yield from (Link("feature", r.name, f"found here, {r.state.value} now") for r in near)
        if learning.session_id:
            yield Link("session", learning.session_id, "it was written by")
    yield from _naming(kb, path)


def _of_feature(name: str, features: Sequence[FeatureRecord], learnings: Sequence[LearningDocument]) -> Iterator[Link]:
    mine = [r for r in features if r.name == name]
    sessions = {r.session_id for r in mine} - {""}
    stem = _stem(name)
    for learning in learnings:
        if (
            learning.feature
            and _stem(learning.feature) == stem
            or learning.session_id in sessions
            or name in learning.accepted
        ):
            yield Link("document", learning.path, learning.title)
    yield from (Link("session", session, "it was found by") for session in sorted(sessions))
    yield from (
        Link("feature", r.name, f"another version, {r.state.value}")
        for r in features
        if r.name != name and _stem(r.name) == stem
    )


def _of_session(
    session: str, features: Sequence[FeatureRecord], learnings: Sequence[LearningDocument]
) -> Iterator[Link]:
    yield from (Link("document", d.path, d.title) for d in learnings if d.session_id == session)
    yield from (
        Link("feature", r.name, f"found by it, {r.state.value} now") for r in features if r.session_id == session
    )


def _diagnoses(kb: KnowledgeBase, name: str) -> Iterator[Link]:
    stem = _stem(name)
    whole = re.compile(rf"(?<![A-Za-z0-9_]){re.escape(stem)}(?![A-Za-z0-9_])")
    for info in kb.documents():
        if info.kind == "diagnosis" and whole.search(f"{info.path} {info.title}"):
            yield Link("document", info.path, info.title)


def _naming(kb: KnowledgeBase, path: str) -> Iterator[Link]:
    """Documents that name this one in double brackets."""
    stem = path.rpartition("/")[2].removesuffix(".md")
    documents = kb.documents()
    names = {path, stem, f"{stem}.md", *(d.title for d in documents if d.path == path)}
    for info in documents:
        if info.damaged or info.kind == "feature" or not info.path.endswith(".md"):
            continue
        try:
            text = kb.read_text(info.path)
        except KnowledgeBaseError:
            continue  # it went away, or became unreadable, while the others were read
        if "[[" in text and names.intersection(_NAMED.findall(text)):
            yield Link("document", info.path, f"{info.title} names it")
