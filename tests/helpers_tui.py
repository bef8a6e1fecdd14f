"""A terminal under test: on a real runtime over a small market, or on a scripted one whose every figure is fixed."""

from __future__ import annotations

import asyncio
import math
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from helpers_kb import record
from helpers_patience import PATIENCE_SECONDS, let_pilots_wait
from helpers_tui_base import FEATURES as FEATURES
from helpers_tui_base import fill_base as fill_base
from helpers_tui_base import write_market as write_market
from helpers_tui_parts import Paper as Paper
from helpers_tui_parts import (
    ScriptedBook,
    ScriptedDiagnosing,
    ScriptedDocuments,
    ScriptedPipeline,
    ScriptedQueries,
    ScriptedSessions,
    ScriptedSinceLeft,
    scripted_book,
)
from helpers_tui_session import NOW as NOW
from helpers_tui_session import searched as searched
from helpers_tui_session import session_events as session_events
from midas_engine import events as ev
from midas_engine.bus import EventBus
from midas_engine.clock import WallClock
from midas_engine.models import (
    Alert,
    AlertStatus,
    Estimate,
    FeatureMetrics,
    FeatureRecord,
    FeatureState,
    PipelineSummary,
    Severity,
)  # fmt: skip
from midas_engine.settings import load_settings
from midas_tui.app import MidasApp
from midas_tui.modals.dialog import Dialog

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from textual.pilot import Pilot

    from midas_engine.clock import Clock
    from midas_engine.runtime import Runtime

let_pilots_wait()
READING_SECONDS = 60.0
SETTLE_SECONDS = 2.0


class SteppedClock(WallClock):
    """Stands still until a test moves it: a dialog is unread, however busy the machine, until the test has read it."""

    def __init__(self) -> None:
        self.added = 0.0

    def monotonic(self) -> float:
        return self.added


async def readable(pilot: Pilot[Any], kind: type[Any] = Dialog) -> None:
    """Wait until a dialog stands on the screen, then until it listens."""
    app: Any = pilot.app
    await until(pilot, lambda: isinstance(app.screen, kind) and app.gate.shown(app.screen), f"{kind.__name__} opens")
    app.gate._clock.added += READING_SECONDS
    await pilot.pause()


# -- a real runtime ----------------------------------------------------------------------------------


@asynccontextmanager
async def running(
    kb: Path,
    data: Path | str,
    *,
    size: tuple[int, int] = (120, 32),
    replay: bool = False,
    mode: str = "live",
    clock: Clock | None = None,
    **flags: Any,
) -> AsyncIterator[tuple[MidasApp, Pilot[Any]]]:
    """The terminal on a real runtime, once that runs. A replay stands still at its first bar."""
    settings = load_settings(file=None, environ={}, flags={"kb": str(kb), "data": str(data), **flags})

    def make() -> Runtime:
        from midas_engine.runtime import Runtime

        return Runtime(settings, replay=str(data) if replay else None, clock=clock)

    app = MidasApp(make, settings, mode=mode, clock=SteppedClock())
    async with app.run_test(size=size) as pilot:
        await asyncio.wait_for(app.ready.wait(), PATIENCE_SECONDS)
        await settle(pilot)
        yield app, pilot


async def until(
    pilot: Pilot[Any], ready: Callable[[], object], what: str = "", *, patience: float = PATIENCE_SECONDS
) -> None:
    """Let the program run until `ready`; fails after a while with what the screen shows."""
    app: Any = pilot.app
    clock = asyncio.get_running_loop().time
    end = clock() + patience
    while clock() < end:
        app.shell.bridge.pump()
        await pilot.pause()
        if ready():
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"never happened: {what or ready}\n{screen_text(app)}")


async def press(pilot: Pilot[Any], *keys: str) -> None:
    """Press keys one after another, as a user does, and look when the screen has answered."""
    await pilot.press(*keys)
    await settle(pilot)


async def settle(pilot: Pilot[Any]) -> None:
    """Wait until nothing is left to do: no message, no callback, nothing to lay out or to draw.

    `Pilot.pause` takes a process that uses no processor for an idle one. Beside other work it also uses none while it
    waits for its turn, and a picture was taken before the last scrolling. A program that never rests is looked at
    after a while all the same.
    """
    app: Any = pilot.app
    clock = asyncio.get_running_loop().time
    end, rests = clock() + SETTLE_SECONDS, 0
    await pilot.pause()
    while rests < 2 and clock() < end:
        rests = 0 if _at_work(app) else rests + 1
        await asyncio.sleep(0.002)


