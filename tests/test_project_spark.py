"""The example with Spark behind `compute()`, in Spark's local mode; skipped by name where Spark cannot run."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from midas_engine.dsl import FeatureEngine
from midas_engine.market import SyntheticMarket
from tests.helpers_cli import ROOT

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

SCRIPT = ROOT / "examples" / "spark" / "behind_compute.py"


def _example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("behind_compute", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_what_a_task_of_spark_does_is_what_the_engine_does() -> None:
    panel = SyntheticMarket(3, bars=400, symbols=4).panel()
    rows = panel.to_frame()
    mine = rows[rows["symbol"] == panel.symbols[1]].assign(timestamp=lambda f: f["timestamp"].dt.tz_localize(None))
    text = "ts_zscore(delta(close, 4), 24)"
    found = _example().of_one_symbol(text)(mine)
    expected = pd.Series(FeatureEngine(panel).values(text)[:, 1])
    pd.testing.assert_series_equal(found["value"].reset_index(drop=True), expected, check_names=False)


def test_spark_computes_what_the_engine_does(tmp_path: Path) -> None:
    if missing := _example().lacks():
        pytest.skip(f"Spark cannot run here: {missing}")
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--agree"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-3000:]
    assert "Spark and Midas agree: True" in done.stdout
