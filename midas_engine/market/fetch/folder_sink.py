"""`FolderSink`: one Parquet file a contract in a folder, and a line of provenance for every write."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from midas_engine.market.panel_file import replace_parquet

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import pandas as pd

    from midas_engine.market.panel import Panel

PROVENANCE = "provenance.jsonl"


class FolderSink:
    """Fetched columns below `root`: ``VENUE/BAR/SYMBOL.parquet``.

    Args:
        root: The folder; made where it is not there.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def _file(self, venue: str, bar: str, symbol: str) -> Path:
        return self._root / venue / bar / f"{symbol}.parquet"

    def held(self, venue: str, bar: str, symbol: str, columns: Sequence[str]) -> pd.DataFrame:
        """See `Sink.held`."""
        whole = self._read(self._file(venue, bar, symbol))
        return whole[[c for c in columns if c in whole.columns]]

    def _read(self, file: Path) -> pd.DataFrame:
        import pandas as pd
        import pyarrow.parquet as pq

        if not file.is_file():
            return pd.DataFrame(index=pd.DatetimeIndex([], tz="UTC", name="timestamp"))
        frame: pd.DataFrame = pq.read_table(file).to_pandas().set_index("timestamp").sort_index()
        return frame

    def write(
        self, venue: str, bar: str, symbol: str, frame: pd.DataFrame, provenance: Mapping[str, str | int]
    ) -> None:
        """See `Sink.write`."""
        import pyarrow as pa

        file = self._file(venue, bar, symbol)
        there = self._read(file)
        merged = frame.combine_first(there)
        columns = [*there.columns, *(c for c in frame.columns if c not in there.columns)]
        merged = merged[columns].rename_axis("timestamp").reset_index()
        replace_parquet(pa.Table.from_pandas(merged, preserve_index=False), file)
        said = {
            "venue": venue, "bar": bar, "symbol": symbol, "columns": list(frame.columns), "rows": len(frame),
            "first": frame.index[0].isoformat(), "last": frame.index[-1].isoformat(), **provenance,
        }  # fmt: skip
        with (self._root / PROVENANCE).open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(said, ensure_ascii=True) + "\n")
            stream.flush()
            os.fsync(stream.fileno())

    def flush(self) -> None:
        """See `Sink.flush`; each write lasts by itself."""

    def panel(self, venue: str, bar: str, symbols: Sequence[str]) -> Panel:
        """Everything that is there of these symbols as one panel.

        Raises:
            DataFormatError: Nothing is there.
        """
        import pandas as pd

        from midas_engine.errors import DataFormatError
        from midas_engine.market.panel import Panel

        rows = [self._read(self._file(venue, bar, s)).assign(symbol=s).reset_index() for s in symbols]
        rows = [frame for frame in rows if len(frame)]
        if not rows:
            raise DataFormatError(f"no bars of {', '.join(symbols)[:80]} were fetched", hint="look at the summary")
        return Panel.from_frame(pd.concat(rows, ignore_index=True), bar)
