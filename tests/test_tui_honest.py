"""What the terminal shows is what the engine watches: who leaves goes, and what was raised while nobody saw arrives."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from typing import TYPE_CHECKING, Any

import pytest

from helpers_cli import ROOT, run_midas
from helpers_kb import record
from helpers_tui import (
    NOW,
    PATIENCE_SECONDS,
    ScriptedRuntime,
    metrics,
    press,
    readable,
    running,
    screen_text,
    scripted,
    settle,
    type_text,
    until,
)
from midas_engine import events as ev
from midas_engine.kb import KnowledgeBase
from midas_engine.promoter import FeaturePromoter
from midas_tui.modals.ask import AskModal
from midas_tui.screens.pipeline import PipelineScreen

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from midas_tui.app import MidasApp

MARKET_DAYS = 40


def act(kb: Path, call: Callable[[FeaturePromoter], object]) -> None:
    """Something another process does to the base."""
    promoter = FeaturePromoter(KnowledgeBase(kb), actor="another process")
    call(promoter)
    promoter.close()


async def settled(app: MidasApp, pilot: Any) -> None:
    """Until nothing is computed any more."""
    runtime: Any = app.runtime

    def quiet() -> bool:
        return runtime.phase == "running" and not any(t.get_name() == "watch" for t in runtime.supervisor.tasks)

    await until(pilot, quiet, "the watch settles")
    await until(pilot, lambda: not app.store.watch_moved)


def same_as_engine(app: MidasApp) -> None:
    """Every alert and status on the screen is the engine's, and none more."""
    runtime = app.runtime
    assert runtime is not None
    shown = {a.id: (a.status, a.count) for a in app.store.open_alerts}
    assert shown == {a.id: (a.status, a.count) for a in runtime.queries.alerts()}
    assert {n: m.status for n, m in app.store.metrics.items()} == {
        n: m.status for n, m in runtime.queries.metrics().items()
    }
    loud = [a for a in runtime.queries.alerts() if a.status == "open"]
    assert app.store.counts == (
        sum(a.severity == "critical" for a in loud), sum(a.severity == "warning" for a in loud)
    )  # fmt: skip


@pytest.mark.parametrize("verb", ["demote", "kill"])
async def test_a_feature_that_another_process_takes_off_leaves_live(kb: Path, market: Path, verb: str) -> None:
    async with running(kb, market) as (app, pilot):
        assert "momentum_24h" in app.store.metrics
        extra = ("--yes", "momentum_24h") if verb == "kill" else ()
        ran = await asyncio.to_thread(run_midas, verb, "momentum_24h", "--reason", "no longer", *extra, "--kb", str(kb))
        assert ran.code == 0, ran.err
        await until(pilot, lambda: "momentum_24h" not in app.store.metrics, "it leaves Live")
        await until(pilot, lambda: "✕ momentum_24h" in screen_text(app), "it is struck through")
        row = next(line for line in screen_text(app).splitlines() if "✕ momentum_24h" in line)
        assert ("killed" if verb == "kill" else "demoted") in row
        assert "no longer" in row
        assert not [a for a in app.store.open_alerts if a.feature == "momentum_24h"]
        await settled(app, pilot)
        assert "2 features" in screen_text(app)
        same_as_engine(app)


async def test_its_open_alerts_are_closed_with_the_reason(kb: Path, market: Path) -> None:
    async with running(kb, market) as (app, pilot):
        mine = {a.id for a in app.store.open_alerts if a.feature == "momentum_24h"}
        assert mine, "the case needs a feature with an open alert"
        await asyncio.to_thread(act, kb, lambda p: p.demote("momentum_24h", "gone"))
        await until(pilot, lambda: all(not app.store.alerts[i].active for i in mine))
        assert {app.store.alerts[i].closed for i in mine} == {"left the watch"}
        await press(pilot, "5")
        await until(pilot, lambda: "left the watch" in screen_text(app))
        await settled(app, pilot)
        assert all(not app.store.alerts[i].active for i in mine), "computing the rest anew forgets none of it"


