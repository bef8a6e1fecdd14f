"""`midas data`: check market data, import it, and say what a source holds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from midas_engine.cli.context import LazyGroup, Shared, Verb, pass_shared
from midas_engine.cli.output import clean, number, paint, table

if TYPE_CHECKING:
    from midas_engine.market import DoctorReport, Panel

_path = click.Path(path_type=Path)


@click.group(cls=LazyGroup)
def data() -> None:
    """Market data: check it, import it, look at it."""


@data.command("check", cls=Verb, example="midas data check ./BTCUSDT-1h.csv")
@click.argument("path", type=_path)
@pass_shared
def check(shared: Shared, path: Path) -> None:
    """Name every defect of a file, with place and count, before anything is computed from it.

    The exit code is 1 when a defect forbids computing.
    """
    from midas_engine.market import inspect

    report = inspect(path)
    shared.show({"path": path, "ok": report.ok, "defects": report.defects}, lambda: _defects(path, report))
    if not report.ok:
        raise click.exceptions.Exit(1)


def _defects(path: Path, report: DoctorReport) -> str:
    if not report.defects:
        return f"{clean(path)}: no defects."
    rows = [
        [d.severity, d.code, d.symbol or "-", d.column or "-", d.count, str(d.first_at or "-")[:16], d.detail]
        for d in report.defects
    ]
    head = ("severity", "defect", "symbol", "column", "count", "first at", "")
    end = paint("usable, with these remarks", "yellow") if report.ok else paint("not usable as it is", "red")
    return f"{clean(path)}: {end}\n{table(rows, head, right='llllr')}"


@data.command("import", cls=Verb, example="midas data import ./dumps/*.zip --out ./market")
@click.argument("paths", nargs=-1, required=True, type=_path)
@click.option("--out", required=True, type=_path, metavar="DIR", help="Where the panel goes.")
@pass_shared
def import_data(shared: Shared, paths: tuple[Path, ...], out: Path) -> None:
    """Read exchange dumps or CSV/Parquet files, check them, and write one panel that --data DIR reads."""


@data.command("info", cls=Verb, example=("midas data info", "midas data info ./market --json"))
@click.argument("source", required=False)
@pass_shared
def info(shared: Shared, source: str | None) -> None:
    """Say what a source holds: symbols, range, columns and how much of each is there."""
    from midas_engine.market import load_panel

    name = source or shared.settings().data
    panel = load_panel(name)
    document = _describe(name, panel)
    shared.show(document, lambda: _described(document))


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
            f"snapshot {document['snapshot']}, {document['empty_bars']} empty bars\n",
            table(columns, ("column", "there", ""), right="lr"),
            "",
            table(symbols, ("symbol", "from (UTC)", "bars"), right="llr"),
        ]
    )
