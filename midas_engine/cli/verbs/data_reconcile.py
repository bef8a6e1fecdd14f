"""`midas data reconcile`: live bars against the venue's final ones, and what the difference would have decided."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from midas_engine.cli.context import Shared, Verb, pass_shared
from midas_engine.cli.output import clean, paint, table

if TYPE_CHECKING:
    import pandas as pd

    from midas_engine.evaluator.reports.decision_flips import DecisionFlips
    from midas_engine.market.fetch.reconcile import Difference, Reconciled
    from midas_engine.market.panel import Panel
    from midas_engine.market.store import MarketStore
    from midas_engine.settings import Settings


@click.command(
    cls=Verb,
    example=("midas data reconcile binance --bar 1h", "midas data reconcile binance --expr 'cs_rank(vwap)' --json"),
)
@click.argument("venue")
@click.option("--bar", default="1h", show_default=True, metavar="SIZE", help="Which bars.")
@click.option("--expr", "expressions", multiple=True, metavar="EXPR", help="Count flips of this expression, too.")
@pass_shared
def reconcile(shared: Shared, venue: str, bar: str, expressions: tuple[str, ...]) -> None:
    """Compare every live bar in the market store with the bar the venue gives now.

    Says the first field that differs, how much each column differs, and for every deployed and shadow feature which
    share of its decisions would be another one on the final bars. Nothing is changed: `midas data fetch --again` puts
    the final bars in the store. The exit code is 1 when a bar differs.
    """
    import asyncio  # 40 ms that `midas --help` need not pay

    from midas_engine.clock import WallClock
    from midas_engine.market.fetch.reconcile import compare, recorded
    from midas_engine.market.store import MarketStore

    settings, name = shared.settings(), venue.strip().lower()
    store = MarketStore(settings.store or "./midas-store", clock=WallClock())
    key = f"{name}@{bar}"
    live = recorded(store, key)
    final = asyncio.run(_asked(shared, settings, name, bar, live))
    found = compare(live, final)
    flips = _flips(settings, store, key, live, final, expressions)
    shared.show(_document(key, found, flips), lambda: _text(key, found, flips))
    if found.differing:
        raise click.exceptions.Exit(1)


async def _asked(shared: Shared, settings: Settings, name: str, bar: str, live: Any) -> dict[str, pd.DataFrame]:
    from midas_engine.cli.fetch_lines import FetchLines
    from midas_engine.clock import WallClock
    from midas_engine.market.fetch import Fetch, Order, open_venue
    from midas_engine.market.fetch.contract_fetch import stamps_of
    from midas_engine.market.fetch.memory_sink import MemorySink
    from midas_engine.market.venues.client import BAR_SECONDS

    stamps = [stamps_of(frame) for frame in live.values()]
    step = BAR_SECONDS.get(bar, 3600) * 1000
    order = Order(tuple(live), bar, int(min(s[0] for s in stamps)), int(max(s[-1] for s in stamps)) + step)
    clock, sink = WallClock(), MemorySink()
    lines = FetchLines(shared, clock)
    venue = open_venue(name, base_url=settings.venue_url)
    try:
        fetching = Fetch(venue, clock, tell=lines.fault, progress=lines.progress)
        await fetching.run(await fetching.plan(order), sink)
    finally:
        lines.end()
        await venue.close()
    return sink.frames


def _flips(
    settings: Settings, store: MarketStore, key: str, live: Any, final: Any, expressions: tuple[str, ...]
) -> dict[str, DecisionFlips | str]:
    """By feature: its flips, or why they cannot be counted."""
    from midas_engine.dsl import FeatureEngine
    from midas_engine.errors import MidasError
    from midas_engine.evaluator.reports.decision_flips import decision_flips

    features = {**_watched(settings), **{e: e for e in expressions}}
    if not features:
        return {}
    panel = store.panel(f"store:{key}")
    (one, where), (other, _) = _with(panel, live, live), _with(panel, final, live)
    engines = [FeatureEngine(p, limits=settings.dsl) for p in (one, other)]
    found: dict[str, DecisionFlips | str] = {}
    for name, text in features.items():
        try:
            found[name] = decision_flips(engines[0].values(text), engines[1].values(text), where)
        except MidasError as error:
            found[name] = error.message
    return found


def _watched(settings: Settings) -> dict[str, str]:
    if not settings.kb_path.is_dir():
        return {}
    from midas_engine.cli.open_base import open_base
    from midas_engine.models import FeatureState

    base = open_base(settings, read_only=True)
    return {r.name: r.expression for s in (FeatureState.DEPLOYED, FeatureState.SHADOW) for r in base.features(s)}


def _with(panel: Panel, figures: Any, bars: Any) -> tuple[Panel, Any]:
    """The panel with these figures in the bars of `bars`, and which bars those are [T, S]."""
    import numpy as np

    from midas_engine.market.fetch.contract_fetch import stamps_of
    from midas_engine.market.panel import Panel

    times = panel.timestamps.astype("datetime64[ms]").astype(np.int64)
    fields = {name: np.array(values) for name, values in panel.fields.items()}
    where = np.zeros(panel.shape, dtype=bool)
    for column, symbol in enumerate(panel.symbols):
        frame = bars.get(symbol)
        if frame is None:
            continue
        rows = np.searchsorted(times, stamps_of(frame))
        where[rows, column] = True
        said = figures.get(symbol)
        if said is None:
            continue
        there = said.reindex(frame.index)
        for name in fields.keys() & set(there.columns):
            told = there[name].to_numpy(dtype=np.float64)
            fields[name][rows, column] = (
                told if figures is bars else np.where(np.isnan(told), fields[name][rows, column], told)
            )
    return Panel(panel.timestamps, panel.symbols, fields, panel.bar_seconds), where


def _document(key: str, found: Reconciled, flips: dict[str, DecisionFlips | str]) -> dict[str, Any]:
    def plain(one: Difference | None) -> dict[str, Any] | None:
        if one is None:
            return None
        names = ("column", "bars", "lacked", "symbol", "at", "live", "final", "largest")
        return {name: getattr(one, name) for name in names}

    return {
        "series": key,
        "bars": found.bars,
        "differing": found.differing,
        "unanswered": found.unanswered,
        "not_recorded": found.not_recorded,
        "first": plain(found.first),
        "columns": [plain(c) for c in found.columns],
        "features": {
            name: {"problem": f}
            if isinstance(f, str)
            else {"decisions": f.decisions, "flips": f.flips, "share": f.share}
            for name, f in flips.items()
        },
    }


def _text(key: str, found: Reconciled, flips: dict[str, DecisionFlips | str]) -> str:
    lines = [f"{key}: {found.bars:,} live bars compared with the venue's final ones, {found.differing:,} differ"]
    if found.unanswered:
        lines.append(paint(f"{found.unanswered:,} live bars the venue does not have now", "yellow"))
    if found.not_recorded:
        lines.append(f"not compared, for no live bar has it: {', '.join(found.not_recorded)}")
    if found.first is None:
        lines.append(paint("every figure is the same", "green") if found.bars else paint("nothing compared", "yellow"))
    else:
        one = found.first
        lines.append(
            paint(f"first: {clean(one.symbol)} {one.at} UTC {one.column}: live {one.live:.10g}, final {one.final:.10g}",
                  "yellow")
        )  # fmt: skip
        rows = [[c.column, c.bars, c.lacked, c.symbol, c.at, f"{c.largest:.3g}"] for c in found.columns]
        head = ("column", "bars", "unknown live", "first in", "at (UTC)", "largest share")
        lines += ["", table(rows, head, right="lrrllr")]
    if flips:
        shown = [
            [name, f] if isinstance(f, str) else [name, f"{f.share:.2%} of {f.decisions:,} decisions flip"]
            for name, f in flips.items()
        ]
        lines += ["", table(shown, ("feature", ""))]
    return "\n".join(lines)