async def test_an_undone_promotion_leaves_no_status_behind(kb: Path, market: Path) -> None:
    async with running(kb, market, mode="pipeline") as (app, pilot):
        screen = app.screen
        assert isinstance(screen, PipelineScreen)
        await app.runtime.pipeline.act("shadow", "volume_shock")  # type: ignore[union-attr]
        await until(pilot, lambda: "volume_shock" in app.store.metrics)
        await settled(app, pilot)
        await press(pilot, "u")
        await until(pilot, lambda: "volume_shock" not in app.store.metrics)
        await until(pilot, lambda: app.store.record("volume_shock").state == "candidate")  # type: ignore[union-attr]
        cells = screen._cells(app.store.record("volume_shock"))  # type: ignore[arg-type]
        assert cells["sign"] == (app.shell.glyphs.ok, "muted")
        assert cells["status"][0] == "not watched"
        await settled(app, pilot)
        same_as_engine(app)


async def test_alerts_of_the_past_arrive_with_a_promotion_and_are_those_of_a_restart(kb: Path, market: Path) -> None:
    async with running(kb, market) as (app, pilot):
        same_as_engine(app)
        for action, name in (("promote", "range_position"), ("demote", "reversal_1h"), ("pause", "momentum_24h")):
            await app.runtime.pipeline.act(action, name, "a reason")  # type: ignore[union-attr]
            await settled(app, pilot)
            same_as_engine(app)
        await press(pilot, "u")
        await settled(app, pilot)
        same_as_engine(app)
        before = {(a.id, a.status) for a in app.store.open_alerts}
        assert before
    async with running(kb, market) as (app, _):
        assert {(a.id, a.status) for a in app.store.open_alerts} == before
        same_as_engine(app)


async def test_the_first_promotion_brings_its_alerts_to_feed_and_header(tmp_path: Path, market: Path) -> None:
    kb = tmp_path / "fresh"
    act(kb, lambda p: p.save_candidate(record("momentum_24h", expression="cs_zscore(returns(close, 24))")))
    async with running(kb, market) as (app, pilot):
        assert app.store.alerts == {}
        await app.runtime.pipeline.act("promote", "momentum_24h", "a reason")  # type: ignore[union-attr]
        await until(pilot, lambda: "momentum_24h" in app.store.metrics)
        await settled(app, pilot)
        assert app.runtime.queries.alerts(include_resolved=True)  # type: ignore[union-attr]
        same_as_engine(app)
        assert "no alert was raised" not in screen_text(app)


async def test_an_answer_to_an_alert_survives_another_look(kb: Path, market: Path) -> None:
    async with running(kb, market) as (app, pilot):
        chosen = app.store.open_alerts[0]
        await app.runtime.queries.acknowledge(chosen.id)  # type: ignore[union-attr]
        await app.runtime.pipeline.act("shadow", "volume_shock")  # type: ignore[union-attr]
        await until(pilot, lambda: "volume_shock" in app.store.metrics)
        await settled(app, pilot)
        assert app.store.alerts[chosen.id].status == "acknowledged"


async def test_a_second_terminal_sees_what_the_first_promotes(kb: Path, market: Path) -> None:
    async with running(kb, market) as (first, _), running(kb, market) as (second, pilot):
        await first.runtime.pipeline.act("shadow", "volume_shock")  # type: ignore[union-attr]
        await until(pilot, lambda: "volume_shock" in second.store.metrics, "the other one watches it too")
        await settled(second, pilot)
        same_as_engine(second)


async def test_a_kill_with_the_keys_is_struck_through_at_once(kb: Path, market: Path) -> None:
    async with running(kb, market, mode="pipeline") as (app, pilot):
        screen = app.screen
        assert isinstance(screen, PipelineScreen)
        screen.show_feature("momentum_24h")
        await press(pilot, "K")
        await readable(pilot, AskModal)
        assert "calls on_kill" in screen_text(app)
        assert "the kill callback fires" not in screen_text(app)
        await press(pilot, "tab")
        await type_text(pilot, "flipped")
        await press(pilot, "tab")
        await type_text(pilot, "momentum_24h")
        await press(pilot, "enter")
        await until(pilot, lambda: "momentum_24h" not in app.store.metrics)
        await press(pilot, "1")
        await until(pilot, lambda: "killed" in screen_text(app))
        await settled(app, pilot)
        same_as_engine(app)


