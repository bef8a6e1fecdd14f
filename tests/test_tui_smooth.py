"""The terminal's loop is never held: callbacks are short, nothing blocks in it, hidden screens are silent."""

from __future__ import annotations

import asyncio
import gc
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from textual.command import CommandPalette

from helpers_tui import NOW, ScriptedRuntime, fill_base, metrics, press, running, scripted, until, write_market
from midas_engine import events as ev
from midas_tui.widgets.line_table import LineTable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HELD_SECONDS = 0.05


@contextmanager
def longest_callback(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[float, str]]]:
    """CPU time of the longest callbacks of this thread's loop: what a busy machine cannot inflate."""
    found: list[tuple[float, str]] = []
    run = asyncio.events.Handle._run  # type: ignore[attr-defined]

    def timed(handle: Any) -> None:
        began = time.thread_time()
        run(handle)
        found.append((time.thread_time() - began, repr(handle)))

    gc.collect()
    gc.disable()  # this process holds the garbage of a thousand tests
    try:
        with monkeypatch.context() as patch:
            patch.setattr(asyncio.events.Handle, "_run", timed)
            yield found
    finally:
        gc.enable()
    found.sort(reverse=True)


async def test_a_thousand_ticking_features_hold_the_loop_for_no_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = ScriptedRuntime()
    runtime.found = [metrics(f"feature_{i:04d}") for i in range(1000)]
    async with scripted(runtime, size=(160, 45)) as (app, pilot, _):
        app.shell.bridge.pump()
        await pilot.pause()
        with longest_callback(monkeypatch) as callbacks:
            for turn in range(12):
                for i in range(50):
                    name = f"feature_{(turn * 50 + i) % 1000:04d}"
                    runtime.bus.publish(ev.FeatureTicked(at=NOW, metrics=metrics(name, pnl_1d_bps=float(turn))))
                app.shell.bridge.pump()
                await pilot.pause()
        assert callbacks[0][0] < HELD_SECONDS, callbacks[:3]


async def test_only_rows_that_are_seen_are_made() -> None:
    runtime = ScriptedRuntime()
    runtime.found = [metrics(f"feature_{i:04d}") for i in range(1000)]
    async with scripted(runtime, size=(120, 32)) as (app, pilot, _):
        made: list[str] = []
        cells = app.screen._cells  # type: ignore[attr-defined]
        app.screen._cells = lambda m: made.append(m.feature) or cells(m)  # type: ignore[attr-defined,func-returns-value]
        for i in range(1000):
            runtime.bus.publish(ev.FeatureTicked(at=NOW, metrics=metrics(f"feature_{i:04d}", score=0.5)))
        app.shell.bridge.pump()
        await pilot.pause()
        assert 10 <= len(set(made)) <= 32


async def test_a_hidden_mode_is_told_nothing_and_catches_up_when_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    async with scripted() as (app, pilot, runtime):
        live = app.screen
        await press(pilot, "2")
        told: list[set[str]] = []
        apply = live.apply  # type: ignore[attr-defined]
        monkeypatch.setattr(live, "apply", lambda topics: told.append(topics) or apply(topics))
        for i in range(5):
            runtime.bus.publish(ev.FeatureTicked(at=NOW, metrics=metrics(f"late_{i}")))
            app.shell.bridge.pump()
            await pilot.pause()
        assert told == []
        await press(pilot, "1")
        assert {"all"} in told
        assert "late_4" in live.query_one("#features", LineTable).keys


async def test_one_flush_carries_any_number_of_events() -> None:
    async with scripted() as (app, pilot, runtime):
        flushed: list[set[str]] = []
        app.shell.bridge._flush = flushed.append
        for i in range(5000):
            runtime.bus.publish(ev.FeatureTicked(at=NOW, metrics=metrics("funding_skew_8h", score=i / 1e4)))
        app.shell.bridge.pump()
        await pilot.pause()
        assert len(flushed) == 1
        assert app.store.metrics["funding_skew_8h"].score == 4999 / 1e4


async def test_nothing_blocks_the_loop_on_a_real_runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Start, move features, read documents, jump: file and database work belongs to threads."""
    from blockbuster import blockbuster_ctx

    fill_base(tmp_path / "kb")
    market = write_market(tmp_path, days=5)
    with blockbuster_ctx("midas_engine") as buster:
        # Journal and base are used in threads; reading the clock's zone or a module's source is not the disk's fault.
        buster.functions["os.stat"].deactivate()
        async with running(tmp_path / "kb", market, mode="pipeline") as (app, pilot):
            runtime: Any = app.runtime
            await runtime.pipeline.act("shadow", "volume_shock")
            await runtime.pipeline.act("kill", "reversal_1h", "dead")
            await until(pilot, lambda: "reversal_1h" not in runtime.queries.metrics())
            runtime.status()
            for document in await runtime.documents.list():
                await runtime.documents.read(document.path)
                await runtime.documents.related(document.path)


async def test_a_replay_at_full_speed_leaves_the_loop_to_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill_base(tmp_path / "kb")
    market = write_market(tmp_path, days=24)
    async with running(tmp_path / "kb", market, replay=True) as (app, pilot):
        replay: Any = app.runtime.replay  # type: ignore[union-attr]
        with longest_callback(monkeypatch) as callbacks:
            await replay.seek(replay.total)
            await replay.seek(10)
            replay.set_speed(256)
            replay.play()
            await until(pilot, lambda: replay.position > 100)
            await replay.pause()
        assert callbacks[0][0] < HELD_SECONDS, callbacks[:3]


@pytest.mark.parametrize("seconds", [0.0, -0.5], ids=["no time", "less than none"])
async def test_a_timer_without_time_rings_and_holds_nothing_up(seconds: float) -> None:
    async with scripted() as (app, pilot, _):
        rung: list[str] = []
        app.set_timer(seconds, lambda: rung.append("once"))
        ticking = app.set_interval(seconds, lambda: rung.append("again"))
        await until(pilot, lambda: "once" in rung and rung.count("again") > 2, "they ring")
        ticking.stop()


@pytest.mark.parametrize("countdown", ["_no_matches_timer", "_busy_timer"])
async def test_a_palette_that_is_closed_while_it_counts_down_ends_nothing(countdown: str) -> None:
    async with scripted() as (app, pilot, _):
        await press(pilot, ":")
        await until(pilot, lambda: isinstance(app.screen, CommandPalette))
        palette: Any = app.screen
        palette._start_no_matches_countdown("zzz")
        palette._start_busy_countdown()
        ring = getattr(palette, countdown)._callback.args[0]  # what its time leads to, a moment too late
        palette.app.pop_screen()
        await until(pilot, lambda: not palette.query("*"), "it is taken down")
        ring()
        await press(pilot, "2")
        assert app.current_mode == "pipeline"