def _at_work(app: Any) -> bool:
    screen = app.screen
    if screen._callbacks or screen._dirty_widgets or screen._layout_required or screen._repaint_required:
        return True
    return any(node.message_queue_size or node._next_callbacks for node in (app, *screen.walk_children(with_self=True)))


async def type_text(pilot: Pilot[Any], text: str) -> None:
    """Type a text into what has the focus."""
    names = {" ": "space", "_": "underscore", "-": "minus", ".": "full_stop", ":": "colon", "/": "slash"}
    await press(pilot, *(names.get(letter, letter) for letter in text))


async def set_field(pilot: Any, name: str, value: str) -> None:
    """Put a value into a field of the dialog that is shown."""
    from textual.widgets import Input

    pilot.app.screen.query_one(f"#field-{name}", Input).value = value
    await pilot.pause()


def screen_text(app: MidasApp) -> str:
    """What the screen shows, as text."""
    return "\n".join(strip.text.rstrip() for strip in app.screen._compositor.render_strips())


def toasts(app: MidasApp) -> list[str]:
    """Messages said so far that still stand."""
    return [n.message for n in app._notifications]


# -- a scripted runtime ------------------------------------------------------------------------------


def metrics(name: str, at: datetime = NOW, **changes: Any) -> FeatureMetrics:
    """Figures of a healthy, promised feature."""
    values: dict[str, Any] = {
        "status": "healthy",
        "regime": "HIGH_VOL",
        "bars": 720,
        "ic_1d": Estimate(0.03, 0.04),
        "ic_5d": Estimate(0.031, 0.02),
        "ic_30d": Estimate(0.035, 0.009),
        "ic_ratio": 0.89,
        "score": 0.0181,
        "expected_score": 0.0128,
        "decay_log_s": 5.2,
        "kill_log_e": 3.1,
        "decay_threshold": 9.1,
        "days_to_detect_drop": 42.0,
        "days_to_detect_flip": 18.0,
        "false_alarms_per_year": 1.0,
        "pnl_1d_bps": 12.3,
        "pnl_net_1d_bps": 10.1,
        "turnover": 0.12,
        "half_life_hours": 36.0,
        "coverage": 1.0,
        "slippage_bps": 2.4,
        "expected_slippage_bps": 2.0,
        "slippage_ratio": 1.2,
    }
    return FeatureMetrics(feature=name, at=at, **(values | changes))


RULES = {"ic_decay": "ic_ratio", "execution_slippage": "slippage", "regime_shift": "regime"}


def alert(name: str, rule: str = "ic_decay", hours: int = 3, **changes: Any) -> Alert:
    """A running critical episode."""
    values: dict[str, Any] = {
        "id": f"{name}-{rule}",
        "feature": name,
        "alert_type": rule,
        "severity": Severity.CRITICAL,
        "message": "5-day IC is 0.43 of the 30-day IC, below 0.50",
        "raised_at": NOW - timedelta(hours=hours),
        "last_seen_at": NOW,
        "count": hours + 1,
        "value": 0.43,
        "threshold": 0.5,
        "unit": "ratio",
        "rule": RULES.get(rule, rule),
    }
    return Alert(**(values | changes))


