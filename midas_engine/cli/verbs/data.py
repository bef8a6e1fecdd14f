"""`midas data`: check market data, import it, say what a source holds, and keep the store."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from midas_engine.cli.context import LazyGroup, Shared, Verb, pass_shared
from midas_engine.cli.output import clean, moment, paint, table
from midas_engine.text import number

if TYPE_CHECKING:
    from collections.abc import Iterable

    from midas_engine.market import Defect, DoctorReport, Panel
    from midas_engine.market.doctor.examine import Examined

_path = click.Path(path_type=Path)
KINDS = ("candles", "funding", "mark", "index", "premium", "open_interest")


def _options(verb: Any) -> Any:
    """What a person may say about files that do not say it themselves."""
    for option in (
        click.option("--symbol", metavar="NAME", help="The symbol of files that name none."),
        click.option("--kind", type=click.Choice(KINDS), metavar="KIND",
                     help="What the rows are: candles, funding, mark, index, premium, open_interest."),
        click.option("--stamps", type=click.Choice(("open", "close")),
                     help="Whether a bar's time is its open (the rule) or its close."),
        click.option("--column", "columns", metavar="NAME=FIELD", multiple=True,
                     help="What a column is, such as Asset_ID=symbol; 1=timestamp without a header; '*=close' for a "
                     "table with one column a symbol."),
        click.option("--bar", metavar="LENGTH",
                     help="Which bars, when there are several lengths: 1m, 15m, 1h, 4h, 1d; and how long they are."),
    ):  # fmt: skip
        verb = option(verb)
    return verb


_VERBS = {
    "fetch": "midas_engine.cli.verbs.data_fetch:fetch",
    "reconcile": "midas_engine.cli.verbs.data_reconcile:reconcile",
    "verify": "midas_engine.cli.verbs.data_store:verify",
    "compact": "midas_engine.cli.verbs.data_store:compact",
    "prune": "midas_engine.cli.verbs.data_store:prune",
}


@click.group(cls=LazyGroup, verbs=_VERBS)
def data() -> None:
    """Market data: fetch it, check it, import it, look at it; keep the market store."""


@data.command("check", cls=Verb, example=("midas data check ./BTCUSDT-1h.csv", "midas data check ./dumps --json"))
@click.argument("paths", nargs=-1, required=True, type=_path)
@_options
@pass_shared
def check(shared: Shared, /, paths: tuple[Path, ...], bar: str | None, **said: Any) -> None:
    """Name every defect of files or folders, with place and count, before anything is computed from them.

    The exit code is 1 when a defect forbids computing.
    """
    from midas_engine.market import inspect
    from midas_engine.market.importers.options import import_options

    report = inspect(paths, bar=bar, options=import_options(**said))
    shared.show({"paths": paths, "ok": report.ok, **_summary(report)}, lambda: _defects(paths, report))
    if not report.ok:
        raise click.exceptions.Exit(1)


def _summary(report: DoctorReport) -> dict[str, Any]:
    return {
        "rows": report.rows,
        "symbols": report.symbols,
        "from": report.first_at,
        "to": report.last_at,
        "files": len(report.sources),
        "defects": report.defects,
    }


def _defects(paths: tuple[Path, ...], report: DoctorReport) -> str:
    names = clean(", ".join(p.name or str(p) for p in paths[:3]) + (f" and {len(paths) - 3} more" * (len(paths) > 3)))
    seen = (
        f"{names}: {report.rows:,} rows, {len(report.symbols)} symbols, "
        f"{moment(report.first_at)} to {moment(report.last_at)} UTC"
    )
    if not report.defects:
        return f"{seen}\n{paint('no defects', 'green')}"
    end = paint("usable, with these remarks", "yellow") if report.ok else paint("not usable as it is", "red")
    rows = []
    for first, several in _alike(report.defects):
        symbols = {d.symbol for d in several}
        name = first.symbol + (f" +{len(symbols) - 1}" if len(symbols) > 1 else "")
        count = sum(d.count for d in several)
        place = f" [{first.place}]" if first.place else ""
        rows.append([first.severity, first.code, name or "-", first.column or "-", count, moment(first.first_at),
                     first.detail + place])  # fmt: skip
    head = ("severity", "defect", "symbol", "column", "count", "first at", "")
    advice = dict.fromkeys(f"  {d.code}: {d.fix}" for d in report.defects)
    return "\n".join([seen, end, table(rows, head, right="llllr"), "", "What to do", *advice])


def _alike(defects: Iterable[Defect]) -> list[tuple[Defect, list[Defect]]]:
    """The same fault of many symbols on one line: its first, and all of them."""
    groups: dict[tuple[str, str, str], list[Defect]] = {}
    for found in defects:
        groups.setdefault((found.severity, found.code, found.column), []).append(found)
    return [(several[0], several) for several in groups.values()]


@data.command(
    "import",
    cls=Verb,
    example=(
        "midas data import ./dumps --venue binance",
        "midas data info store:binance@1h",
        "midas data import ./dumps --out ./market",
    ),
)
@click.argument("paths", nargs=-1, required=True, type=_path)
@click.option(
    "--venue",
    metavar="NAME",
    help="Under which name the bars stand in the market store, for --data store:NAME [default: local].",
)
@click.option("--replace", is_flag=True, help="Drop what the store has of that name and bar length first.")
@click.option("--out", type=_path, metavar="DIR", help="Write one panel to this folder instead; one there is replaced.")
@_options
@pass_shared
def import_data(
    shared: Shared,
    /,
    paths: tuple[Path, ...],
    venue: str | None,
    replace: bool,
    out: Path | None,
    bar: str | None,
    **said: Any,
) -> None:
    """Read exchange dumps or CSV/Parquet files, check them, and append them to the market store.

    A bar that is known already with another figure is restated: the new figure is read from then on, the old one is
    kept, and it is said. With --out the files become one panel that --data DIR reads, outside of what is imported.

    Klines set the grid; funding rates, open interest and mark prices found among the files stand beside them, as they
    were known when each bar closed. What can be mended without a guess is mended and told. Anything else is refused,
    and nothing is written. A file of a folder that is no market data is set aside, by name.

    The symbol comes from a column, else from the file's name, else from a folder such as symbol=BTCUSDT. A bar's time
    is its open, unless --stamps close says otherwise.
    """
    from midas_engine.market.doctor.examine import examine
    from midas_engine.market.importers.options import import_options
    from midas_engine.market.importers.reading import read_parts, refuse_inside, write_examined

    if out is not None:
        if replace or venue is not None:
            raise click.UsageError("--out writes a panel; --venue and --replace are of the store: give one of them")
        refuse_inside(out, paths)
    examined = examine(read_parts(paths, bar, import_options(**said)))
    report = examined.report
    if not report.ok:
        shared.show({"paths": paths, "ok": False, **_summary(report)}, lambda: _defects(paths, report))
        raise click.exceptions.Exit(1)
    if out is None:
        _into_store(shared, paths, examined, venue or "local", replace)
        return
    done = write_examined(examined, out)
    document = {"ok": True, "path": done.path, "panel": _describe(str(out), done.panel), **_summary(done.report)}
    shared.show(document, lambda: f"{_defects(paths, done.report)}\n\n{_described(document['panel'])}")


def _into_store(shared: Shared, paths: tuple[Path, ...], examined: Examined, venue: str, replace: bool) -> None:
    from midas_engine.clock import WallClock
    from midas_engine.market.importers.into_store import provenance_of
    from midas_engine.market.importers.merge import build_panel
    from midas_engine.market.store import MarketStore

    panel = build_panel(examined)
    store = MarketStore(shared.settings().store)
    given = provenance_of(examined, panel, WallClock().now())
    done = store.append_panel(venue, panel, given, replace=replace)
    source = f"store:{done.key}"
    document = {
        "ok": True, "store": str(store.path), "source": source, "added": done.added, "known": done.equal,
        "filled": done.filled, "restated": done.restated, "restated_columns": done.restated_columns,
        "replaced": done.replaced, **_summary(examined.report),
    }  # fmt: skip

    def words() -> str:
        lines = [_defects(paths, examined.report), "", f"{clean(store.path)}: {clean(done)}"]
        lines += [f"  restated: {clean(example)}" for example in done.examples]
        return "\n".join([*lines, f"read it with --data {source}; `midas data info {source}` says what is there"])

    shared.show(document, words)


@data.command(
    "info",
    cls=Verb,
    example=("midas data info", "midas data info store", "midas data info store:binance@1h --json"),
)
@click.argument("source", required=False)
@pass_shared
def info(shared: Shared, source: str | None) -> None:
    """Say what a source holds: symbols, range, columns and how much of each is there.

    Of the market store it is read from the manifest, at once: `store` lists all of it, store:NAME@BAR a part, with who
    gave each column.
    """
    name = source or shared.settings().data
    if name == "store" or name.startswith("store:"):
        from midas_engine.cli.verbs.data_store import store_info

        store_info(shared, name)
        return
    from midas_engine.market import load_panel

    panel = load_panel(name)
    document = {**_describe(name, panel), "promotable": list(_promotable(panel, shared))}
    shared.show(document, lambda: _described(document))


def _promotable(panel: Panel, shared: Shared) -> tuple[str, ...]:
    """How a session would score this history, and the smallest IC it could promote at the base's next look."""
    from midas_engine.errors import MidasError
    from midas_engine.evaluator.promotable import panel_words
    from midas_engine.evaluator.trials.ledger import TrialLedger
    from midas_engine.evaluator.trials.statement import Statement
    from midas_engine.loops import OfflineLoopConfig

    settings = shared.settings()
    spent = Statement.empty()
    path = settings.kb_path / "journal.sqlite"
    if path.is_file():
        try:
            with TrialLedger(path, read_only=True) as ledger:
                spent = Statement.of(ledger)
        except MidasError as error:
            shared.note(f"the ledger of {settings.kb_path} cannot be read: {error.message}")
    return panel_words(panel, settings, OfflineLoopConfig().planned_trials, spent.next_level)


