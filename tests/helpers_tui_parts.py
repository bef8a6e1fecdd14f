"""The parts of a scripted runtime, whose every answer is fixed: what `ScriptedRuntime` in `helpers_tui` is made of."""

from __future__ import annotations

import dataclasses
import math
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from helpers_tui_session import NOW
from midas_engine.errors import ReadOnlyError
from midas_engine.runtime.queries import ChartData, ForwardRecord, Portfolio
from midas_engine.runtime.watch_report import WatchReport

if TYPE_CHECKING:
    from helpers_tui import ScriptedRuntime
    from midas_engine.models import Alert, FeatureMetrics, PipelineSummary


@dataclasses.dataclass
class Paper:
    """A document of the scripted base."""

    path: str
    title: str
    kind: str = "learning"
    damaged: str = ""


class ScriptedPart:
    """A part of the scripted runtime; `desk` is that runtime."""

    def __init__(self, desk: ScriptedRuntime) -> None:
        self.desk = desk


class ScriptedPipeline(ScriptedPart):
    async def summary(self) -> PipelineSummary:
        return self.desk.summary

    async def preview(self, action: str, name: str) -> Any:
        raise ReadOnlyError("a scripted runtime changes nothing")

    async def act(self, action: str, name: str, reason: str = "") -> str:
        self.desk.calls.append((action, name, reason))
        return f"{name} {action}"

    async def undo(self) -> str:
        raise ReadOnlyError("nothing to undo")

    redo = undo


class ScriptedQueries(ScriptedPart):
    stale = False

    def metrics(self) -> dict[str, FeatureMetrics]:
        return {m.feature: m for m in self.desk.found}

    def watch_report(self, summary: PipelineSummary) -> WatchReport:
        return WatchReport()

    def chart(self, name: str) -> ChartData | None:
        if name not in self.metrics():
            return None
        wave = [0.03 + 0.02 * math.sin(i / 9.0) for i in range(300)]
        ratio = self.metrics()[name].slippage_ratio
        return ChartData(
            {
                "ic_5d": wave,
                "ic_30d": [0.035] * 300,
                "slippage_ratio": [ratio] * 300,
                "pnl_bps": wave,
                "score": wave,
                "log_s": [4 + i / 60 for i in range(300)],
            }
        )

    def portfolio(self) -> Portfolio:
        return Portfolio(4.2, 9.1, 4)

    def forward(self, name: str) -> ForwardRecord | None:
        return ForwardRecord(NOW - timedelta(days=9), 216, 0.0102, 0.0051, 31.5, True)

    def kill_proposals(self) -> dict[str, str]:
        return {"vwap_zscore_mean_rev": "the e-detector says its score is below 0.0012"}

    def alerts(self, *, include_resolved: bool = False) -> list[Alert]:
        return [a for a in self.desk.running if include_resolved or a.active]

    async def acknowledge(self, alert_id: str) -> str:
        self.desk.calls.append(("acknowledge", alert_id))
        return "acknowledged"

    async def snooze(self, alert_id: str, hours: float) -> str:
        self.desk.calls.append(("snooze", alert_id, str(hours)))
        return f"snoozed for {hours:g} h"

    async def reopen(self, alert_id: str) -> str:
        self.desk.calls.append(("reopen", alert_id))
        return "open again"


class ScriptedDiagnosing(ScriptedPart):
    async def ask(self, feature: str) -> str:
        self.desk.calls.append(("diagnose", feature))
        return f"diagnosing {feature}"


class ScriptedSessions(ScriptedPart):
    def list(self) -> list[Any]:
        return []

    def providers(self) -> list[str]:
        return ["local"]

    async def start(self, goal: str, provider: str = "") -> str:
        self.desk.calls.append(("start", goal, provider))
        return f"session started: {goal}"

    async def cancel(self) -> str:
        self.desk.calls.append(("cancel",))
        return "session cancelled"


class ScriptedDocuments(ScriptedPart):
    async def list(self) -> list[Paper]:
        return [Paper(path, text.split("# ")[1].split("\n")[0]) for path, text in self.desk.papers.items()]

    async def read(self, path: str) -> str:
        return self.desk.papers[path]

    async def related(self, path: str) -> list[str]:
        return [p for p in self.desk.papers if p != path]

    def file(self, path: str) -> str:
        return path
