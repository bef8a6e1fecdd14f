"""`midas fills FILE`: what a file of fills cost, against what it should have cost, per feature."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import Any

import click

from midas_engine.cli.context import Shared, Verb, pass_shared
from midas_engine.cli.output import clean, table
from midas_engine.text import number


@click.command(cls=Verb, example=("midas fills fills.csv --data store:binance", "midas fills fills.jsonl --json"))
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@pass_shared
def fills(shared: Shared, file: Path) -> None:
    """Measure the fills of a file (CSV with a first line of names, or JSON lines) against the bars of --data.

    A fill has a time, a symbol, a side, a price and a quantity; `feature` says whose it is. Realised slippage is
    against the close that the signal saw; expected is half the spread and the impact of the size. Nothing is kept: to
    have them in the monitor, name the file in outbound.fills.
    """
    from midas_engine.clock import WallClock
    from midas_engine.errors import DataError
    from midas_engine.market import load_panel
    from midas_engine.outbound.fill_sources import FillLines
    from midas_engine.outbound.fills import cost_of, read_fill

    settings = shared.settings()
    panel = load_panel(settings.data, store=settings.store)
    now = WallClock().now()
    rows: dict[str, list[tuple[float, float, float]]] = {}
    refused: Counter[str] = Counter()
    strange: Counter[str] = Counter()
    known: set[str] = set()
    for record in FillLines().records(file.read_bytes()):
        try:
            fill, keys = read_fill(record, now)
            strange.update(keys)
            if fill.id in known:
                raise DataError("it came before")
            realised, expected = cost_of(fill, panel, settings.costs)
        except DataError as error:
            refused[error.message] += 1
            continue
        known.add(fill.id)
        rows.setdefault(fill.feature, []).append((fill.price * fill.quantity, realised, expected))
    document = {
        "features": {name: _figures(found) for name, found in sorted(rows.items())},
        "refused": dict(refused.most_common()),
        "unknown_keys": dict(strange),
    }
    shared.show(document, lambda: _text(document))
    if refused and not rows:
        raise click.exceptions.Exit(1)  # there were fills, and not one of them could be read


def _figures(found: list[tuple[float, float, float]]) -> dict[str, Any]:
    total = sum(size for size, _, _ in found)
    realised, expected = (sum(row[0] * row[i] for row in found) / total for i in (1, 2))
    ratio = realised / expected if realised > 0 and expected > 0 else math.nan
    return {"fills": len(found), "notional": total, "realised_bps": realised, "expected_bps": expected, "ratio": ratio}


def _text(document: dict[str, Any]) -> str:
    blocks = []
    rows = []
    for name, f in document["features"].items():
        figures = [number(f["notional"], 0), number(f["realised_bps"], 2, sign=True), number(f["expected_bps"], 2)]
        rows.append([clean(name) or "(the book)", str(f["fills"]), *figures, number(f["ratio"], 2)])
    if rows:
        head = ("feature", "fills", "notional", "realised bps", "expected bps", "ratio")
        blocks.append(table(rows, head, right="lrrrrr"))
    else:
        blocks.append("No fill could be measured.")
    if document["refused"]:
        blocks.append("\nRefused\n" + table([[str(n), clean(why)[:110]] for why, n in document["refused"].items()]))
    if document["unknown_keys"]:
        listed = ", ".join(f"{clean(key)} ({count})" for key, count in document["unknown_keys"].items())
        blocks.append(f"\nKeys that mean nothing here: {listed[:300]}")
    return "\n".join(blocks)
