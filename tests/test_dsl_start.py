"""What a first verdict loads, and that the quick way to the sample gives the same panel."""

from __future__ import annotations

import subprocess
import sys

from midas_engine.market import load_panel
from midas_engine.market.funding import align_funding
from midas_engine.market.panel import Panel
from midas_engine.market.sources import SAMPLE, _read

_CODE = """
import sys
from midas_engine.cli.judging import judge_expression
from midas_engine.settings import Settings
judged = judge_expression(Settings(kb="./no-such-base"), "cs_rank(-delta(close, 4))")
assert judged.verdict.evaluation.rank_ic == judged.verdict.evaluation.rank_ic
heavy = {"pandas", "scipy.stats", "sklearn", "polars", "matplotlib", "pyarrow.dataset"} & set(sys.modules)
assert not heavy, sorted(heavy)
"""


def test_a_first_verdict_loads_nothing_heavy() -> None:
    subprocess.run([sys.executable, "-c", _CODE], check=True, timeout=100)


def test_the_sample_read_as_arrays_is_the_sample_read_as_a_frame() -> None:
    bars = Panel.from_frame(_read(SAMPLE / "perps_1h.parquet"))
    settled = align_funding(bars, _read(SAMPLE / "funding.parquet"))
    slow = Panel(bars.timestamps, bars.symbols, {**bars.fields, **settled}, bars.bar_seconds)
    quick = load_panel("sample")
    assert quick.snapshot_id == slow.snapshot_id
    assert quick.symbols == slow.symbols
    assert list(quick.fields) == list(slow.fields)
