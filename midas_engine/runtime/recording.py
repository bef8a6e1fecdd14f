"""Watching: the book of features run over recorded bars, as a replay or caught up to the data's end."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from midas_engine.allocator import trim
from midas_engine.clock import ManualClock
from midas_engine.events import AlertRaised
from midas_engine.market.instants import as_utc
from midas_engine.market.regimes import regime_labels
from midas_engine.runtime.recorded_bars import FleetStage, Recording
from midas_engine.runtime.replay import ReplayControl
from midas_engine.runtime.watchlist import book_of_records, classic_book

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from midas_engine.clock import Clock
    from midas_engine.events import Event
    from midas_engine.market.panel import Panel
    from midas_engine.models import FeatureRecord
    from midas_engine.settings import Settings

WARM_HOURS = 24 * 32
REPLAY_HOURS = 24 * 60
# The synthetic market breaks at three quarters of its year: its replay begins a little before.
SYNTHETIC_REPLAY_HOURS = 24 * 100
KERNEL_BARS = 30
SCAN_BURST_SECONDS = 0.003
SCAN_REST_SECONDS = 0.006


def prepare(
    panel: Panel,
    records: Sequence[FeatureRecord],
    settings: Settings,
    *,
    source: str,
    replay: bool,
    progress: Callable[[float], None] = lambda _: None,
) -> Recording:
    """Choose what is shown and what is watched; compute the values. Heavy: call it in a thread.

    A replay shows the last 60 days (100 of the synthetic market, to begin before it breaks), or the second half of a
    shorter recording. Without deployed features it watches
    classics that held before them.
    """
    hours = SYNTHETIC_REPLAY_HOURS if source.startswith("synthetic") else REPLAY_HOURS
    shown = panel.T - min(panel.bars(hours), panel.T // 2) if replay else panel.T
    first = max(0, shown - panel.bars(WARM_HOURS))
    book, problems = book_of_records(panel, records, settings.dsl, first, progress)
    if not book and replay:
        # Judged on bars that are not shown; on the warm-up too where there is little before it.
        before = first if first >= panel.bars(WARM_HOURS) else shown
        book = classic_book(panel, before, settings.dsl, settings.evaluation.mode, first)
    slippage = None
    if source.startswith("synthetic"):
        from midas_engine.market.synthetic import SyntheticMarket

        seed = int(source.partition(":")[2] or 7)
        expected = settings.monitor.expected_slippage_bps
        slippage = (SyntheticMarket(seed).slippage_bps(expected), expected)
    recording = Recording(panel, first, shown, regime_labels(panel), book, problems, slippage)
    load_kernels(recording, settings)
    trim()  # reading the panel and computing leave 50 MB free between what is in use
    return recording


def load_kernels(recording: Recording, settings: Settings) -> None:
    """Run a few bars for nothing: compiled kernels are loaded (or compiled) here, in a thread, not in the loop.

    One feature of each kind will do: kernels know types, not how many there are. The memory of all of them would be
    there twice, and a third time packed.
    """
    if not recording.book:
        return
    clock = ManualClock(recording.times[0])
    kinds = {(f.across, f.shadow, f.paused, f.reference is None): f for f in recording.book}
    stage = replace(recording, book=list(kinds.values())).stage(settings, clock)
    for index in range(min(KERNEL_BARS, stage.bars)):
        stage.run_bar(index, shown=True)
    stage.restore(stage.state())


def replay_control(
    recording: Recording, settings: Settings, publish: Callable[[Event], None], pace: Clock
) -> tuple[ReplayControl, FleetStage, ManualClock]:
    """The replay of a recording, its stage and its clock."""
    times = recording.times
    clock = ManualClock(times[0])
    stage = recording.stage(settings, pace, kills=True)
    control = ReplayControl(
        stage,
        times,
        start=recording.shown - recording.first,
        publish=publish,
        clock=clock,
        pace=pace,
        bar_seconds=recording.panel.bar_seconds,
    )
    return control, stage, clock


async def scan_alerts(
    recording: Recording, settings: Settings, pace: Clock, found: Callable[[Sequence[int]], None]
) -> None:
    """Run ahead of the screen, in small slices, to learn at which bars alerts will be raised."""
    stage = recording.stage(settings, pace, kills=True, diagnoses=False)
    bars: list[int] = []
    began = pace.monotonic()
    for index in range(stage.bars):
        if any(isinstance(event, AlertRaised) for event in stage.run_bar(index, shown=False)):
            bars.append(index)
            found(bars)
        if pace.monotonic() - began > SCAN_BURST_SECONDS:
            await asyncio.sleep(SCAN_REST_SECONDS)
            began = pace.monotonic()


async def catch_up(
    recording: Recording, settings: Settings, pace: Clock, progress: Callable[[float], None]
) -> FleetStage:
    """Run to the end of the data in small slices; the last bar's events are the caller's to take."""
    stage = recording.stage(settings, pace)
    began = pace.monotonic()
    for index in range(stage.bars - 1):
        stage.run_bar(index, shown=False)
        if pace.monotonic() - began > SCAN_BURST_SECONDS:
            progress(index / stage.bars)
            await asyncio.sleep(0)
            began = pace.monotonic()
    return stage


def end_of(panel: Panel) -> datetime:
    """When the last bar closed."""
    return as_utc(panel.timestamps[-1]) + timedelta(seconds=panel.bar_seconds)