def scene() -> tuple[list[FeatureMetrics], list[Alert], PipelineSummary]:
    """Five live features, four alerts, a pipeline of every state."""
    low = Estimate(0.012, 0.021)
    found = [
        metrics("vwap_zscore_mean_rev", status="critical", ic_5d=low, ic_ratio=0.43, decay_log_s=9.6, pnl_1d_bps=-61.0),
        metrics("funding_skew_8h"),
        metrics("ob_imbalance_5m", status="warning", ic_ratio=0.63, slippage_ratio=1.7),
        metrics("low_volatility", status="uncalibrated", expected_score=None, slippage_ratio=math.nan),
        metrics("skewness@2", status="paused", ic_5d=Estimate(math.nan), ic_ratio=math.nan),
    ]
    resolved = AlertStatus.RESOLVED
    alerts = [
        alert("vwap_zscore_mean_rev"),
        alert("ob_imbalance_5m", "execution_slippage", severity=Severity.WARNING, value=1.7, threshold=1.5,
              message="slippage is 1.70x what was expected, above 1.50x"),
        alert("funding_skew_8h", "drawdown", 30, status=AlertStatus.ACKNOWLEDGED, severity=Severity.WARNING,
              message="one-day contribution is -61.0 bps", value=-61.0, threshold=-50.0, acknowledged_by="operator"),
        alert("low_volatility", "regime_shift", 90, status=resolved, resolved_at=NOW, severity=Severity.WARNING,
              message="the IC in HIGH_VOL is below its own", diagnosis="reports/diagnoses/low_volatility.md"),
    ]  # fmt: skip
    at = NOW - timedelta(days=41)

    def row(name: str, state: FeatureState, **changes: Any) -> FeatureRecord:
        return record(name, state=state, changed_at=at, created_at=at, **changes)

    history = ({"at": at.isoformat(), "action": "promote", "before": "candidate", "after": "deployed"},)
    summary = PipelineSummary(
        candidates=(
            row("skewness@3", FeatureState.CANDIDATE, version=3, lineage=("skewness", "skewness@2")),
            row(
                "carry_slow", FeatureState.CANDIDATE, metrics={"rank_ic": 0.012, "score_t": 1.4, "overall_pass": False}
            ),
        ),
        shadow=(row("low_volatility", FeatureState.SHADOW, expected_score=None),),
        deployed=(
            row("vwap_zscore_mean_rev", FeatureState.DEPLOYED, expression="-cs_zscore(close / vwap)", history=history),
            row("funding_skew_8h", FeatureState.DEPLOYED),
            row("ob_imbalance_5m", FeatureState.DEPLOYED),
            row("skewness@2", FeatureState.DEPLOYED, paused=True, version=2, lineage=("skewness",)),
        ),
        archived=(
            row("skewness", FeatureState.ARCHIVED, reason="replaced by skewness@2"),
            row("old_carry", FeatureState.ARCHIVED, killed=True, reason="the sign flipped"),
        ),
    )
    return found, alerts, summary


class ScriptedRuntime:
    """A runtime whose every answer is fixed; `calls` records what was asked of it."""

    mode = "OFFLINE"
    attached = ""
    read_only = False
    source = "scripted"
    phase = "running"
    bar_seconds = 3600
    replay = None
    data_ends = NOW

    def __init__(self) -> None:
        self.bus = EventBus()
        self.calls: list[tuple[Any, ...]] = []
        self.found, self.running, self.summary = scene()
        self.pipeline = ScriptedPipeline(self)
        self.queries = ScriptedQueries(self)
        self.diagnosing = ScriptedDiagnosing(self)
        self.sessions = ScriptedSessions(self)
        self.documents = ScriptedDocuments(self)
        self.book = ScriptedBook(self)
        self.since_left = ScriptedSinceLeft(self)
        self.whole = scripted_book()
        self.papers = {
            "knowledge/learnings/offline/20260101-reversal.md": (
                "---\ntitle: Reversal dies in calm markets\nresult: success\n---\n# Reversal dies in calm markets\n\n"
                "Twelve were tried. See [[midas-dsl]].\n\n## What worked\n\n- a mean over 72 bars\n- `cs_rank`\n\n"
                "## What failed\n\nAnything faster than a settlement.\n"
            ),
            "skills/midas-dsl.md": "# The language\n\n## Operators\n\n```\ncs_rank(x)\n```\n",
        }

    def now(self) -> datetime:
        return NOW

    async def start(self) -> None:
        self.bus.publish(ev.RuntimeChanged(at=NOW, phase="running"))
        self.bus.publish(ev.BarProcessed(at=NOW, bar_at=NOW, regime="HIGH_VOL", features=5, seconds=0.002))

    async def stop(self) -> None:
        self.calls.append(("stop",))

    def troubles(self) -> list[Any]:
        return []

    def status(self) -> dict[str, Any]:
        return {"phase": self.phase, "background": "nothing"}


@asynccontextmanager
async def scripted(
    runtime: Any = None,
    *,
    size: tuple[int, int] = (120, 32),
    mode: str = "live",
    notifications: bool = False,
    **flags: Any,
) -> AsyncIterator[tuple[MidasApp, Pilot[Any], Any]]:
    """The terminal on a scripted runtime; `notifications` draws its messages too."""
    runtime = runtime or ScriptedRuntime()
    settings = load_settings(file=None, environ={}, flags=flags)
    app = MidasApp(lambda: runtime, settings, mode=mode, clock=SteppedClock())
    async with app.run_test(size=size, notifications=notifications) as pilot:
        await asyncio.wait_for(app.ready.wait(), PATIENCE_SECONDS)
        await settle(pilot)
        yield app, pilot, runtime
