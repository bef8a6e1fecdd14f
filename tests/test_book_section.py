"""The book in the daily report: measured where there is data, said where there is none, and never in a report's way."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from midas_engine.book.section import section_of
from midas_engine.kb import KnowledgeBase
from midas_engine.market import load_panel
from midas_engine.models import FeatureRecord, FeatureState
from midas_engine.monitor import OnlineMonitor
from midas_engine.promoter import FeaturePromoter
from midas_engine.settings import MonitorSettings, load_settings
from tests.helpers_monitor import MemoryBase, bar_time, clock_at
from tests.helpers_tui import write_market

if TYPE_CHECKING:
    from pathlib import Path

    from midas_engine.settings import Settings

TEXTS = {"carry": "-cs_rank(ts_mean(funding_rate, 72))", "trend": "cs_rank(ts_mean(returns(close, 1), 168))"}


def base_with(folder: Path, names: tuple[str, ...]) -> KnowledgeBase:
    kb = KnowledgeBase(folder / "kb")
    promoter = FeaturePromoter(kb)
    for name in names:
        promoter.save_candidate(FeatureRecord(name, TEXTS[name], FeatureState.CANDIDATE))
        promoter.promote(name, "for the test", force=True)
    promoter.close()
    return kb


def settings_on(data: Path | str) -> Settings:
    return load_settings(environ={}, flags={"data": str(data)})


def test_members_and_figures_are_in_it(tmp_path: Path) -> None:
    market = write_market(tmp_path, days=90)
    text = section_of(base_with(tmp_path, tuple(TEXTS)), load_panel(market), settings_on(market))
    assert text.startswith("## Book\n")
    for word in (*TEXTS, "marginal net bps/yr", "Capacity", "Drawdown", "Turnover", "Net, measured", "A death of all"):
        assert word in text


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    assert "Nothing is deployed" in section_of(base_with(tmp_path / "a", ()), None, settings_on("sample"))
    kb = base_with(tmp_path / "b", ("carry",))
    assert "Not measured: the venue is down." in section_of(kb, None, settings_on("sample"), "the venue is down")


@pytest.mark.parametrize(("fails", "words"), [(False, "## Book\n\nIt holds."), (True, "Not measured: ValueError: no")])
async def test_a_report_has_the_book_and_survives_it(fails: bool, words: str) -> None:
    base = MemoryBase()

    def book() -> str:
        if fails:
            raise ValueError("no")
        return "## Book\n\nIt holds.\n"

    async with OnlineMonitor(["a"], kb=base, clock=clock_at(9999)) as monitor:
        monitor.reports.book = book
        for t in range(30):
            await monitor.process_update(bar_time(t), {"a": float(np.sin(t))}, 0.001)
        assert words in monitor.generate_daily_report(bar_time(3).date()).markdown


def test_the_promise_is_per_calendar_year_at_every_bar() -> None:
    at = {seconds: MonitorSettings().arl0_bars(seconds) for seconds in (60, 300, 3600, 14_400, 86_400)}
    assert at == {60: 525_600, 300: 105_120, 3600: 8760, 14_400: 2190, 86_400: 365}
    assert MonitorSettings(arl0="1d").arl0_bars(86_400) == 24  # no sequential test is worth the name below


def test_the_bars_of_before_are_read_as_bars(tmp_path: Path) -> None:
    file = tmp_path / "midas.toml"
    file.write_text("[monitor]\narl0_bars = 4000\n", encoding="utf-8")
    found = load_settings(file=file, environ={}).monitor
    assert (found.arl0, found.arl0_bars(300), found.arl0_bars(3600)) == ("4000b", 4000, 4000)
