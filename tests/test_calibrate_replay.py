"""Replayed sessions, planted features and the figures that are made of them."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from typing import TYPE_CHECKING

import numpy as np
import pytest

from helpers_calibrate import SETTINGS, panel, small_market
from midas_engine.calibrate import CalibrationPlan, calibrate, graduation, write_report
from midas_engine.calibrate.features import DEATHS, FeatureOutcome, judge_planted
from midas_engine.calibrate.figures import mean_delay, summarise
from midas_engine.calibrate.graduation import continued_rows
from midas_engine.calibrate.plan import ICS, Job
from midas_engine.calibrate.report import text, to_dict
from midas_engine.calibrate.sessions import SessionOutcome
from midas_engine.calibrate.stream import share_after, stream_share
from midas_engine.calibrate.work import Worker
from midas_engine.errors import EvaluationError, SettingsError
from midas_engine.evaluator import DEFAULT_THRESHOLDS
from midas_engine.market import Panel
from midas_engine.stats.graduation import SealedEvidence

if TYPE_CHECKING:
    from pathlib import Path

PLAN = CalibrationPlan(
    noise_sessions=2, planted_sessions=1, planted_features=1, iterations=2, candidates=2, screened=40, workers=1
)


@pytest.fixture(scope="module")
def worker() -> Worker:
    return Worker(panel(6000, 20), SETTINGS, {}, DEFAULT_THRESHOLDS, PLAN)


def test_jobs_are_all_there_and_mixed() -> None:
    jobs = CalibrationPlan(noise_sessions=20, planted_sessions=10, planted_features=10).jobs()
    assert len(jobs) == len(set(jobs)) == 60
    assert sum(j.task == "session" and j.ic == 0 for j in jobs) == 20
    assert {j.ic for j in jobs if j.task == "feature"} == set(ICS)
    assert {j.kind for j in jobs if j.ic == 0} == {"sign-flipped", "block-shuffled"}
    half = jobs[:30]
    assert 8 <= sum(j.task == "session" and j.ic == 0 for j in half) <= 12
    with pytest.raises(SettingsError, match="noise_sessions"):
        CalibrationPlan(noise_sessions=0)
    with pytest.raises(SettingsError, match="goal"):
        CalibrationPlan(goal=" ")


def test_a_noise_session_runs_the_whole_pipeline_and_repeats_exactly(worker: Worker) -> None:
    job = Job("session", "sign-flipped", 0.0, 0)
    first, again = worker.do(job), worker.do(job)
    assert isinstance(first, SessionOutcome)
    assert first == again
    assert not first.error
    assert len(first.scores) >= PLAN.iterations
    assert first.screened == 40  # as discovery does, before anything is proposed
    assert first.line == pytest.approx(2.79, abs=0.06)  # 5 % over the eight trials that were planned and the family's
    unscreened = dataclasses.replace(worker.market.settings.evaluation, screened=0)
    assert PLAN.budget(dataclasses.replace(worker.market.settings, evaluation=unscreened)).planned_trials == 8
    assert worker.do(dataclasses.replace(job, number=1)) != first


def test_what_a_planted_session_promotes_is_measured_against_the_plant(worker: Worker) -> None:
    worker.plan = dataclasses.replace(PLAN, goal="funding carry", iterations=4)
    found = [worker.do(Job("session", "sign-flipped", 0.08, k)) for k in range(2)]
    worker.plan = PLAN
    assert all(isinstance(s, SessionOutcome) and len(s.real) == len(s.promoted) for s in found)
    shares = [r for s in found for r in s.real]
    assert shares
    assert max(shares) > 0.5
    assert all(s.noise_promoted == sum(r < 0.1 for r in s.real) for s in found)


def test_a_strong_planted_feature_is_found_and_its_death_called() -> None:
    market = small_market()
    out = judge_planted(
        market, "cs_rank(ts_mean(-funding_rate, 24))", 0.12, "sign-flipped", 30, DEFAULT_THRESHOLDS, [3, 1]
    )
    assert out.statistical
    assert out.measured_ic == pytest.approx(0.12, abs=0.03)
    assert out.breadth > 4
    assert out.healthy_bars > 1000
    assert len(out.drop_bars) == len(out.flip_bars) == DEATHS
    drop = [d for d in out.drop_bars if d > 0]
    flip = [d for d in out.flip_bars if d > 0]
    assert len(flip) == DEATHS
    assert np.mean(flip) < np.mean(drop) < 200
    weak = judge_planted(
        market, "cs_rank(ts_mean(-funding_rate, 24))", 0.001, "sign-flipped", 30, DEFAULT_THRESHOLDS, [3, 1]
    )
    assert not weak.statistical
    assert "score_t" in weak.failed


def test_delays_are_means_when_all_are_called_and_waits_over_alarms_when_not() -> None:
    whole = mean_delay([[10, 20], [30, 40]], 1.0)
    assert (whole.value, whole.hits) == (25.0, 4)
    assert whole.low <= 25.0 <= whole.high
    part = mean_delay([[10, -50], [20, -40]], 0.5)
    assert part.value == pytest.approx(30.0)
    none = mean_delay([[-100, -100]], 1.0)
    assert none.hits == 0
    assert math.isnan(none.value)
    assert none.low == 200.0


def _outcomes() -> tuple[list[SessionOutcome], list[FeatureOutcome]]:
    noise = [SessionOutcome("sign-flipped", 0.0, "", [0.1, 1.0, -2.0, 0.5], 2.9) for _ in range(50)]
    noise[0] = SessionOutcome("block-shuffled", 0.0, "", [3.5], 2.9, 1, ["x"], [0.0])
    planted = [SessionOutcome("sign-flipped", 0.03, "f", [5.0], 2.9, 1, ["f", "g"], [0.9, 0.02])]
    features = [
        FeatureOutcome("f", ic, ic, 5.0, 10.0, True, True, k > 0, (), 4380, k, [24, 48], [12, 24], gauges=(60.0, 18.0))
        for ic in ICS
        for k in (0, 1)
    ]
    return [*noise, *planted], features


def test_the_figures_count_what_happened() -> None:
    sessions, features = _outcomes()
    found = summarise(panel(), SETTINGS, PLAN, sessions, features, ["a", "a"], 3.0)
    assert found.candidates == 197
    assert found.noise_per_1000.value == pytest.approx(1000 / 197)
    assert (found.noise_per_session.hits, found.noise_per_session.tries) == (1, 50)
    assert (found.noise_share.hits, found.noise_share.tries) == (2, 3)
    assert found.found.value == 1.0
    assert found.alarms_per_year.hits == 3
    assert found.alarms_per_year.tries == pytest.approx(3.0)
    assert found.problems == ("a",)
    middle = found.recall[1]
    assert (middle.ic, middle.statistical.value, middle.promoted.value) == (0.03, 1.0, 0.5)
    assert middle.drop_days.value == pytest.approx(1.5)
    assert (middle.expected_drop_days, middle.expected_flip_days) == (2.5, 0.75)  # the mean of the features' own gauges
    assert "Of the 3 features Midas promoted, 66.7 % [" in found.headline
    assert "called after 1.5 days [" in found.headline
    assert "1.00 [" in found.headline


def test_what_graduates_is_counted_by_its_day() -> None:
    sessions, features = _outcomes()
    for f, day in zip(features, (0.0, 20.0, 60.0, 100.0, math.inf, 179.0), strict=True):
        f.day = day
    features[0].noise_day = 12.0
    found = summarise(panel(), SETTINGS, PLAN, sessions, features, [], 3.0)
    assert [[g.value for g in r.graduated] for r in found.recall] == [[1, 1, 1], [0, 0.5, 1], [0, 0, 0.5]]
    assert (found.noise_graduated.hits, found.noise_graduated.tries) == (1, 6)
    assert "Noise promoted or graduated, once looked" in text(found)
    assert "or graduated from shadow" in text(found)


def test_promotion_is_counted_along_a_stream_of_looks() -> None:
    """A p that holds at a first look does not hold at each later one, and noise's lost looks cost more of them."""
    sure, thin, refused = 1e-9, 0.02, math.nan
    assert stream_share([sure] * 4, 0.0) == 1.0
    assert stream_share([sure, refused], 0.0) == pytest.approx(0.5, abs=0.02)
    assert share_after([sure, thin, refused, 1.0], 0) == 2
    assert share_after([sure, thin, refused, 1.0]) == 1
    alone, beside_noise = stream_share([thin, 0.2, 0.2], 0.0), stream_share([thin, 0.2, 0.2], 0.5)
    assert beside_noise < alone < 1 / 3
    sessions, features = _outcomes()
    for f in features:
        f.sealed_p = thin if f.promoted else 0.5
    middle = summarise(panel(), SETTINGS, PLAN, sessions, features, [], 3.0).recall[1]
    assert middle.stream.value < middle.promoted.value == 0.5
    assert middle.after_misses.value == 0.0


