"""Where panels come from: `load_panel("sample")`, `"sample-1m"`, `"synthetic[:SEED]"`, `"store:NAME"` or a path."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from midas_engine.errors import DataFormatError
from midas_engine.market.funding import align_rates
from midas_engine.market.panel import Panel
from midas_engine.market.panel_file import is_panel_file
from midas_engine.market.vouched import vouched
from midas_engine.regular import obstacle
from midas_engine.shortage import require_room, threads_fit

if TYPE_CHECKING:
    import pandas as pd

SAMPLE = Path(__file__).parent / "sample"
NAMED = ("sample", "sample-1m", "synthetic", "synthetic:SEED", "store:NAME[:SYMBOLS][@BAR]")
STORE = "./midas-store"

_SAMPLE_SHAPE = (9_528, 33, 9)  # bars, symbols and columns, for when there is no room to read it
_last = _size = ""  # the last source, and in words how large its panel is
_WORKING_COPIES = 5  # targets, ranks and expression values beside the panel's own columns


def load_panel(source: str | Path, *, store: str | Path = STORE) -> Panel:
    """The panel that `source` names.

    Args:
        source: `sample` (33 real perpetuals, hourly, 2025-02 to 2026-03), `sample-1m` (one week of
            BTC minutes), `synthetic` or `synthetic:SEED` (known truth), `store:NAME[:SYMBOLS][@BAR]`, or a
            Parquet/CSV file or a folder made by `midas data import`.
        store: Folder of the market store.

    Raises:
        DataFormatError: The name is unknown, or the file is not in a layout Midas reads.
    """
    global _size
    make_room(source)
    name = str(source)
    panel = _load(name, source, store)
    _size = panel_size(name, panel.T, panel.S, len(panel.fields))
    return panel


def make_room(source: str | Path) -> None:
    """Note what will be read, and refuse at once when the process may not hold the libraries that read it.

    Raises:
        MemoryError: The limit on the address space is too low.
    """
    global _last, _size
    _last, _size = str(source), ""
    require_room()


def panel_size(name: str, bars: int, symbols: int, columns: int) -> str:
    """How large a panel is, in words, and about what judging on it takes."""
    megabytes = bars * symbols * columns * 8 / 1e6
    return (
        f"the panel of {name} has {bars:,} bars of {symbols:,} symbols in {columns} columns, "
        f"about {megabytes:,.0f} MB; judging on it takes about {300 + _WORKING_COPIES * megabytes:,.0f} MB a process"
    )


def last_panel() -> str:
    """What was read last and how large it is: for a message when memory has run out. Empty when nothing was."""
    if _size or not _last:
        return _size
    if _last == "sample":
        return panel_size(_last, *_SAMPLE_SHAPE)
    # It did not come to a panel: its file says how large it would be.
    path = Path(_last)
    path = path / "panel.parquet" if path.is_dir() else path
    try:
        import pyarrow.parquet as pq

        about = pq.read_metadata(path)
        # the symbol and the time of a row are the panel's axes
        rows, columns = int(about.num_rows), int(about.num_columns) - 2
        megabytes = rows * columns * 8 / 1e6
        return f"the panel of {_last} has {rows:,} rows in {columns} columns, about {megabytes:,.0f} MB"
    except Exception:  # no Parquet file, or no room even for that
        try:
            megabytes = path.stat().st_size / 1e6
        except OSError:
            return f"while the panel of {_last} was read"
        return f"the panel of {_last} has {megabytes:,.1f} MB on disk, and several times that in memory"


def _load(name: str, source: str | Path, store: str | Path) -> Panel:
    if name == "sample":
        return vouched(_sample(), "the sample's venue")
    if name == "sample-1m":
        return Panel.from_frame(_read(SAMPLE / "btc_1m.parquet"), 60)
    if name == "synthetic" or name.startswith("synthetic:"):
        return _synthetic(name)
    if name.startswith("store:"):
        from midas_engine.market.store import MarketStore

        return MarketStore(store).panel(name)
    return _from_path(Path(source))


def _sample() -> Panel:
    """The packaged sample by arrays alone: importing pandas would take longer than reading it and judging on it."""
    times, symbols, codes, columns = _arrays(SAMPLE / "perps_1h.parquet")
    rows = (times - times.min()) // np.timedelta64(3600, "s")
    bars = int(rows.max()) + 1
    flat = rows * len(symbols) + codes
    fields = {}
    for name, numbers in columns.items():
        values = np.full(bars * len(symbols), np.nan)
        values[flat] = numbers
        fields[name] = values.reshape(bars, len(symbols))
    grid = times.min() + np.arange(bars) * np.timedelta64(3600, "s")
    panel = Panel(grid, symbols, fields, 3600)
    times, names, codes, columns = _arrays(SAMPLE / "funding.parquet")
    rates = columns["funding_rate"]
    settled = {name: (times[codes == i], rates[codes == i]) for i, name in enumerate(names)}
    return Panel(grid, symbols, {**panel.fields, **align_rates(panel, settled)}, 3600)


def _arrays(path: Path) -> tuple[Any, list[str], Any, dict[str, Any]]:
    """(times [N], symbols, the symbol of each row, numeric columns) of long rows."""
    import pyarrow.parquet as pq

    def plain(array: Any, kind: str) -> Any:
        # pyarrow's own conversion imports pandas where it is installed; the buffers are the same numbers.
        mask, data = array.buffers()
        rows = slice(array.offset, array.offset + len(array))
        values = np.frombuffer(data, dtype=kind)[rows]
        if array.null_count:
            known = np.unpackbits(np.frombuffer(mask, np.uint8), bitorder="little")[rows].astype(bool)
            values = np.where(known, values, np.nan)
        return values

    together = threads_fit()
    table = pq.ParquetFile(path, pre_buffer=together).read(use_threads=together)
    whole = {name: table.column(name).combine_chunks() for name in table.column_names}
    coded = whole.pop("symbol").dictionary_encode()
    times = plain(whole.pop("timestamp"), "datetime64[ms]").astype("datetime64[ns]")
    kinds = {"double": "f8", "float": "f4"}
    columns = {name: plain(array, kinds[str(array.type)]).astype(np.float64) for name, array in whole.items()}
    return times, coded.dictionary.to_pylist(), plain(coded.indices, "i4").astype(np.int64), columns


def _read(path: Path) -> pd.DataFrame:
    import pyarrow.parquet as pq

    frame: pd.DataFrame = pq.read_table(path, use_threads=threads_fit(), pre_buffer=threads_fit()).to_pandas()
    return frame


def _synthetic(name: str) -> Panel:
    from midas_engine.market.synthetic import SyntheticMarket

    _, _, seed = name.partition(":")
    if seed and not seed.isdigit():
        raise DataFormatError(f"{name!r}: the seed must be a whole number", hint="e.g. synthetic:7")
    return SyntheticMarket(int(seed or 7)).panel()


def _from_path(path: Path) -> Panel:
    if path.is_dir() and (path / "panel.parquet").is_file():
        path = path / "panel.parquet"
    kind = "" if path.is_dir() else obstacle(path, follow=True)
    if kind:
        raise DataFormatError(f"{path} is a {kind}, not a file of data", hint="give a file or a folder")
    if not path.exists():
        file, _, symbols = str(path).rpartition(":")
        if file and symbols and Path(file).exists():
            raise DataFormatError(
                f"no data at {path}: {file} is there, and is read with every symbol it has",
                hint=f"write {file} alone; symbols are named of a store (store:NAME:{symbols}) or an exchange",
            )
        raise DataFormatError(
            f"no data at {path}", hint=f"give a path, or one of {', '.join(NAMED)}; `midas data import` makes panels"
        )
    if path.suffix.lower() == ".parquet" and is_panel_file(path):
        return Panel.load(path)
    from midas_engine.market.importers import read_any

    return read_any([path])
