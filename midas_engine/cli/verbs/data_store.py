"""`midas data verify`, `compact` and `prune`: the upkeep of the market store; and what `midas data info` says of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from midas_engine.cli.context import Shared, Verb, pass_shared
from midas_engine.cli.output import clean, paint, table
from midas_engine.errors import DataFormatError
from midas_engine.text import number

if TYPE_CHECKING:
    from datetime import datetime

    from midas_engine.market.store import MarketStore, Tidied

_WHOLE = ("store", "store:")


def _open(shared: Shared, source: str | None) -> tuple[MarketStore, str | None]:
    from midas_engine.market.store import MarketStore, store_address

    if source is not None and source not in _WHOLE:
        store_address(source)
    store = MarketStore(shared.settings().store)
    if not store.path.exists():
        raise DataFormatError(f"there is no market store at {store.path}", hint="`midas data import PATH` makes one")
    return store, None if source in _WHOLE else source


@click.command("verify", cls=Verb, example=("midas data verify", "midas data verify store:binance@1h --json"))
@click.argument("source", required=False)
@pass_shared
def verify(shared: Shared, source: str | None) -> None:
    """Read the whole market store and name every file that is damaged, missing, foreign or left behind.

    Nothing is changed. SOURCE is a part of it, such as store:binance@1h. The exit code is 1 when something is wrong.
    """
    store, part = _open(shared, source)
    found = store.verify(part)
    sound = not any(f.harmful for f in found)

    def words() -> str:
        end = paint("sound", "green") if sound else paint("not sound", "red")
        rows = [["wrong" if f.harmful else "room", clean(f.file), clean(f.what), clean(f.fix)] for f in found]
        shown = [table(rows, ("", "file", "what", "what to do"))] if rows else []
        return "\n".join([f"{clean(store.path)}: {end}", *shown])

    shared.show({"store": str(store.path), "ok": sound, "findings": found}, words)
    if not sound:
        raise click.exceptions.Exit(1)


@click.command("compact", cls=Verb, example=("midas data compact", "midas data compact store:binance@1m"))
@click.argument("source", required=False)
@pass_shared
def compact(shared: Shared, source: str | None) -> None:
    """Make one file a month of the market store's many. What it holds, and every snapshot id, stays as it is."""
    store, part = _open(shared, source)
    _told(shared, store, store.compact(part))


@click.command("prune", cls=Verb, example=("midas data prune", "midas data prune store:binance@1m --before 2025-01-01"))
@click.argument("source", required=False)
@click.option("--before", type=click.DateTime(("%Y-%m-%d", "%Y-%m-%dT%H:%M")), metavar="DATE",
              help="Give up the bars that opened before this time (UTC).")  # fmt: skip
@pass_shared
def prune(shared: Shared, source: str | None, before: datetime | None) -> None:
    """Remove what only takes room: what dead writers left, stale caches; with --before also the bars before a date.

    A sealed boundary stays where it is. With --before name the part: store:binance@1m.
    """
    import numpy as np

    store, part = _open(shared, source)
    if before is not None and part is None:
        raise click.UsageError("--before needs a part of the store, such as store:binance@1m")
    _told(shared, store, store.prune(part, before=None if before is None else np.datetime64(before, "s")))


def _told(shared: Shared, store: MarketStore, done: Tidied) -> None:
    def words() -> str:
        dropped = f", {done.rows:,} rows given up" if done.rows else ""
        room = f"{done.bytes_freed / 1e6:,.1f} MB freed"
        return f"{clean(store.path)}: {done.files_before:,} files are {done.files_after:,}{dropped}; {room}"

    shared.show({"store": str(store.path), **{n: getattr(done, n) for n in done.__slots__}}, words)


def store_info(shared: Shared, source: str) -> None:
    """`midas data info store[:NAME[:SYMBOLS][@BAR]]`, from the manifest alone."""
    from pathlib import Path

    from midas_engine.market.store.address import store_address
    from midas_engine.market.store.describe import describe, overview
    from midas_engine.market.store.lookup import find_series
    from midas_engine.market.store.manifest import read_manifest

    folder = Path(shared.settings().store).expanduser()
    manifest = read_manifest(folder)
    if source in _WHOLE:
        listed = overview(manifest)
        shared.show({"store": str(folder), "series": listed}, lambda: _listed(str(folder), listed))
        return
    address = store_address(source)
    document = describe(source, find_series(manifest, address, folder), address.symbols)
    shared.show(document, lambda: _described(document))


def _listed(folder: str, series: list[dict[str, Any]]) -> str:
    if not series:
        return f"{clean(folder)}: nothing yet; `midas data import PATH` and `midas data fetch` add to it"
    rows = [
        [s["source"], s["symbols"], s["from"], s["to"], s["restated"], s["files"], f"{s['bytes'] / 1e6:,.1f}"]
        for s in series
    ]
    head = ("source", "symbols", "from (UTC)", "to", "restated", "files", "MB")
    return f"{clean(folder)}\n" + table(rows, head, right="lrllrrr")


def _described(document: dict[str, Any]) -> str:
    columns = [
        [c["column"], "-" if c["coverage"] is None else f"{c['coverage']:.1%}", _given(c)] for c in document["columns"]
    ]
    symbols = [[s["symbol"], s["from"], s["bars"]] for s in document["symbols"]]
    empty = "" if document["empty_bars"] is None else f", {document['empty_bars']} empty bars"
    sealed = document["sealed_from"]
    return "\n".join(
        [
            (
                f"{clean(document['source'])}: {len(symbols)} symbols x {document['bars']} bars of "
                f"{number(document['bar_seconds'] / 60, 0)} min, {document['from']} to {document['to']} UTC"
            ),
            f"snapshot {document['snapshot']}{empty}; {document['files']} files, {document['bytes'] / 1e6:,.1f} MB",
            f"sealed from {sealed} UTC on" if sealed else "no boundary is sealed yet: the first use fixes it",
            *(
                [f"{document['restated']:,} figures were restated; the earlier ones are kept"]
                * bool(document["restated"])
            ),
            "",
            table(columns, ("column", "there", "from"), right="lrl"),
            "",
            table(symbols, ("symbol", "from (UTC)", "bars"), right="llr"),
        ]
    )


def _given(column: dict[str, Any]) -> str:
    if column["derived"]:
        return "derived"
    given = [
        f"{o['how']} from {clean(o['source'])} ({o['kind'] or 'unproven'}, {clean(o['at'])[:10]})"
        for o in column["from"]
    ]
    return "; ".join(given[:3]) + (f" and {len(given) - 3} more" if len(given) > 3 else "")
