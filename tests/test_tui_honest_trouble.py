"""Trouble with the base or the watch is loud, stays, and goes when it is mended."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from helpers_kb import record
from helpers_tui import press, running, screen_text, toasts, until
from midas_engine.errors import ReadOnlyError
from midas_engine.kb import KnowledgeBase
from midas_engine.promoter import FeaturePromoter

if TYPE_CHECKING:
    from pathlib import Path

SIZES = ((80, 24), (160, 45))


@pytest.mark.parametrize("how", ["deleted", "moved", "replaced"])
async def test_a_base_that_goes_away_is_a_badge_and_everything_is_refused(
    kb: Path, market: Path, tmp_path: Path, how: str
) -> None:
    async with running(kb, market, size=SIZES[0]) as (app, pilot):
        away = shutil.move(kb, tmp_path / "away")
        if how == "deleted":
            shutil.rmtree(away)
        elif how == "replaced":
            shutil.copytree(away, kb)
        await until(pilot, lambda: "BASE GONE" in screen_text(app).splitlines()[0])
        assert "momentum_24h" in screen_text(app), "its row stays, under the badge"
        await press(pilot, "2")
        assert "volume_shock" in screen_text(app)
        await press(pilot, "p")
        await until(pilot, lambda: any("refused" in t for t in toasts(app)))
        runtime = app.runtime
        assert runtime is not None
        for call in (
            runtime.pipeline.act("promote", "volume_shock", "why"),
            runtime.pipeline.undo(),
            runtime.sessions.start("carry"),
        ):
            with pytest.raises(ReadOnlyError, match="gone"):
                await call
        await press(pilot, "exclamation_mark")
        text = screen_text(app)
        assert "wrong now" in text
        assert "no fault was reported" not in text.split("wrong now")[0]
        await press(pilot, "escape")
        if how == "moved":
            shutil.move(away, kb)
            await until(pilot, lambda: "BASE GONE" not in screen_text(app), "it is back, and so is the terminal")


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", ["thresholds.json", "alert-thresholds.json"])
async def test_damaged_thresholds_are_a_badge_until_they_are_mended(
    kb: Path, market: Path, name: str, size: tuple[int, int]
) -> None:
    file = kb / "knowledge" / name
    good = file.read_text("utf-8") if file.is_file() else "{}"
    async with running(kb, market, size=size) as (app, pilot):
        assert "!" not in screen_text(app).splitlines()[0]
        file.write_text("{bad json", encoding="utf-8")
        await until(pilot, lambda: "THRESHOLDS DAMAGED" in screen_text(app).splitlines()[0])
        first = screen_text(app).splitlines()[0]
        assert "!1" in first
        assert ("last good in force" in first) == (size[0] > 100)
        await press(pilot, "exclamation_mark")
        assert name in screen_text(app)
        await press(pilot, "escape")
        file.write_text(good, encoding="utf-8")
        await until(pilot, lambda: "THRESHOLDS" not in screen_text(app), "it is mended")


async def test_features_that_cannot_be_watched_are_rows_with_their_reason(kb: Path, market: Path) -> None:
    promoter = FeaturePromoter(KnowledgeBase(kb))
    promoter.save_candidate(record("strange", expression="cs_rank(ts_mean(open_interest, 24))"))
    promoter.promote("strange")
    promoter.close()
    (kb / "knowledge/features/deployed/momentum_24h.md").write_bytes(b"\xff\xfe rubbish")
    async with running(kb, market, size=SIZES[1]) as (app, pilot):
        text = screen_text(app)
        assert "2 features, 2 not watched" in text
        for sign, name, why in (("✕", "momentum_24h", "not watched"), ("◌", "strange", "cannot be computed")):
            row = next(line for line in text.splitlines() if f"{sign} {name}" in line)
            assert why in row
        await press(pilot, "exclamation_mark")
        assert "strange is not watched" in screen_text(app)


async def test_five_hundred_damaged_files_are_counted_and_stay_usable(tmp_path: Path, market: Path) -> None:
    kb = KnowledgeBase(tmp_path / "kb")
    folder = kb.path / "knowledge/features/deployed"
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(500):
        (folder / f"broken_{number:03}.md").write_bytes(b"---\nname: [\n")
    async with running(kb.path, market, size=SIZES[0]) as (app, pilot):
        text = screen_text(app)
        assert "500 not watched" in text
        assert "broken_000" in text
        assert "nothing is live" not in text
        await press(pilot, "G")
        assert "300 more are not watched" in screen_text(app)


@pytest.mark.parametrize("size", SIZES)
async def test_recorded_data_says_that_nothing_moves(tmp_path: Path, size: tuple[int, int]) -> None:
    async with running(tmp_path / "kb", "sample", size=size) as (app, pilot):
        first = screen_text(app).splitlines()[0]
        assert "SAMPLE, ends 2026-03-04" in first
        assert ("nothing moves" in first) == (size[0] > 100)
        assert app.runtime is not None
        assert app.runtime.now() == app.runtime.data_ends, "the clock does not pretend to be today's"
        assert "OFFLINE" not in first
        await press(pilot, "exclamation_mark")
        assert "live bars: --data live:binance" in screen_text(app)
