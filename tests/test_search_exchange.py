"""Of what shows every part is exchanged: a search goes on from a find to what it is only a part of."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from midas_engine.banks.reading import shipped_banks
from midas_engine.dsl.canonical_form import family_text
from midas_engine.dsl.expression import parse
from midas_engine.dsl.nodes import Call, Column, columns_of, walk
from midas_engine.dsl.spelling import spelled
from midas_engine.search.archive import Archive
from midas_engine.search.evolve import BATCH, FURTHER, MOST_ASKED, TOP_T, Search, SearchSpace, elite_of
from midas_engine.search.exchange import LARGEST, exchanged
from midas_engine.search.grammar import Grammar
from midas_engine.search.growth import grown
from midas_engine.search.measure import Figures
from midas_engine.search.variation import MOST_OPERATORS, operators_in
from midas_engine.search.windows import turned
from midas_engine.settings import DslLimits

if TYPE_CHECKING:
    from collections.abc import Sequence

COLUMNS = ("alpha", "beta", "gamma")


def _grammar() -> Grammar:
    return Grammar(np.random.default_rng(1), COLUMNS, True, 168)


@pytest.mark.parametrize("text", ["alpha", "ts_mean(ts_corr(alpha, beta, 24), 48)", "alpha / ts_std(beta, 6)"])
def test_every_exchange_differs_in_one_part_and_none_comes_twice(text: str) -> None:
    top = parse(text).ast
    asked = [spelled(n) for n in exchanged(top, _grammar())]
    assert len(asked) == len(set(asked))
    assert spelled(top) not in asked
    for leaf in {n.name for n in walk(top) if isinstance(n, Column)}:
        for other in set(COLUMNS) - {leaf}:
            assert text.replace(leaf, other) in asked
    for call in (n for n in walk(top) if isinstance(n, Call)):  # every operator of its arity stood in its place
        seen = {
            n.op for t in asked for n in walk(parse(t).ast) if isinstance(n, Call) and len(n.args) == len(call.args)
        }
        assert {o.name for o in _grammar().operators(len(call.args))} <= seen | {call.op}


def test_a_column_is_joined_where_there_is_room_and_windows_stay_what_the_data_allow() -> None:
    small, large = "ts_mean(alpha, 48)", "log(" * LARGEST + "alpha" + ")" * LARGEST
    assert "ts_mean(alpha * beta, 48)" in {spelled(n) for n in exchanged(parse(small).ast, _grammar())}
    assert not any("*" in spelled(n) for n in exchanged(parse(large).ast, _grammar()))
    for node in exchanged(parse("ts_mean(alpha, 96)").ast, _grammar()):
        assert all(p <= 168 for n in walk(node) if isinstance(n, Call) for p in n.params)


def test_two_windows_move_together_along_a_ridge() -> None:
    asked = {spelled(n) for n in turned(parse("delay(ts_corr(alpha, beta, 33), 24)").ast, 168, (0.71, 1.41))}
    assert asked == {f"delay(ts_corr(alpha, beta, {w}), {d})" for w in (23, 47) for d in (17, 34)}
    assert turned(parse("ts_mean(alpha, 24)").ast, 168, (0.71, 1.41)) == []


def _searching(*texts: tuple[str, float, tuple[float, ...]]) -> Search:
    archive = Archive()
    archive.rounds = 1
    for text, t, sketch in texts:
        archive.add(elite_of(Figures(text, t, t, 0.2, 1.0, sketch=sketch), parse(text).ast, 1, "grammar"))
    return Search(SearchSpace(COLUMNS), 1, archive, budget=2400)


def test_the_strongest_top_is_exchanged_once_and_its_like_only_where_it_is_stronger() -> None:
    one, other = (1.0, -1.0, 0.5, -0.5), (1.0, 1.0, -1.0, -1.0)
    strong, weaker, elsewhere = (
        ("ts_mean(alpha, 24)", 9.0, one),
        ("ts_std(alpha, 24)", 8.0, one),
        ("log(beta)", 6.0, other),
    )
    search = _searching(strong, weaker, elsewhere, ("log(gamma)", TOP_T - 0.5, other[::-1]))
    told = []
    while (top := search._top()) is not None:
        told.append(top.text)
        search.archive.update(dataclasses.replace(top, exchanged=True))
    assert told == ["ts_mean(alpha, 24)", "log(beta)"]
    better = 9.0 * FURTHER + 0.2
    climbed = elite_of(
        Figures("ts_mean(alpha, 34)", better, better, 0.2, 1.0, sketch=one),
        parse("ts_mean(alpha, 34)").ast,
        1,
        "grammar",
    )
    search.archive.add(climbed)
    assert (top := search._top()) is not None
    assert top.text == "ts_mean(alpha, 34)"


def _figures(texts: Sequence[str]) -> list[Figures]:
    """A market whose truth is `ts_skew(alpha * gamma, w)`; of it only `ts_max(alpha, w)` shows alone."""
    found = []
    for place, text in enumerate(texts):
        node = parse(text).ast
        t = 0.5
        if isinstance(node, Call) and node.op == "ts_max" and node.args == (Column("alpha"),):
            t = 6.0
        elif isinstance(node, Call) and node.op in ("ts_max", "ts_skew") and isinstance(node.args[0], Call):
            product = node.args[0].op == "mul" and {a.name for a in node.args[0].args if isinstance(a, Column)}
            t = (8.5 if node.op == "ts_max" else 14.0) if product == {"alpha", "gamma"} else 0.5
        found.append(Figures(text, t, t, 0.2, 1.0, sketch=(t, float(place % 7) - 3.0, float(len(text) % 5) - 2.0)))
    return found


def test_a_later_session_goes_from_a_part_to_the_whole_by_two_exchanges() -> None:
    search = _searching(("ts_max(alpha, 24)", 6.0, (1.0, 0.0, -1.0)))
    best = 0.0
    while not search.done and best < 14.0:
        figures = _figures(search.ask())
        best = max(best, *(f.t for f in figures))
        search.tell(figures)
    assert best == 14.0
    assert search.evaluated < 1800


def _session(
    archive: Archive, columns: tuple[str, ...], cross: bool, budget: int, longest: int, refused: str
) -> list[str]:
    """A session on figures that say nothing but that `ts_mean(alpha, ...)` shows; every third tree is refused so."""
    limits = DslLimits(lookback_bars=longest)
    search = Search(SearchSpace(columns, cross, 1, limits), 1 + archive.rounds, archive, budget=budget)
    asked: list[str] = []
    evaluated = 0
    while not search.done:
        batch = search.ask()
        if not batch:
            break
        assert len(batch) <= budget - evaluated
        figures = []
        for text in batch:
            rng = np.random.default_rng(zlib.crc32(text.encode()))
            t = 6.0 + float(rng.random()) if "ts_mean(alpha" in text else float(rng.normal())
            why = refused if zlib.crc32(text.encode()) % 3 == 0 else ""
            sketch = tuple(rng.normal(size=12).round(3).tolist())
            figures.append(Figures(text, t, t, 0.2, 1.0, sketch=sketch, refused=why))
        search.tell(figures)
        asked += batch
        evaluated += sum(f.scored for f in figures)
        assert search.evaluated == evaluated <= budget
    archive.rounds += 1
    return asked


@pytest.mark.parametrize("refused", ["text: no", "too few bars are scored"])
@pytest.mark.parametrize("budget", [1, 5, 20, 300])
@pytest.mark.parametrize(
    ("columns", "cross", "longest"), [(("alpha",), False, 168), (("alpha", "beta"), True, 30), (COLUMNS, True, 1)]
)
def test_sessions_ask_only_what_the_language_allows_and_nothing_twice(
    columns: tuple[str, ...], cross: bool, longest: int, budget: int, refused: str
) -> None:
    archive, seen = Archive(), set[str]()
    for _ in range(3):
        asked = _session(archive, columns, cross, budget, longest, refused)
        limits = DslLimits(lookback_bars=longest)
        families = [family_text(parse(t, columns=columns, limits=limits).ast) for t in asked]
        assert len(families) == len(set(families))
        assert not seen & set(families)
        seen |= set(families)
        archive = Archive.from_record(json.loads(json.dumps(archive.record(150))))
    assert seen


@pytest.mark.parametrize("later", [False, True])
def test_a_search_ends_where_everything_is_refused(later: bool) -> None:
    archive = Archive()
    archive.rounds = int(later)
    search = Search(SearchSpace(COLUMNS), 1, archive, budget=20)
    asked = 0
    while not search.done:
        batch = search.ask()
        asked += len(batch)
        search.tell([Figures(text, refused="text: nothing can be computed") for text in batch])
        assert asked <= MOST_ASKED * 20 + BATCH + 20
    assert search.evaluated == 0


def test_every_change_of_a_published_alpha_is_asked_as_the_language_has_it_or_not_at_all() -> None:
    rng = np.random.default_rng(1)
    entries = [e.expression for bank in shipped_banks() for e in bank.entries]
    for text in rng.choice(entries, 40, replace=False):
        top = parse(str(text)).ast
        columns = tuple(dict.fromkeys((*columns_of(top), "volume")))
        search = Search(SearchSpace(columns), 1, budget=10)
        changed = exchanged(top, search._grammar) + grown(top, search._grammar) + turned(top, 168, (0.71, 1.41))
        batch: list[str] = []
        for place in rng.permutation(len(changed))[:30]:
            search._offer(changed[int(place)], "grammar", batch)
        for asked in batch:
            assert operators_in(parse(asked, columns=columns, limits=DslLimits()).ast) <= MOST_OPERATORS


def test_the_questions_are_the_same_in_every_process() -> None:
    program = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from tests.test_search_exchange import Archive, COLUMNS, _session\n"
        "archive = Archive(); found = [_session(archive, COLUMNS, True, 300, 168, 'text: no') for _ in range(2)]\n"
        "print(found)"
    )
    root = Path(__file__).parents[1]
    told = set()
    for seed in ("1", "77"):
        run = [sys.executable, "-c", program, str(root)]
        env = {**os.environ, "PYTHONHASHSEED": seed}
        told.add(subprocess.run(run, env=env, cwd=root, check=True, capture_output=True).stdout)
    assert len(told) == 1
    assert len(told.pop()) > 1000
