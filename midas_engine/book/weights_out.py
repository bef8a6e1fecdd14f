"""The weights as they leave Midas: versions, fractions, dollars, and a digest by which a service knows them again."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from midas_engine.book.figures import BookFigures

_DIGITS = 8


def weights_document(book: BookFigures) -> dict[str, Any]:
    """What is to be held, for machines.

    `members` say how each weight is made into holdings: the mean of the last `holding_bars` unit-gross positions, times
    `scale`, times `weight`. `holdings` is the netted result at the last close, after caps, by symbol. The digest is
    SHA-256 over everything else here, as JSON with sorted keys and no blanks.
    """
    body = {
        "as_of": book.last,
        "data": book.data,
        "capital_usd": book.capital_usd,
        "gross": round(sum(abs(x) for x in book.holdings.values()), _DIGITS),
        "members": [
            {
                "name": m.name,
                "version": m.version,
                "expression": m.expression,
                "weight": round(m.weight, _DIGITS),
                "usd": round(m.weight * book.capital_usd, 2),
                "holding_bars": m.holding_bars,
                "scale": round(m.scale, _DIGITS),
            }
            for m in sorted(book.members, key=lambda m: m.name)
        ],
        "holdings": {
            symbol: {"fraction": round(x, _DIGITS), "usd": round(x * book.capital_usd, 2)}
            for symbol, x in sorted(book.holdings.items())
        },
    }
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return {**body, "digest": hashlib.sha256(text.encode()).hexdigest()}


def digest_of(book: BookFigures) -> BookFigures:
    """The book with the digest of its weights."""
    return dataclasses.replace(book, digest=str(weights_document(book)["digest"]))
