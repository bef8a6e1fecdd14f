"""The parts of a scripted runtime, whose every answer is fixed: what `ScriptedRuntime` in `helpers_tui` is made of."""

from __future__ import annotations

import dataclasses
import math
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from helpers_tui_session import NOW, searched
from midas_engine.book.figures import BookFigures, Member, Path
from midas_engine.book.forecast import Forecast
from midas_engine.commands import AllDone
from midas_engine.errors import ReadOnlyError
from midas_engine.memory.links import Link
from midas_engine.memory.search import Found
from midas_engine.models import Estimate, SessionSummary
from midas_engine.runtime.queries import ChartData, ForwardRecord, Portfolio
from midas_engine.runtime.session_order import OrderField, Reach, command_of, form, order_of
from midas_engine.runtime.timeline import Mark, Timeline
from midas_engine.runtime.watch_report import WatchReport
from midas_engine.sentence import Money
from midas_engine.settings import Settings

if TYPE_CHECKING:
    from datetime import date

    from helpers_tui import ScriptedRuntime
    from midas_engine.events import Event
    from midas_engine.models import Alert, FeatureMetrics, PipelineSummary
    from midas_engine.monitor.daily.brief import Brief


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

    async def live(self) -> tuple[str, ...]:
        return tuple(r.name for r in (*self.desk.summary.shadow, *self.desk.summary.deployed))

    async def kill_all(self, reason: str) -> AllDone:
        self.desk.calls.append(("kill all", reason))
        return AllDone("kill", await self.live())

    async def pause_all(self, reason: str) -> AllDone:
        self.desk.calls.append(("pause all", reason))
        return AllDone("pause", await self.live())

    async def undo(self) -> str:
        raise ReadOnlyError("nothing to undo")

    redo = undo


def scripted_path() -> Path:
    """Half a year of days: a rise with two falls, the second not made up for."""
    first, days = datetime(2025, 6, 1, 23, tzinfo=UTC), range(183)
    at = tuple((first + timedelta(days=i)).replace(tzinfo=None).isoformat(timespec="minutes") for i in days)
    net = [4.0 * i + 120.0 * math.sin(i / 20.0) for i in days]
    gross, trading = [x + 1.5 * i for x, i in zip(net, days, strict=True)], [2.0 * i for i in days]
    return Path(at, tuple(net), tuple(gross), tuple(trading))


def scripted_book() -> BookFigures:
    """Two members, one of them dead, and figures of which some are unknown."""

    def about(value: float, error: float) -> Estimate:
        return Estimate(value, error, value - 1.645 * error, value + 1.645 * error)

    members = (
        Member("funding_carry", 1, "-cs_zscore(funding_rate)", 0.71, 24, 1.1, about(812.0, 210.0), about(1400.0, 350.0),
               0.02, 0.03, False),
        Member("momentum", 2, "cs_rank(ts_mean(returns(close, 1), 168))", 0.0, 12, 1.0, about(-3.0, 40.0),
               about(-90.0, 300.0), 0.03, 0.6, True, "book"),
    )  # fmt: skip
    return BookFigures(
        data="scripted", first="2025-06-01T00:00", last="2025-12-01T00:00", bars=4392, capital_usd=100_000.0,
        members=members, left_out=(("old_one", "paused"),), net=about(812.0, 400.0),
        measured_sharpe=about(1.9, 0.9), equal=about(200.0, 500.0), equal_sharpe=about(0.4, 1.0),
        forecast=Forecast(0.07, 0.04, about(1.5, 0.7), about(1.5, 1.22)), turnover=0.5, members_turnover=0.8,
        gross=0.7, drawdown_bps=240.0, drawdown_from="2025-07-02", drawdown_to="2025-08-01", funding_known=True,
        holdings={"BTCUSDT": 0.2, "ETHUSDT": -0.2}, digest="0123456789abcdef0123", path=scripted_path(),
        cost_bps={"fees": 4.0, "spread": 1.0, "slippage": 1.0},
    )  # fmt: skip