def _describe(name: str, panel: Panel) -> dict[str, Any]:
    import numpy as np

    known = np.isfinite(panel.values("close") if "close" in panel.columns else next(iter(panel.fields.values())))
    traded = known.any(axis=1)
    return {
        "source": name,
        "snapshot": panel.snapshot_id,
        "symbols": [
            {
                "symbol": symbol,
                "from": str(panel.timestamps[known[:, i].argmax()])[:16] if known[:, i].any() else None,
                "bars": int(known[:, i].sum()),
            }
            for i, symbol in enumerate(panel.symbols)
        ],
        "bars": panel.T,
        "bar_seconds": panel.bar_seconds,
        "from": str(panel.timestamps[0])[:16] if panel.T else None,
        "to": str(panel.timestamps[-1])[:16] if panel.T else None,
        "empty_bars": int((~traded).sum()),
        "columns": [
            {
                "column": column,
                "derived": column not in panel.fields,
                "coverage": float(np.isfinite(panel.values(column))[known].mean()) if known.any() else 0.0,
            }
            for column in panel.columns
        ],
    }


def _described(document: dict[str, Any]) -> str:
    columns = [[c["column"], f"{c['coverage']:.1%}", "derived" if c["derived"] else ""] for c in document["columns"]]
    symbols = [[s["symbol"], s["from"] or "-", s["bars"]] for s in document["symbols"]]
    head = (
        f"{clean(document['source'])}: {len(symbols)} symbols x {document['bars']} bars of "
        f"{number(document['bar_seconds'] / 60, 0)} min, {document['from']} to {document['to']} UTC"
    )
    return "\n".join(
        [
            head,
            f"snapshot {document['snapshot']}, {document['empty_bars']} empty bars",
            *document.get("promotable", ()),
            "",
            table(columns, ("column", "there", ""), right="lr"),
            "",
            table(symbols, ("symbol", "from (UTC)", "bars"), right="llr"),
        ]
    )
