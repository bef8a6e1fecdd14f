"""The daily report: what it says of a day, its plots, when it is written, and the day told again from the journal."""

from __future__ import annotations

import json
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from midas_engine.errors import MonitorError
from midas_engine.events import FaultReported, ReportWritten
from midas_engine.journal import Journal
from midas_engine.kb import KnowledgeBase
from midas_engine.models import FeatureRecord, FeatureState
from midas_engine.monitor import DiagnoseAgent, OnlineMonitor
from midas_engine.monitor.daily.brief import _alerts
from midas_engine.monitor.daily.facts import as_day, gather
from midas_engine.monitor.daily.plots import day_plots
from midas_engine.monitor.daily.report import render
from midas_engine.monitor.daily.saved import facts_of
from midas_engine.promoter import FeaturePromoter
from tests.helpers_cli import call_midas
from tests.helpers_monitor import MemoryBase, bar_time, clock_at, linked
from tests.helpers_tui import alert

if TYPE_CHECKING:
    from pathlib import Path

PNG = b"\x89PNG\r\n\x1a\n"


class PlotBase(MemoryBase):
    """A base that takes plots."""

    def __init__(self) -> None:
        super().__init__()
        self.files: dict[str, bytes] = {}

    def save_bytes(self, path: str, data: bytes) -> None:
        self.files[path] = data


