"""`midas data fetch`: a venue's history, resumable at any point."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from midas_engine.cli.context import Shared, Verb
from midas_engine.cli.options import pass_options
from midas_engine.cli.output import clean, paint, table
from midas_engine.cli.signals import cancelling

if TYPE_CHECKING:
    from collections.abc import Sequence

    from midas_engine.market.fetch import Order, Plan, Summary
    from midas_engine.market.panel import Panel
    from midas_engine.market.store import MarketStore
    from midas_engine.settings import Settings

_SHOWN = 12


@dataclass(frozen=True, slots=True)
class FetchOptions:
    """What `midas data fetch` is told, as it was typed."""

    venue: str
    symbols: str
    bar: str
    since: str
    until: str | None
    columns: str | None
    out: Path | None
    again: bool


@click.command(
    cls=Verb,
    example=(
        "midas data fetch binance --symbols top:20 --bar 1h --since 2024-01-01",
        "midas evaluate 'cs_rank(funding_rate)' --data store:binance@1h",
        "midas data fetch bybit --symbols BTCUSDT,ETHUSDT --since 2025-01-01 --out ./market",
    ),
)
@click.argument("venue")
@click.option(
    "--symbols",
    required=True,
    metavar="A,B|top:N",
    help="Contracts as the venue writes them, delisted ones too; or the N most traded ones of the 30 days "
    "before --since.",
)
@click.option("--bar", default="1h", show_default=True, metavar="SIZE", help="1m, 3m, 5m, 15m, 30m, 1h, 2h, 4h or 1d.")
@click.option("--since", required=True, metavar="DATE", help="First bar, UTC: 2024-01-01 or 2024-01-01T06:00.")
@click.option("--until", metavar="DATE", help="Where it ends, exclusive [default: the last bar that is over].")
@click.option(
    "--columns",
    metavar="A,B",
    help="Further columns beside prices and volume, such as quote_volume, trades, taker_buy_volume, mark_close, "
    "open_interest, funding_rate [default: every one the venue gives].",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Write one panel to this folder instead, for --data DIR; what was fetched before is kept and gone on with.",
)
@click.option("--again", is_flag=True, help="Ask for every bar again, and say which ones the venue has restated.")
@pass_options(FetchOptions)
def fetch(shared: Shared, typed: FetchOptions) -> None:
    """Fetch a venue's public history into the market store: candles, mark, open interest, funding. Needs no key.

    Any exchange that ccxt knows; Binance, Bybit, OKX and Hyperliquid with every column they give. What a venue cannot
    give back to --since is said before the start. Only bars that are over are kept. The same command goes on where the
    last one ended, however that was, fills the gaps, and says which bars the venue has restated since.

    Where a venue does not serve your address: HTTPS_PROXY is obeyed, and the setting venue_url names another host.
    """
    import asyncio  # 40 ms that `midas --help` need not pay

    from midas_engine.market.fetch import Order
    from midas_engine.market.fetch.instants import read_date

    order = Order(
        tuple(s.strip() for s in typed.symbols.split(",") if s.strip()),
        typed.bar,
        read_date(typed.since, "--since"),
        None if typed.until is None else read_date(typed.until, "--until"),
        tuple(c.strip() for c in (typed.columns or "").split(",") if c.strip()),
        typed.again,
    )
    name = typed.venue.strip().lower()
    plan, summary, panel, source = asyncio.run(_run(shared, shared.settings(), name, order, typed.out))
    shared.show(_document(plan, summary, panel, source), lambda: _text(plan, summary, panel, source))
    if not summary.complete:
        raise click.exceptions.Exit(1)


async def _run(
    shared: Shared, settings: Settings, name: str, order: Order, out: Path | None
) -> tuple[Plan, Summary, Panel, str]:
    from midas_engine.cli.fetch_lines import FetchLines
    from midas_engine.clock import WallClock
    from midas_engine.market.fetch import Fetch, FolderSink, StoreSink, open_venue
    from midas_engine.market.store import MarketStore

    clock = WallClock()
    lines = FetchLines(shared, clock)
    venue = open_venue(name, base_url=settings.venue_url)
    store = MarketStore(settings.store or "./midas-store", clock=clock)
    folder = FolderSink(out / "fetched") if out is not None else None
    sink = folder or StoreSink(store, clock)
    try:
        with cancelling(lambda: False):
            fetching = Fetch(venue, clock, tell=lines.fault, progress=lines.progress)
            plan = await fetching.plan(order)
            lines.plan(plan, settings.venue_url)
            summary = await fetching.run(plan, sink)
    finally:
        lines.end()
        await venue.close()
    names = [c.name for c in plan.contracts]
    if folder is not None and out is not None:
        panel = folder.panel(plan.market, plan.bar, names)
        panel.save(out / "panel.parquet")
        return plan, summary, panel, str(out)
    panel, source = stored(store, plan.market, plan.bar, names)
    return plan, summary, panel, source


def stored(store: MarketStore, market: str, bar: str, names: Sequence[str]) -> tuple[Panel, str]:
    """What the store has of these contracts, and how `--data` names it."""
    from midas_engine.errors import DataFormatError
    from midas_engine.market.store import StoreAddress
    from midas_engine.market.venues.client import BAR_SECONDS

    series = store.manifest().series.get(f"{market}@{bar}")
    there = tuple(n for n in names if series is not None and n in series.symbols)
    if series is None or not there:
        raise DataFormatError(f"no bars of {', '.join(names)[:80]} were fetched", hint="look at --since and --until")
    every = set(there) == set(series.symbols)
    source = f"store:{market}@{bar}" if every else f"store:{market}:{','.join(there)}@{bar}"
    return store.panel(StoreAddress(market, () if every else there, BAR_SECONDS[bar])), source


def _document(plan: Plan, summary: Summary, panel: Panel, source: str) -> dict[str, Any]:
    from midas_engine.market.fetch.instants import as_text
    from midas_engine.market.fetch.plan import columns_of

    return {
        "venue": plan.venue,
        "bar": plan.bar,
        "symbols": [c.name for c in plan.contracts],
        "picked": plan.picked,
        "from": as_text(plan.begin),
        "until": as_text(plan.end),
        "columns": columns_of(plan.groups),
        "notes": plan.notes,
        "source": source,
        "snapshot": panel.snapshot_id,
        "new_rows": summary.rows,
        "complete": summary.complete,
        "restated": [
            {"symbol": s, "columns": c, "bars": n, "first": as_text(first)} for s, c, n, first in summary.restated
        ],
        "missing": [
            {
                "symbol": m.symbol,
                "columns": m.columns,
                "bars": m.bars,
                "from": as_text(m.first_ms),
                "to": as_text(m.last_ms),
                "why": m.why,
            }
            for m in summary.missing
        ],
        "faults": summary.faults,
        "requests": summary.requests,
    }


def _text(plan: Plan, summary: Summary, panel: Panel, source: str) -> str:
    from midas_engine.market.fetch.instants import as_text

    new = sum(summary.rows.values())
    what = f"{len(plan.contracts)} contracts of {plan.venue}, {plan.bar} bars to {as_text(plan.end)} UTC"
    lines = [f"{what}: {new:,} new rows, {summary.requests:,} requests"]
    if summary.faults:
        lines.append(paint(f"on the way: {summary.faults}", "yellow"))
    for symbol, columns, bars, first in summary.restated:
        lines.append(
            paint(
                f"restated: {clean(symbol)} {', '.join(columns)}: {bars} bars from {as_text(first)} UTC on differ from "
                "what was there; the venue's new figures are kept",
                "yellow",
            )
        )
    rows = [
        [m.symbol, ", ".join(m.columns) if len(m.columns) < 4 else "candles", m.bars, as_text(m.first_ms),
         as_text(m.last_ms), m.why]
        for m in summary.missing[:_SHOWN]
    ]  # fmt: skip
    if rows:
        lines += ["", "missing", table(rows, ("symbol", "columns", "bars", "from", "to", ""), right="llr")]
        if len(summary.missing) > _SHOWN:
            lines.append(f"  and {len(summary.missing) - _SHOWN} more; --json lists all")
    else:
        lines.append(paint("nothing is missing that the venue has", "green"))
    lines.append(f"\n{panel.T:,} bars of {panel.S} symbols, snapshot {panel.snapshot_id}: --data {clean(source)}")
    return "\n".join(lines)
