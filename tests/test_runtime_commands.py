"""The runtime by itself: life, commands, refusals, faults, what it knows about live features."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from midas_engine.errors import MidasError, MonitorError, ReadOnlyError, SessionError, TransitionError
from midas_engine.events import DocumentChanged, FaultReported, FeatureMoved, RuntimeChanged
from midas_engine.runtime import Runtime
from midas_engine.settings import load_settings

if TYPE_CHECKING:
    from pathlib import Path

MARKET_DAYS = 20


def runtime(kb: Path, market: Path | str, *, replay: bool = False, **flags: Any) -> Runtime:
    settings = load_settings(file=None, environ={}, flags={"kb": str(kb), "data": str(market), **flags})
    return Runtime(settings, replay=str(market) if replay else None)


async def settled(midas: Runtime, ready: Any) -> None:
    for _ in range(1000):
        if ready():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("never happened")


async def test_it_starts_watches_what_is_deployed_and_stops_twice(kb: Path, market: Path) -> None:
    midas = runtime(kb, market)
    phases = midas.bus.subscribe("test", RuntimeChanged)
    await midas.start()
    assert midas.phase == "running"
    assert set(midas.queries.metrics()) == {"reversal_1h", "momentum_24h", "range_position"}
    chart = midas.queries.chart("reversal_1h")
    assert chart is not None
    assert len(chart.series["ic_5d"]) > 100
    assert midas.queries.chart("no_such") is None
    await midas.stop()
    await midas.stop()
    assert [e.phase for e in phases.take() if isinstance(e, RuntimeChanged)][-1] == "stopping"


async def test_an_action_is_on_disk_told_and_watched(kb: Path, market: Path) -> None:
    async with runtime(kb, market) as midas:
        moves = midas.bus.subscribe("test", FeatureMoved)
        said = await midas.pipeline.act("promote", "volume_shock", "never measured: a test of what follows")
        assert said.startswith("volume_shock promoted")
        await settled(midas, lambda: "volume_shock" in midas.queries.metrics())
        await settled(midas, lambda: moves.stats.depth > 0)
        assert (await midas.pipeline.undo()).startswith("undo: volume_shock is candidate")
        await settled(midas, lambda: "volume_shock" not in midas.queries.metrics())
        assert (await midas.pipeline.redo()).startswith("redo: volume_shock is deployed")


async def test_a_paused_feature_is_watched_as_paused(kb: Path, market: Path) -> None:
    async with runtime(kb, market) as midas:
        await midas.pipeline.act("pause", "reversal_1h")
        await settled(midas, lambda: midas.queries.metrics()["reversal_1h"].status == "paused")


@pytest.mark.parametrize("flags", [{"replay": True}, {"read_only": True}])
async def test_a_replay_and_a_read_only_base_refuse_every_change(kb: Path, market: Path, flags: Any) -> None:
    async with runtime(kb, market, **flags) as midas:
        for action in ("promote", "kill", "pause", "redeploy"):
            with pytest.raises(ReadOnlyError):
                await midas.pipeline.act(action, "volume_shock", "why")
            with pytest.raises(ReadOnlyError):
                await midas.pipeline.preview(action, "volume_shock")
        for turn in (midas.pipeline.undo, midas.pipeline.redo):
            with pytest.raises(ReadOnlyError):
                await turn()


async def test_unknown_actions_features_and_alerts_are_named(kb: Path, market: Path) -> None:
    async with runtime(kb, market) as midas:
        with pytest.raises(TransitionError, match="no action 'explode'"):
            await midas.pipeline.act("explode", "volume_shock")
        with pytest.raises(MidasError):
            await midas.pipeline.act("promote", "no_such")
        for call in (midas.queries.acknowledge, midas.queries.reopen):
            with pytest.raises(MonitorError, match="not open"):
                await call("a-nothing")
        with pytest.raises(MonitorError):
            await midas.queries.snooze("a-nothing", 1.0)
        with pytest.raises(SessionError):
            await midas.sessions.cancel()


async def test_nothing_watched_says_what_to_do(tmp_path: Path, market: Path) -> None:
    async with runtime(tmp_path / "kb", market) as midas:
        assert midas.queries.metrics() == {}
        assert midas.queries.alerts() == []
        assert midas.queries.portfolio() is None
        with pytest.raises(MonitorError) as caught:
            await midas.queries.acknowledge("a-1")
        assert caught.value.hint == "promote a candidate first"


async def test_data_that_is_not_there_stops_the_start_with_a_hint(tmp_path: Path) -> None:
    midas = runtime(tmp_path / "kb", "no_such_file.parquet")
    with pytest.raises(MidasError, match="no data at"):
        await midas.start()
    await midas.stop()


async def test_a_feature_that_cannot_be_computed_is_a_fault_and_the_others_run(kb: Path, market: Path) -> None:
    from helpers_kb import record
    from midas_engine.kb import KnowledgeBase
    from midas_engine.promoter import FeaturePromoter

    promoter = FeaturePromoter(KnowledgeBase(kb))
    promoter.save_candidate(record("strange", expression="cs_rank(open_interest)"))
    promoter.promote("strange")
    promoter.close()
    midas = runtime(kb, market)
    faults = midas.bus.subscribe("test", FaultReported)
    async with midas:
        assert "strange" not in midas.queries.metrics()
        assert "reversal_1h" in midas.queries.metrics()
        assert any("strange cannot be computed" in e.message for e in faults.take())  # type: ignore[attr-defined]


async def test_background_work_that_fails_is_reported_not_swallowed(kb: Path, market: Path) -> None:
    async with runtime(kb, market) as midas:
        faults = midas.bus.subscribe("test", FaultReported)

        async def broken() -> None:
            raise ZeroDivisionError("by design")

        await midas.supervisor.background(broken(), "experiment")
        (fault,) = faults.take()
        assert fault.where == "experiment"  # type: ignore[attr-defined]
        assert "ZeroDivisionError: by design" in fault.message  # type: ignore[attr-defined]
        assert midas.phase == "running"


async def test_files_that_change_are_told(kb: Path, market: Path) -> None:
    async with runtime(kb, market) as midas:
        changes = midas.bus.subscribe("test", DocumentChanged)
        await asyncio.sleep(0)
        for turn in range(200):
            (kb / "skills/mine.md").write_text(f"# mine {turn}\n")
            await asyncio.sleep(0.02)
            if changes.stats.depth:
                break
        assert any("skills/mine.md" in e.paths for e in changes.take())  # type: ignore[attr-defined]


async def test_the_forward_record_counts_bars_after_the_feature_was_frozen_only(kb: Path, market: Path) -> None:
    async with runtime(kb, market) as midas:
        # The recorded market lies before the base was made: all of it is hindsight, and said to be.
        seen = midas.queries.forward("range_position")
        assert seen is not None
        assert not seen.forward
        stage: Any = midas.watched.stage
        arrays = stage.fleet.engine.history("range_position")
        middle = arrays["at"][len(arrays["at"]) // 2]
        from datetime import UTC, datetime

        midas.watched.frozen_at["range_position"] = datetime.fromtimestamp(
            int(middle.astype("datetime64[s]").astype(int)), tz=UTC
        )
        later = midas.queries.forward("range_position")
        assert later is not None
        assert later.forward
        assert later.bars < seen.bars
        scores = arrays["score"][arrays["at"] >= middle]
        scores = scores[scores == scores]
        assert later.bars == len(scores)
        assert later.score == pytest.approx(scores.mean())
        assert later.se == pytest.approx(scores.std(ddof=1) / len(scores) ** 0.5)
        assert later.t == pytest.approx(later.score / later.se)
        assert midas.queries.forward("no_such") is None


async def test_the_portfolio_test_watches_promised_features(kb: Path, market: Path) -> None:
    async with runtime(kb, market) as midas:
        found = midas.queries.portfolio()
        assert found is not None
        assert found.features == 2  # a shadow feature is not in the portfolio
        assert found.threshold > 0


async def test_status_names_queues_and_background_work(kb: Path, market: Path) -> None:
    async with runtime(kb, market) as midas:
        midas.bus.subscribe("slow")
        status = midas.status()
        assert status["phase"] == "running"
        assert "queue slow" in status
        assert "files" in status["background"]
