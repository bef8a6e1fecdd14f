"""A desk for the service: a base with deployed features that raise alarms, and hourly bars up to the last closed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np

from midas_engine.clock import WallClock
from midas_engine.kb import KnowledgeBase
from midas_engine.market import Panel, SyntheticMarket
from midas_engine.models import FeatureRecord, FeatureState
from midas_engine.promoter import FeaturePromoter
from midas_engine.service.plan import Plan, make_plan
from midas_engine.settings import Settings, load_settings
from tests.helpers_cli import ROOT

if TYPE_CHECKING:
    from pathlib import Path

# Promised far more than there is: the sequential test calls them dead within days.
EXPRESSIONS = {"carry": "cs_rank(ts_mean(funding_rate, 24))", "fast": "cs_zscore(ema(returns(close, 1), 12))"}
SYMBOLS = 6


def write_bars(folder: Path, *, bars: int, silent_hours: int = 0) -> None:
    """`bars.parquet`: up to the last bar that closed, or to so many hours before."""
    whole = SyntheticMarket(5).panel()
    now = WallClock().now().replace(minute=0, second=0, microsecond=0) - timedelta(hours=1)
    times = np.datetime64(now.replace(tzinfo=None), "ns") - np.arange(bars)[::-1] * np.timedelta64(1, "h")
    fields = {name: values[-bars:, :SYMBOLS] for name, values in whole.fields.items()}
    panel = Panel(times, whole.symbols[:SYMBOLS], fields, 3600)
    panel.select(end=times[bars - silent_hours] if silent_hours else None).save(folder / "bars.parquet")


def make_desk(folder: Path, *, bars: int = 150, candidates: tuple[str, ...] = (), silent_hours: int = 0) -> Path:
    """`folder` with `bars.parquet` and the base `kb`."""
    folder.mkdir(parents=True, exist_ok=True)
    write_bars(folder, bars=bars, silent_hours=silent_hours)
    promoter = FeaturePromoter(KnowledgeBase(folder / "kb"))
    for name, expression in {**EXPRESSIONS, **dict.fromkeys(candidates, "ts_mean(returns(close, 1), 6)")}.items():
        record = FeatureRecord(name, expression, FeatureState.CANDIDATE, expected_score=0.5, breadth=8.0)
        promoter.save_candidate(record)
        if name in EXPRESSIONS:
            promoter.promote(name, "test", force=True)
    promoter.close()
    return folder


def copy_desk(desk: Path, to: Path) -> Path:
    """The same desk once more; times are kept, so that the base opens as it is."""
    shutil.copytree(desk, to)
    return to


def settings_of(desk: Path, **flags: object) -> Settings:
    """The settings of a service on a desk."""
    given = {"kb": str(desk / "kb"), "data": f"follow:{desk / 'bars.parquet'}", **flags}
    return load_settings(flags={key.replace("__", "."): value for key, value in given.items()}, environ={})


def plan_of(desk: Path, **flags: object) -> Plan:
    """The plan of a service on a desk."""
    return make_plan(settings_of(desk, **flags))


def start_run(desk: Path, *args: str, env: dict[str, str] | None = None) -> subprocess.Popen[str]:
    """`midas run` on a desk, in a process of its own; its output is to be read."""
    command = [
        sys.executable,
        "-m",
        "midas",
        "run",
        "--kb",
        str(desk / "kb"),
        "--data",
        f"follow:{desk / 'bars.parquet'}",
    ]
    return subprocess.Popen(
        [*command, *args],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=desk,
        env={**os.environ, "PYTHONPATH": str(ROOT), **(env or {})},
    )


def read_until(run: subprocess.Popen[str], *texts: str, lines: int = 100_000) -> str:
    """What a process prints, up to the first line with one of `texts`, or so many lines."""
    assert run.stdout is not None
    seen = ""
    for count, line in enumerate(run.stdout, 1):
        seen += line
        if count >= lines or any(text in line for text in texts):
            break
    return seen