def test_a_continuation_is_of_research_rows_in_weeks() -> None:
    rows = continued_rows(slice(100, 1500), 700, 1.0, np.random.default_rng(0))
    assert len(rows) == 700
    assert rows.min() >= 100
    assert rows.max() < 1500  # no sealed bar
    assert (np.diff(rows[:168]) == 1).all()
    short = continued_rows(slice(0, 50), 300, 24.0, np.random.default_rng(0))
    assert short.max() < 50


def test_what_falls_short_graduates_on_a_continuation_and_noise_does_not() -> None:
    market = small_market()
    values = market.engine.values("cs_rank(ts_mean(-funding_rate, 24))")
    z = market.normal_scores(values)
    sound = SealedEvidence(0.1, 0.02, 800)
    days = [graduation._in_shadow(market, values, z, strength, sound, [5]) for strength in (0.3, 0.0, -0.3)]
    assert 0.0 < days[0] < 60.0
    assert days[1:] == [math.inf, math.inf]


def test_a_calibration_without_any_promotion_says_so() -> None:
    sessions, _ = _outcomes()
    quiet = [dataclasses.replace(s, promoted=[], real=[]) for s in sessions[1:50]]
    found = summarise(panel(), SETTINGS, PLAN, quiet, [], [], 1.0)
    assert found.headline == "Midas promoted no feature at all."
    assert "False alarms" not in text(found)