def _story(bars: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    values = rng.normal(size=(bars, 2))
    return values, linked(rng, values[:, 0], np.where(np.arange(bars) < 250, 0.3, -0.3))


async def _feed(monitor: OnlineMonitor, first: int, last: int) -> None:
    values, returns = _story(500)
    for t in range(first, last):
        await monitor.process_update(
            bar_time(t), {"a": values[t, 0], "b": values[t, 1]}, returns[t],
            fills={"slippage_bps": 1.0 if t < 400 else 2.6}, regime="HIGH" if t % 90 < 45 else "LOW",
        )  # fmt: skip


def _monitor(**more: Any) -> OnlineMonitor:
    return OnlineMonitor(["a", "b"], references={"a": 0.3}, clock=clock_at(9999), **more)


async def test_it_says_what_the_day_brought_with_plots_beside_it() -> None:
    base = PlotBase()
    monitor = _monitor(kb=base)
    monitor.diagnostics = DiagnoseAgent(bus=monitor.bus, clock=monitor.clock)
    await _feed(monitor, 0, 420)
    await monitor.diagnostics.settle()
    raised = next(a for a in monitor.alerts() if a.rule == "detector").raised_at.date()
    await monitor.kill("a", reason="flipped | for good")
    report = monitor.generate_daily_report(raised)
    day = raised.isoformat()
    assert report.path == f"reports/daily/{day}.md"
    assert base.texts[report.path] == report.markdown
    html = base.files.pop(f"reports/daily/{day}.html").decode()
    assert sorted(base.files) == [f"reports/daily/{day}-{n}.png" for n in ("contribution", "evidence", "ic")]
    assert all(png.startswith(PNG) and len(png) > 5000 for png in base.files.values())
    assert (html.count("data:image/png"), html.count("<figcaption>")) == (3, 3)
    assert f"![evidence]({day}-evidence.png)" in report.markdown
    cause = monitor.fleet.days.of(raised).diagnoses[0]["cause"]
    assert f"| a | {cause.replace('_', ' ')} |" in report.markdown.split("## Diagnoses")[1]
    assert report.diagnoses == 1
    assert "| detector |" not in report.markdown.split("## Killed")[1]
    killed = monitor.generate_daily_report(monitor.clock.now().date())
    assert "| a | operator | flipped \\| for good |" in killed.markdown
    assert killed.figures["killed"] == ["a"]


async def test_contributions_add_up_over_the_days() -> None:
    monitor = _monitor()
    await _feed(monitor, 0, 97)
    days = [monitor.fleet.days.of(date(2025, 1, d)) for d in (1, 2, 3, 4, 5)]
    assert [d.bars for d in days] == [24, 24, 24, 24, 1]
    gross = np.nansum(monitor.history("a")["pnl_bps"]) + np.nansum(monitor.history("b")["pnl_bps"])
    assert sum(d.gross_bps for d in days) == pytest.approx(gross / 2, rel=1e-5)
    assert all(d.net_bps < d.gross_bps for d in days[2:])  # two days warm the score


async def test_it_is_written_when_the_utc_day_ends_and_not_before() -> None:
    base = PlotBase()
    monitor = _monitor(kb=base, daily_reports=True)
    seen = monitor.bus.subscribe("test", ReportWritten)
    await _feed(monitor, 0, 24)
    await monitor.reports.settle()
    assert base.texts == {}
    await _feed(monitor, 24, 50)
    await monitor.close()
    assert [e.day.isoformat() for e in seen.take()] == ["2025-01-01", "2025-01-02"]
    assert set(base.texts) == {"reports/daily/2025-01-01.md", "reports/daily/2025-01-02.md"}
    assert "- bars: 24" in base.texts["reports/daily/2025-01-02.md"]


async def test_a_report_that_cannot_be_written_stops_no_bar() -> None:
    base = PlotBase()
    base.save_text = lambda relpath, text: (_ for _ in ()).throw(OSError(28, "full"))  # type: ignore[method-assign, assignment]
    monitor = _monitor(kb=base, daily_reports=True)
    faults = monitor.bus.subscribe("test", FaultReported)
    await _feed(monitor, 0, 60)
    await monitor.close()
    assert monitor.metrics("a").bars == 59
    assert ["could not be written" in e.message for e in faults.take()] == [True, True]


async def test_moves_of_the_pipeline_are_in_it(tmp_path: Path) -> None:
    kb = KnowledgeBase(tmp_path / "kb", clock=clock_at(30))
    with Journal(kb.journal_path, clock=kb.clock) as journal:
        promoter = FeaturePromoter(kb, journal)
        promoter.save_candidate(FeatureRecord("a", "close", FeatureState.CANDIDATE))
        promoter.promote("a", "never measured", force=True)
        promoter.propose_version("a", "ts_mean(close, 4)", "slower")
        promoter.shadow("a@2")
        promoter.redeploy("a@2", "better", force=True)
        monitor = _monitor(kb=kb, journal=journal, promoter=promoter)
        await _feed(monitor, 0, 60)
        text = monitor.generate_daily_report("2025-01-02").markdown
        moved = text.split("## Fixed and moved")[1]
        for action in ("promote", "shadow", "redeploy"):
            assert f"| {action} | operator |" in moved
        assert "better" in moved
        other = monitor.generate_daily_report("2025-01-01").markdown
        assert "Nothing moved in the pipeline." in other
        await monitor.close()


async def test_a_day_is_told_again_from_the_journal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kb = KnowledgeBase(tmp_path / "kb")
    with Journal(kb.journal_path) as journal:
        monitor = _monitor(kb=kb, journal=journal)
        await _feed(monitor, 0, 70)  # and then the process is gone: a snapshot and some bars after it
        expected = render(gather(monitor.fleet, [], "2025-01-03"))
    with Journal(kb.journal_path, read_only=True) as journal:
        facts = facts_of(journal, "2025-01-03")
        assert facts is not None
        assert render(facts) == expected
        assert facts_of(journal, "2025-03-01") is None
    done = call_midas(capsys, "report", "--date", "2025-01-03", "--kb", str(kb.path), "--json")
    assert done.code == 0, done.err
    told = json.loads(done.out)
    assert (told["path"], told["figures"]["bars"]) == ("reports/daily/2025-01-03.md", 22)
    assert (kb.path / "reports/daily/2025-01-03-ic.png").read_bytes().startswith(PNG)
    latest = call_midas(capsys, "report", "--kb", str(kb.path))
    assert latest.out.startswith("# Midas daily report, 2025-01-03 (UTC)")
    (kb.path / "reports/daily/2024-12-31.md").write_text("# An old page\n")
    assert call_midas(capsys, "report", "--date", "2024-12-31", "--kb", str(kb.path)).out.startswith("# An old page")


@pytest.mark.parametrize("day", ["yesterday", "2025-13-01", "2025-01-40"])
def test_a_day_must_be_one(day: str) -> None:
    with pytest.raises(MonitorError, match="not a day"):
        as_day(day)


def test_the_verb_says_when_nothing_ran(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kb = KnowledgeBase(tmp_path / "kb")
    done = call_midas(capsys, "report", "--kb", str(kb.path))
    assert done.code != 0
    assert "no monitor has run" in done.err
    assert call_midas(capsys, "report", "--date", "tomorrow", "--kb", str(kb.path)).code != 0


async def test_plots_of_hostile_names_and_of_nothing() -> None:
    names = ["$\\frac{1}", "x" * 300, "<b>&\n"]
    monitor = OnlineMonitor(names, references={names[0]: 0.1}, clock=clock_at(9999))
    assert day_plots(monitor.day_facts("2025-01-01")) == {}
    rng = np.random.default_rng(1)
    for t in range(60):
        await monitor.process_update(bar_time(t), {n: rng.normal() for n in names}, 0.01 * rng.normal())
    assert set(day_plots(monitor.day_facts("2025-01-02"))) == {"contribution", "evidence", "ic"}


def test_the_brief_lets_no_alert_of_a_killed_feature_run_on() -> None:
    raised = {name: alert(name) for name in ("carry", "fast")}
    both, one = (_alerts(raised, gone)[0] for gone in ((), ("carry",)))
    assert "2 still run (carry, fast)" in both.text
    assert "1 still run (fast)" in one.text
    assert one.figures["running"] == 1
