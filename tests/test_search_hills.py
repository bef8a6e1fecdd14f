"""Hills are climbed by their windows: a search finds a peak that lies between the windows it was given."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

from midas_engine.dsl.expression import parse
from midas_engine.dsl.nodes import Call, walk
from midas_engine.dsl.spelling import spelled
from midas_engine.search.archive import Archive
from midas_engine.search.evolve import Search, SearchSpace
from midas_engine.search.hills import BETTER, SHOWS, Hills
from midas_engine.search.measure import Figures

if TYPE_CHECKING:
    from collections.abc import Sequence

COLUMNS = ("alpha", "beta", "gamma", "delta_")
PEAK = (150.0, 32.0)


def _steps(hills: Hills) -> list[str]:
    return [spelled(hills.step()[0]) for _ in range(len(hills))]


def test_the_strongest_is_climbed_first_in_fine_steps_and_what_is_no_better_than_its_origin_not_at_all() -> None:
    hills = Hills(168, {"alpha": "alpha", "beta": "alpha", "gamma": "gamma"})
    hills.climb(parse("ts_std(alpha, 24)").ast, 3.0, 3.0 / BETTER + 0.1)
    assert not hills
    hills.climb(parse("ts_std(gamma, 24)").ast, SHOWS - 1.0, 0.0)
    hills.climb(parse("ema(alpha, 24)").ast, SHOWS + 1.0, SHOWS)
    asked = _steps(hills)
    assert set(asked[:8]) == {
        *(f"ema(alpha, {n})" for n in (12, 17, 34, 48)), "ema(beta, 24)",
        *(f"{o}(alpha, 24)" for o in ("ts_mean", "ts_decay_linear", "ts_median")),
    }  # fmt: skip
    assert asked[8:] == ["ts_std(gamma, 12)", "ts_std(gamma, 48)"]


def test_a_step_of_a_short_window_moves_and_none_leaves_what_the_data_allow() -> None:
    hills = Hills(48, {})
    hills.climb(parse("ts_corr(ema(alpha, 2), beta, 40)").ast, SHOWS, 0.0)
    asked = _steps(hills)
    windows = {tuple(p for c in _calls(t) for p in c.params) for t in asked}
    assert {(40, 3), (40, 4), (20, 2), (48, 2)} <= {w for w in windows if len(w) == 2}
    assert all(p <= 48 for w in windows for p in w)
    assert len(asked) == len(set(asked))


def _calls(text: str) -> list[Call]:
    return [n for n in walk(parse(text).ast) if isinstance(n, Call)]


def _peaked(texts: Sequence[str]) -> list[Figures]:
    """A market where one structure shows, and fades with every step of its windows."""
    found = []
    for place, text in enumerate(texts):
        calls = _calls(text)
        t = 0.5
        if [c.op for c in calls] == ["ts_cov", "ts_skew"] and parse(spelled(calls[1])).columns == ("beta",):
            away = sum(abs(math.log2(float(c.params[0]) / p)) for c, p in zip(calls, PEAK[::-1], strict=True))
            t = 15.0 * math.exp(-1.2 * away)
        found.append(Figures(text, t, t, 0.2, 1.0, sketch=(t, float(place % 7) - 3.0, float(len(text) % 5) - 2.0)))
    return found


def test_a_later_session_climbs_from_the_foot_of_a_hill_to_its_peak() -> None:
    archive, best = Archive(), 0.0
    archive.rounds = 1
    search = Search(SearchSpace(COLUMNS[:2]), 1, archive, budget=2400)
    while not search.done and best < 11.0:
        figures = _peaked(search.ask())
        best = max(best, *(f.t for f in figures))
        search.tell(figures)
    assert best > 11.0  # no window of the sweep says more than 4.2


def test_columns_that_move_alike_are_told_in_the_first_session_and_kept() -> None:
    archive = Archive()
    search = Search(SearchSpace(COLUMNS), 1, archive, budget=240)
    while not search.done:
        batch = search.ask()
        told = [Figures(t, 0.5, 0.5, 0.2, 1.0, sketch=_moves(t)) for t in batch]
        search.tell(told)
    assert archive.kin == {"alpha": "alpha", "beta": "alpha", "gamma": "gamma", "delta_": "delta_"}
    assert Archive.from_record(json.loads(json.dumps(archive.record(150)))).kin == archive.kin
    assert Archive.from_record({"kin": ["damaged"]}).kin == {}


def _moves(text: str) -> tuple[float, ...]:
    columns = parse(text).columns
    if "delta_" in columns:
        return (1.0, -1.0, -1.0, 1.0)
    return (1.0, -1.0, 1.0, -1.0) if "gamma" in columns else (1.0, 1.0, -1.0, -0.9 - 0.1 * ("beta" in columns))
