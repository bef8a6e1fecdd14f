"""`run_demo()`: discover on known truth, promote, live through what follows, write the report.

The demo works in a base of its own and copies its documents into the user's at the end. So the same seed gives the
same report however often it runs, and a market that was made up spends nothing of the user's lifetime of trials and
sealed looks.
"""

from __future__ import annotations

import asyncio
import dataclasses
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from midas_engine.alive import Scratch
from midas_engine.clock import ManualClock, WallClock
from midas_engine.demo.monitoring import Story, live
from midas_engine.demo.publish import copy_guidance, open_target, publish, write_report
from midas_engine.demo.report import render
from midas_engine.demo.result import DemoResult
from midas_engine.demo.world import GOAL, World, build_world
from midas_engine.errors import SessionError
from midas_engine.events import CandidateScored, ModelCalled
from midas_engine.factory import Midas
from midas_engine.loops import OfflineLoopConfig
from midas_engine.models import FeatureRecord, FeatureState
from midas_engine.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from midas_engine.clock import Clock
    from midas_engine.events import Event
    from midas_engine.monitor import OnlineMonitor
    from midas_engine.settings import Settings

DEFAULT_REPORT = "demo_artifacts/DEMO_REPORT.md"
ITERATIONS = 4


def run_demo(
    report_path: str | Path = DEFAULT_REPORT,
    *,
    kb_path: str | Path | None = None,
    provider: str = "mock",
    model: str | None = None,
    api_key: str | None = None,
    seed: int | None = None,
    settings: Settings | None = None,
    on_event: Callable[[Event], None] | None = None,
) -> DemoResult:
    """One discovery session and one monitoring session on synthetic data; blocking.

    Args:
        report_path: Where the Markdown report goes; replaced when it is there.
        kb_path: The base that candidates, learnings and reports go to; None: the settings' (`./midas-kb`).
        provider: mock and local need no key; openai, anthropic, compatible.
        model: Model name.
        api_key: The provider's key; better in the environment.
        seed: Of the market and of the local search; the same seed gives the same report, byte for byte.
        settings: Complete settings instead of those of `midas.toml` and the environment.
        on_event: Told of every event as it happens.

    Raises:
        ModelKeyError: The provider has no key.
        SessionError: The discovery session failed.
        KnowledgeBaseError: The base cannot be written.
    """
    flags = {
        "kb": None if kb_path is None else str(kb_path),
        "model.provider": provider,
        "model.model": model,
        "seed": seed,
    }
    chosen = load_settings(flags=flags) if settings is None else settings
    return asyncio.run(demo(chosen, report_path, api_key=api_key, on_event=on_event))


async def demo(
    settings: Settings,
    report_path: str | Path = DEFAULT_REPORT,
    *,
    api_key: str | None = None,
    on_event: Callable[[Event], None] | None = None,
    started: Callable[[Midas], None] | None = None,
    clock: Clock | None = None,
) -> DemoResult:
    """`run_demo`, awaited. `started` is given the container whose `offline.cancel()` ends the session early."""
    tell = on_event or _quiet
    wall: Clock = clock or WallClock()
    with Scratch("demo") as folder:
        own = dataclasses.replace(settings, kb=str(folder / "kb"), read_only=False)
        await asyncio.to_thread(copy_guidance, settings.kb_path, own.kb_path)
        config = OfflineLoopConfig(
            max_iterations=ITERATIONS,
            model=settings.model.model,
            max_tokens=settings.model.max_tokens,
            use_learnings=False,
        )
        midas = await asyncio.to_thread(lambda: Midas(own, api_key=api_key, offline_config=config, clock=wall))
        try:
            await asyncio.to_thread(open_target, settings, wall)
            if started is not None:
                started(midas)
            world = await asyncio.to_thread(build_world, settings.seed, settings.monitor.expected_slippage_bps)
            heard = await _discover(midas, world, tell)
            learning = midas.offline.last_learning
            assert learning is not None  # a session always leaves one
            if learning.result in ("error", "cancelled"):
                await asyncio.to_thread(publish, midas, settings, [], heard.calls, wall)
                raise SessionError(f"the demo's discovery session was stopped: {learning.body.splitlines()[0]}")
            found = await asyncio.to_thread(_deploy, midas, world)
            story = await _live(midas, world, found, tell)
            result = DemoResult(Path(report_path), settings.kb_path, learning, found, heard.scored, story)
            text = render(result, world, settings)
            result.documents = await asyncio.to_thread(publish, midas, settings, found, heard.calls, wall)
            await asyncio.to_thread(write_report, result.report_path, text)
        finally:
            await asyncio.to_thread(midas.close)
    return result


def _quiet(_: Event) -> None:
    return None


@dataclass(slots=True)
class _Heard:
    scored: list[CandidateScored] = field(default_factory=list)
    calls: list[ModelCalled] = field(default_factory=list)


async def _discover(midas: Midas, world: World, tell: Callable[[Event], None]) -> _Heard:
    heard = _Heard()
    async with aclosing(midas.discover(GOAL, world.history)) as events:
        async for event in events:
            tell(event)
            if isinstance(event, CandidateScored):
                heard.scored.append(event)
            elif isinstance(event, ModelCalled):
                heard.calls.append(event)
    return heard


def _deploy(midas: Midas, world: World) -> list[FeatureRecord]:
    """Promote what was found, and beside it the planted signals that will die."""
    found = [midas.promoter.promote(name) for name in midas.promoter.list_candidates()]
    found.sort(key=lambda record: -float(record.metrics.get("score_t", 0.0)))
    plant(midas, world)
    return found


def plant(midas: Midas, world: World) -> None:
    """Deploy the planted signals that will die, as an older book would hold them."""
    from midas_engine.evaluator.metrics.reference_score import measure_reference

    rows = slice(world.searched // 2, world.searched)
    for planted in world.mortal():
        reference, _ = measure_reference(world.panel, world.values(planted.expression), rows)
        if reference is None:
            continue
        record = FeatureRecord(
            name=planted.name,
            expression=planted.expression,
            state=FeatureState.CANDIDATE,
            hypothesis="planted in the synthetic market; alive in the searched part",
            expected_score=reference.score,
            breadth=1.0 / reference.variance,
            metrics={"reference_bars": reference.variance_bars},
        )
        midas.promoter.save_candidate(record)
        # Known from the making of the market, not from a measurement: the history says that it was forced.
        midas.promoter.promote(planted.name, "deployed for the demo's live part", force=True)


async def _live(midas: Midas, world: World, found: list[FeatureRecord], tell: Callable[[Event], None]) -> Story:
    story = Story()
    clock = ManualClock(world.opens(world.searched) - timedelta(hours=1))
    names = midas.promoter.list_deployed()
    if not names:
        return story
    monitor: OnlineMonitor = midas.build_online(
        feature_names=names,
        on_kill=story.told.append,
        symbols=world.panel.S,
        bar_seconds=world.panel.bar_seconds,
        keep_state=False,
        clock=clock,
    )
    features = {name: midas.kb.feature(name).expression for name in names}
    try:
        await live(world, monitor, features, clock, story, tell)
    finally:
        await monitor.close()
    return story
