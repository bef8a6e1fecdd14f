"""Build the bundled sample from a folder of collected exchange data. See `sample/ORIGIN.md`.

Run once by a developer: `python -m midas_engine.market.build_sample FOLDER`. Nothing in Midas
needs the folder afterwards.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

START = "2025-02-01"
MINUTES_START, MINUTES_END = "2023-07-24", "2023-07-31"
# fmt: off
SYMBOLS = [
    "BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT", "BNBUSDT", "DOGEUSDT", "ADAUSDT", "LINKUSDT", "AVAXUSDT", "LTCUSDT",
    "APTUSDT", "ATOMUSDT", "1000PEPEUSDT", "SUIUSDT", "ENAUSDT", "DOTUSDT", "WLDUSDT", "OPUSDT", "ONDOUSDT",
    "1000SHIBUSDT", "XMRUSDT", "HYPEUSDT", "ASTERUSDT", "XPLUSDT", "PUMPUSDT", "FILUSDT", "DASHUSDT", "TAOUSDT",
    "ICPUSDT", "WLFIUSDT", "MONUSDT", "KITEUSDT", "LITUSDT",
]
# fmt: on
HERE = Path(__file__).parent / "sample"


def build(folder: Path) -> None:
    """Write the sample's three files."""
    bars = pd.read_parquet(folder / "perps_1h.parquet")
    bars = bars[bars["symbol"].isin(SYMBOLS) & (bars["timestamp"] >= START)].drop(columns="source")
    _write(bars, HERE / "perps_1h.parquet")
    funding = pd.read_parquet(folder / "funding.parquet")[["timestamp", "symbol", "funding_rate"]]
    _write(funding[funding["symbol"].isin(SYMBOLS) & (funding["timestamp"] >= START)], HERE / "funding.parquet")
    minutes = pd.read_parquet(folder / "perps_1m_2023.parquet")
    inside = (minutes["timestamp"] >= MINUTES_START) & (minutes["timestamp"] < MINUTES_END)
    _write(minutes[inside & (minutes["symbol"] == "BTCUSDT")], HERE / "btc_1m.parquet")


def _write(frame: pd.DataFrame, path: Path) -> None:
    frame = frame.sort_values(["symbol", "timestamp"], ignore_index=True)
    for column in ("volume", "quote_volume", "trades"):
        if column in frame:
            # Seven digits are more than a volume's own noise, and half the bytes.
            frame[column] = (
                frame[column].astype("Float64").to_numpy(dtype=np.float64, na_value=np.nan).astype(np.float32)
            )
    table = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)
    plain = [c for c in ("volume", "quote_volume", "trades") if c in frame]
    pq.write_table(
        table,
        path,
        compression="zstd",
        compression_level=19,
        use_dictionary=[c for c in frame.columns if c not in plain],
        column_encoding=dict.fromkeys(plain, "BYTE_STREAM_SPLIT"),
    )


if __name__ == "__main__":
    build(Path(sys.argv[1]))