def test_the_report_is_whole_and_small(tmp_path: Path) -> None:
    sessions, features = _outcomes()
    found = summarise(panel(), SETTINGS, PLAN, sessions, features, [], 3.0)
    report = write_report(found, tmp_path / "calibration")
    body = report.read_text()
    assert found.headline in body
    for name in ("noise", "sessions", "recall", "days"):
        assert f"]({name}.png)" in body
        image = (report.parent / f"{name}.png").read_bytes()
        assert image.startswith(b"\x89PNG")
        assert len(image) < 80_000
    assert json.loads((report.parent / "figures.json").read_text()) == json.loads(json.dumps(to_dict(found)))
    heads = re.findall(r"^## (.+)$", body, flags=re.MULTILINE)
    assert heads == ["Do the promises hold", "What gets through that is noise", "What is found that is true",
                     "How soon a death is noticed", "Pictures", "How it was measured"]  # fmt: skip
    assert body.index(found.headline) < body.index("##")
    rows = [line.split(" | ")[1:] for line in body.splitlines() if line.startswith("| noise among what")]
    assert [row[0] for row in rows] == ["at most 10 %"]
    html = (report.parent / "report.html").read_text()
    assert (html.count("<figcaption>"), html.count("data:image/png")) == (4, 4)


def test_workers_do_what_one_process_does_and_say_how_far_they_are(worker: Worker) -> None:
    told: list[tuple[int, int]] = []
    plan = dataclasses.replace(PLAN, noise_sessions=1, planted_sessions=0, planted_features=0)
    found = calibrate(panel(6000, 20), SETTINGS, plan, progress=lambda done, of, _: told.append((done, of)))
    alone = worker.do(plan.jobs()[0])
    assert isinstance(alone, SessionOutcome)
    assert list(found.noise_scores) == alone.scores
    assert told[-1] == (1, 1)


def test_data_too_short_for_its_parts_is_refused_before_any_worker_starts() -> None:
    whole = panel()
    fields = {n: v[:2] for n, v in whole.fields.items()}
    short = Panel(whole.timestamps[:2], whole.symbols, fields, whole.bar_seconds)
    with pytest.raises(EvaluationError, match="leave nothing for"):
        calibrate(short, SETTINGS, PLAN)