class ScriptedBook(ScriptedPart):
    async def figures(self, *, again: bool = False) -> BookFigures:
        return self.desk.whole


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
            },
            [NOW - timedelta(hours=299 - i) for i in range(300)],
        )

    def timeline(self, name: str = "", summary: PipelineSummary | None = None) -> Timeline:
        times = [NOW - timedelta(hours=299 - i) for i in range(300)]
        net = [i / 3.0 - 40.0 * math.sin(i / 40.0) for i in range(300)]
        fallen = [value - max(net[: place + 1]) for place, value in enumerate(net)]
        marks = (
            Mark(times[60], "promotion", "funding_skew_8h", "t 3.6"),
            Mark(times[200], "alert", "vwap_zscore_mean_rev", "the test says it died"),
            Mark(times[280], "kill", "old_carry", "the sign flipped"),
        )
        labels = ("LOW_VOL",) * 100 + ("MID_VOL",) * 100 + ("HIGH_VOL",) * 100
        return Timeline(name, tuple(times), tuple(net), tuple(fallen), labels, marks)

    def money(self, name: str = "") -> Money | None:
        axis = self.timeline(name)
        days: dict[date, float] = {}
        for when, level, before in zip(axis.at, axis.net_bps, (0.0, *axis.net_bps), strict=False):
            days[when.date()] = days.get(when.date(), 0.0) + level - before
        return Money.of(list(days.values()), axis.at[0], axis.at[-1])

    def moment(self, at: datetime, summary: PipelineSummary | None = None) -> dict[str, FeatureMetrics]:
        return {m.feature: dataclasses.replace(m, at=at, regime="MID_VOL", status="healthy") for m in self.desk.found}

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
    """Sessions whose answers are fixed; the form is the engine's own, with a model beside the local search."""

    kept: tuple[SessionSummary, ...] = ()

    def list(self) -> list[Any]:
        return []

    def providers(self) -> list[str]:
        return ["local", "compatible"]

    async def start(self, goal: str, provider: str = "") -> str:
        self.desk.calls.append(("start", goal, provider))
        return f"session started: {goal}"

    async def form(self, session_id: str = "") -> tuple[OrderField, ...]:
        if session_id:
            self.desk.calls.append(("form", session_id))
        given = {"goal": "funding carry on majors", "minutes": "30"} if session_id else None
        return form(Settings(), ("local", "compatible"), given)

    async def check(self, answers: Any, reach: bool = True) -> Reach:
        order, errors = order_of(answers, Settings(), ("local", "compatible"), day_left=lambda: 1.5)
        lines = ("the smallest IC that could be promoted here is about 0.021", "asks no model: it costs nothing")
        return Reach(errors, lines, "" if order is None else command_of(order, Settings()))

    async def begin(self, answers: Any) -> str:
        self.desk.calls.append(("begin", dict(answers)))
        return f"session started: {answers['goal']}"

    async def resume(self, session_id: str) -> str:
        self.desk.calls.append(("resume", session_id))
        return "session goes on"

    async def replay(self, session_id: str) -> str:
        self.desk.calls.append(("replay", session_id))
        return "session is repeated"

    async def cancel(self, session_id: str = "") -> str:
        self.desk.calls.append(("cancel", session_id))
        return "session cancelled"

    async def earlier(self) -> tuple[SessionSummary, ...]:
        return self.kept

    async def recall(self, session_id: str) -> list[Event]:
        return list(searched(session_id))


class ScriptedSinceLeft(ScriptedPart):
    """Nobody left."""

    async def note(self) -> None:
        pass

    async def brief(self, since: datetime | None = None) -> Brief | None:
        return None

    def returned(self) -> None:
        return None


class ScriptedDocuments(ScriptedPart):
    async def list(self) -> list[Paper]:
        return [Paper(path, text.split("# ")[1].split("\n")[0]) for path, text in self.desk.papers.items()]

    async def read(self, path: str) -> str:
        return self.desk.papers[path]

    async def related(self, path: str) -> list[str]:
        return [p for p in self.desk.papers if p != path]

    async def links(self, subject: str) -> list[Link]:
        if subject.endswith("reversal.md"):
            return [
                Link("feature", "carry_slow", "found here, candidate now"),
                Link("session", "s-1", "it was written by"),
            ]
        if subject in ("feature:carry_slow", "session:s-1"):
            return [Link("document", next(iter(self.desk.papers)), "Reversal dies in calm markets")]
        return []

    async def search(self, text: str) -> list[Found]:
        return [Found("learning", p, t.split("# ")[1].split("\n")[0], text, 1.0)
                for p, t in self.desk.papers.items() if text in t]  # fmt: skip

    async def memory(self) -> str:
        return "# What tries taught\n\nNothing was tried yet.\n"

    async def revoke(self, path: str, reason: str) -> str:
        self.desk.calls.append(("revoke", path, reason))
        return f"set aside: {path}"

    def file(self, path: str) -> str:
        return path
