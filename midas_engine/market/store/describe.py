"""What a part of the store holds, in words and figures, from the manifest alone: no file of bars is opened."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from midas_engine.market.store.address import bar_name
from midas_engine.market.store.lookup import chosen_symbols, snapshot_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from midas_engine.market.store.manifest import Manifest, Series

_DERIVED = {"vwap": ("quote_volume", "volume"), "returns": ("close",)}


def describe(source: str, series: Series, wanted: Sequence[str] = ()) -> dict[str, Any]:
    """The document of `midas data info` for a series, or for some of its symbols.

    Figures that the manifest does not have are None: of chosen symbols, how much of each column is there; of columns
    that are computed, how much can be.

    Raises:
        UnknownNameError: A symbol is not there.
    """
    names = chosen_symbols(series, wanted)
    spans = {n: [s.symbols[n] for s in series.segments() if n in s.symbols] for n in names}
    first = min(s.first for found in spans.values() for s in found)
    last = max(s.last for found in spans.values() for s in found)
    bars = (last - first) // series.bar_seconds + 1
    whole = names == series.symbols
    known = sum(s.known for found in spans.values() for s in found)
    columns = [_column(series, name, known if whole else 0) for name in series.columns]
    derived = [n for n, needs in _DERIVED.items() if n not in series.columns and set(needs) <= set(series.columns)]
    seal = next((s for s in series.seals if s.universe == tuple(sorted(wanted and names))), None)
    return {
        "source": source,
        "snapshot": snapshot_of(series, names),
        "symbols": [
            {"symbol": n, "from": _text(min(s.first for s in found)), "bars": sum(s.known for s in found)}
            for n, found in spans.items()
        ],
        "bars": bars,
        "bar_seconds": series.bar_seconds,
        "from": _text(first),
        "to": _text(last),
        "empty_bars": bars - _traded(series) if whole else None,
        "columns": [*columns, *({"column": n, "derived": True, "coverage": None, "from": []} for n in derived)],
        "sealed_from": None if seal is None else _text(seal.sealed_from),
        "restated": series.restated,
        "files": sum(map(len, series.months.values())),
        "bytes": sum(s.size for s in series.segments()),
    }


def overview(manifest: Manifest) -> list[dict[str, Any]]:
    """One line a series: what the store holds."""
    return [
        {
            "source": f"store:{series.venue}@{bar_name(series.bar_seconds)}",
            "symbols": len(series.symbols),
            "from": _text(series.first),
            "to": _text(series.last),
            "columns": list(series.columns),
            "restated": series.restated,
            "files": sum(map(len, series.months.values())),
            "bytes": sum(s.size for s in series.segments()),
        }
        for series in manifest.series.values()
        if series.months
    ]


def _column(series: Series, name: str, cells: int) -> dict[str, Any]:
    notes = [s.columns[name] for s in series.segments() if name in s.columns]
    origins: dict[tuple[str, str, str], dict[str, str]] = {}
    for origin in (o for note in notes for o in note.origins):
        said = origin.as_json()
        known = origins.setdefault(origin.origin, said)
        known["at"] = max(known["at"], said["at"])
    coverage = min(1.0, sum(note.known for note in notes) / cells) if cells else None
    return {"column": name, "derived": False, "coverage": coverage, "from": list(origins.values())}


def _traded(series: Series) -> int:
    """Bars in which any symbol traded."""
    total = 0
    for files in series.months.values():
        bits = 0
        for segment in files:
            bits |= segment.bars
        total += bits.bit_count()
    return total


def _text(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M")
