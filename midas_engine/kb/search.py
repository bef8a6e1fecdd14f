"""Which learnings speak to a goal: Okapi BM25 over titles, fields and text."""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from midas_engine.models import LearningDocument

# Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond" (2009), section 3.2.
_K1 = 1.2
_B = 0.75
_STOP = frozenset(
    [
        "a",
        "an",
        "and",
        "are",
        "as",
        "at",
        "be",
        "by",
        "for",
        "from",
        "has",
        "in",
        "is",
        "it",
        "its",
        "of",
        "on",
        "or",
        "that",
        "the",
        "this",
        "to",
        "was",
        "were",
        "with",
    ]
)


@dataclass(frozen=True, slots=True)
class Hit:
    """A document that matches, and how well; scores compare within one search only."""

    path: str
    title: str
    score: float
    excerpt: str = ""


def tokens(text: str) -> list[str]:
    """Lower-case words and parts of identifiers, plural s removed.

    Example:
        >>> tokens("Funding-rate carry: cs_rank(funding_rate)")
        ['funding', 'rate', 'carry', 'cs', 'rank', 'funding', 'rate']
    """
    words = re.findall(r"[a-z]+|[0-9]+", text[:100_000].lower())
    return [w[:-1] if len(w) > 3 and w.endswith("s") and not w.endswith("ss") else w for w in words if w not in _STOP]


def learning_terms(learning: LearningDocument) -> list[str]:
    """The words of a learning; what names it counts three times."""
    head = " ".join((learning.title, learning.research_goal, learning.feature, *learning.tags))
    rest = (
        learning.pattern_identified,
        learning.what_worked,
        learning.what_failed,
        learning.recommendation,
        *learning.expressions,
        learning.regime,
        learning.body,
    )
    return tokens(head) * 3 + tokens("\n".join(rest))


def rank(query: str, documents: Sequence[list[str]]) -> list[tuple[int, float]]:
    """Positions of the documents that match, best first, with their scores."""
    counts = [Counter(terms) for terms in documents]
    lengths = [max(len(terms), 1) for terms in documents]
    mean = sum(lengths) / max(len(lengths), 1)
    scores = [0.0] * len(documents)
    for term in set(tokens(query)):
        holding = sum(1 for c in counts if term in c)
        if not holding:
            continue
        idf = math.log(1 + (len(documents) - holding + 0.5) / (holding + 0.5))
        for position, count in enumerate(counts):
            f = count[term]
            if f:
                scores[position] += idf * f * (_K1 + 1) / (f + _K1 * (1 - _B + _B * lengths[position] / mean))
    ranked = [(position, score) for position, score in enumerate(scores) if score > 0]
    return sorted(ranked, key=lambda pair: (-pair[1], pair[0]))


def excerpt(text: str, query: str, width: int = 160) -> str:
    """The line of `text` that holds most of the query's words, cut to `width`."""
    wanted = set(tokens(query))
    best, most = "", 0
    for line in text[:50_000].split("\n"):
        found = len(wanted.intersection(tokens(line)))
        if found > most:
            best, most = line.strip(), found
    return best if len(best) <= width else best[: width - 1] + "…"