_MONITOR = """
import asyncio, sys
from midas_engine.journal import Journal
from midas_engine.kb import KnowledgeBase
from midas_engine.monitor import OnlineMonitor
from midas_engine.promoter import FeaturePromoter
from tests.helpers_monitor import bar_time, clock_at

async def main():
    kb = KnowledgeBase(sys.argv[1])
    told = lambda name: print("on_kill", name, flush=True)
    with Journal(kb.journal_path) as journal:
        promoter = FeaturePromoter(kb, journal, via="Python")
        more = dict(kb=kb, journal=journal, promoter=promoter, on_kill=told, clock=clock_at(99))
        monitor = OnlineMonitor(["momentum_24h"], **more)
        for bar in range(2):
            await monitor.process_update(bar_time(bar), {"momentum_24h": 1.0}, 0.01)
        print("watching", flush=True)
        await asyncio.to_thread(sys.stdin.read)
        await monitor.close()

asyncio.run(main())
"""


async def test_a_kill_with_the_keys_calls_the_callback_of_a_monitor_in_another_process(kb: Path, market: Path) -> None:
    pipe = asyncio.subprocess.PIPE
    monitor = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _MONITOR, str(kb), cwd=ROOT, stdin=pipe, stdout=pipe
    )
    assert monitor.stdout is not None
    try:
        await asyncio.wait_for(monitor.stdout.readuntil(b"watching\n"), PATIENCE_SECONDS)
        async with running(kb, market, mode="pipeline") as (app, pilot):
            screen = app.screen
            assert isinstance(screen, PipelineScreen)
            screen.show_feature("momentum_24h")
            await press(pilot, "K")
            await readable(pilot, AskModal)
            await press(pilot, "tab")
            await type_text(pilot, "flipped")
            await press(pilot, "tab")
            await type_text(pilot, "momentum_24h")
            await press(pilot, "enter")
            said = await asyncio.wait_for(monitor.stdout.readline(), PATIENCE_SECONDS)
        assert said == b"on_kill momentum_24h\n"
        rest, _ = await monitor.communicate(b"")  # an empty input ends it
        assert rest == b""  # once
        assert monitor.returncode == 0
    finally:
        with contextlib.suppress(ProcessLookupError):
            monitor.kill()


async def test_while_nothing_is_watched_yet_nothing_is_said_of_no_feature() -> None:
    runtime = ScriptedRuntime()
    runtime.found = []
    async with scripted(runtime, size=(160, 45)) as (app, pilot, _):
        await settle(pilot)
        text = screen_text(app)
        assert "of the way to" not in text, "a book of features that are not on the screen"
        for said in ("not enough bars yet", "no promise was measured", "no fills here"):
            assert said not in text
        runtime.bus.publish(ev.FeatureTicked(at=NOW, metrics=metrics("vwap_zscore_mean_rev")))
        app.shell.bridge.pump()
        await until(pilot, lambda: all(said in screen_text(app) for said in ("not enough bars yet", "of the way to")))


def spark_of(app: MidasApp, name: str) -> str:
    """The line of the 5-day IC in a feature's row."""
    table = app.screen.query_one("#features")
    row = table._rows.get(name)  # type: ignore[attr-defined]
    return str(row.cells()["spark"][0]) if row is not None else ""


async def test_recorded_data_shows_the_line_of_the_bars_it_has(kb: Path, market: Path) -> None:
    async with running(kb, market, size=(160, 45)) as (app, _):
        line = spark_of(app, "momentum_24h")
        assert len(line.strip()) == 8, f"eight stretches of the last five days, and not the last bar alone: {line!r}"
        kept = app.runtime.queries.chart("momentum_24h").series["ic_5d"]  # type: ignore[union-attr]
        assert list(app.store.sparks["momentum_24h"]) == pytest.approx(kept[-120:], nan_ok=True)


async def test_after_a_jump_back_the_line_holds_nothing_of_what_is_to_come(tmp_path: Path, market: Path) -> None:
    async with running(tmp_path / "none", market, replay=True, size=(160, 45)) as (app, pilot):
        replay = app.runtime.replay  # type: ignore[union-attr]
        for place in (replay.total - 1, replay.total // 2):
            await replay.seek(place)
            await until(pilot, lambda place=place: app.store.replay.position == place)
            await settle(pilot)
            await until(pilot, lambda: len(spark_of(app, "funding_change").strip()) == 8)
            kept = app.runtime.queries.chart("funding_change").series["ic_5d"]  # type: ignore[union-attr]
            assert list(app.store.spark("funding_change", app.runtime)) == pytest.approx(kept[-120:], nan_ok=True)
