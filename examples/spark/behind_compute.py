"""Spark behind `compute()`: bars stay in a data lake, features are computed there, Midas judges what comes back.

A user's engine is a function from an expression to a frame. This one sends the expression to Spark: each symbol's rows
go to one task, which computes it with Midas's own operators, and only the finished feature, a figure a bar and symbol,
travels back. Operators across symbols (`cs_rank` and the like) would need all symbols of a bar in one place and are
refused by name; with fewer than ten symbols, as here, Midas judges each in time and the search writes none.

    pip install pyspark          # and Java 17 or newer
    python examples/spark/behind_compute.py [FOLDER]      # or --agree: one expression, no session
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from midas import create_midas
from midas.loops import OfflineLoopConfig
from midas_engine.dsl import FeatureEngine
from midas_engine.dsl.expression import parse
from midas_engine.dsl.nodes import Call, walk
from midas_engine.dsl.registry import OPERATORS
from midas_engine.errors import ExpressionTypeError
from midas_engine.evaluator import TrialLedger
from midas_engine.market import Panel, SyntheticMarket, forward_return_frame

if TYPE_CHECKING:
    from collections.abc import Callable

BAR_SECONDS = 3600
COLUMNS = ("open", "high", "low", "close", "volume", "funding_rate")


def lacks() -> str:
    """What of Spark's needs is not here; empty when Spark can run."""
    if shutil.which("java") is None:
        return "Java is not installed"
    try:
        import pyspark  # noqa: F401
    except ImportError:
        return "the package pyspark is not installed"
    return ""


def make_lake(folder: Path, bars: int = 3000, symbols: int = 4) -> Path:
    """A data lake in miniature: long rows in Parquet, a file a symbol."""
    frame = SyntheticMarket(3, bars=bars, symbols=symbols).panel().to_frame()
    for symbol, rows in frame.groupby("symbol"):
        rows = rows.assign(timestamp=rows["timestamp"].dt.tz_localize(None))  # Spark's timestamp_ntz: UTC by agreement
        rows[["timestamp", "symbol", *COLUMNS]].to_parquet(folder / f"{symbol}.parquet", coerce_timestamps="us")
    return folder


def of_one_symbol(expression: str) -> Callable[[pd.DataFrame], pd.DataFrame]:
    """What a Spark task does: all rows of one symbol in, its feature out."""

    def compute(rows: pd.DataFrame) -> pd.DataFrame:
        panel = Panel.from_frame(rows.assign(timestamp=rows["timestamp"].dt.tz_localize("UTC")), BAR_SECONDS)
        values = FeatureEngine(panel).values(expression)[:, 0]
        times = panel.timestamps.astype("datetime64[us]")
        return pd.DataFrame({"timestamp": times, "symbol": panel.symbols[0], "value": values})

    return compute


def spark_engine(spark: Any, lake: Path) -> Callable[[], tuple[Any, pd.DataFrame, None]]:
    """A `data_fn` for Midas whose `compute` runs on `spark`."""
    bars = spark.read.parquet(str(lake)).cache()

    def compute(expression: str) -> pd.Series:
        used = {node.op for node in walk(parse(expression, columns=COLUMNS).ast) if isinstance(node, Call)}
        across = sorted(name for name in used if OPERATORS[name].family == "cross_section")
        if across:
            raise ExpressionTypeError(
                f"{across[0]} needs every symbol of a bar in one place, and Spark holds each symbol in another",
                hint="use operators over time",
            )
        found = bars.groupBy("symbol").applyInPandas(
            of_one_symbol(expression), "timestamp timestamp_ntz, symbol string, value double"
        )
        frame = found.toPandas()
        frame["timestamp"] = frame["timestamp"].dt.tz_localize("UTC")
        return frame.set_index(["timestamp", "symbol"])["value"].sort_index()

    def data_fn() -> tuple[Any, pd.DataFrame, None]:
        panel = Panel.from_frame(bars.select("timestamp", "symbol", "close").toPandas(), BAR_SECONDS)
        return compute, forward_return_frame(panel, (1,)), None

    return data_fn


def session(master: str = "local[2]") -> Any:
    """A Spark session that keeps UTC and opens no page."""
    from pyspark.sql import SparkSession

    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)  # tasks run the Python that has Midas in it
    builder = SparkSession.builder.master(master).appName("midas").config("spark.ui.enabled", "false")
    builder = builder.config("spark.sql.session.timeZone", "UTC").config("spark.driver.bindAddress", "127.0.0.1")
    builder = builder.config("spark.driver.host", "127.0.0.1").config("spark.sql.shuffle.partitions", "2")
    return builder.getOrCreate()


def agree(engine: Callable[[], Any], lake: Path, expression: str) -> bool:
    """Whether Spark computes what Midas does on the whole panel; sums of other rows end in other last bits."""
    panel = Panel.from_frame(pd.concat(pd.read_parquet(file) for file in sorted(lake.glob("*.parquet"))), BAR_SECONDS)
    here = pd.Series(FeatureEngine(panel).values(expression).ravel(), panel.index)
    there = engine()[0](expression).reindex(here.index)
    return bool(np.allclose(here.to_numpy(), there.to_numpy(), rtol=1e-9, atol=1e-12, equal_nan=True))


def main(folder: str) -> None:
    missing = lacks()
    if missing:
        print(f"skipped: {missing}")
        return
    spark = session()
    spark.sparkContext.setLogLevel("ERROR")
    with tempfile.TemporaryDirectory() as place:
        lake = make_lake(Path(place))
        engine = spark_engine(spark, lake)
        print("Spark and Midas agree:", agree(engine, lake, "ts_zscore(delta(close, 4), 24)"))
        if folder == "--agree":
            return
        config = OfflineLoopConfig(max_iterations=1, candidates_per_iter=2, refinements=0)
        with create_midas(kb_path=folder, provider="local", offline_config=config) as midas:
            midas.offline.run("funding carry over time", data_fn=engine)
            with TrialLedger(midas.kb.journal_path) as ledger:
                trials = ledger.history()
        scored = [trial for trial in trials if trial.outcome == "scored"]
        print(f"{len(scored)} of {len(trials)} expressions were computed by Spark and judged by Midas")
        for trial in scored:
            print(f"  {trial.canonical}: t {trial.score_t:+.2f}")
    spark.stop()


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "./midas-kb-spark")
