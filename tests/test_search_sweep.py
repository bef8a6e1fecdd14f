"""The sweep of pairs: what it promises is asked, once, over the sessions of a base, and within each one's budget."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import permutations

import numpy as np

from midas_engine.dsl.canonical_form import family_text
from midas_engine.dsl.expression import parse
from midas_engine.dsl.nodes import Call, Column, columns_of
from midas_engine.dsl.spelling import spelled
from midas_engine.search.archive import Archive
from midas_engine.search.evolve import BATCH, SWEPT, Search, SearchSpace
from midas_engine.search.grammar import Grammar
from midas_engine.search.measure import Figures
from midas_engine.search.sweep import structures, swept
from midas_engine.search.variation import operators_in
from midas_engine.settings import DslLimits

PAIR = ("alpha", "beta")
BUDGET = 2400
SHORT = 12
"""Longest window where all of a sweep is asked: fewer windows, fewer sessions."""
ORDER = """
import numpy as np
from midas_engine.dsl.spelling import spelled
from midas_engine.search.grammar import Grammar
from midas_engine.search.sweep import swept
grammar = Grammar(np.random.default_rng(5), ["alpha", "beta"], True, 168)
print([spelled(n) for n in swept(grammar, np.random.default_rng(5))])
"""


def _grammar(seed: int = 1, columns: tuple[str, ...] = PAIR, longest: int = 168) -> Grammar:
    return Grammar(np.random.default_rng(seed), list(columns), True, longest)


def _sessions(count: int, columns: tuple[str, ...] = PAIR) -> list[list[str]]:
    """What each session of a base asks of data without a signal, the archive written and read between them."""
    asked, archive = [], Archive()
    space = SearchSpace(columns, limits=DslLimits(lookback=f"{SHORT}b"))
    for seed in range(count):
        search, texts = Search(space, seed, archive, budget=BUDGET), list[str]()
        while not search.done:
            batch = search.ask()
            if not batch:
                break
            assert search.evaluated + len(batch) <= BUDGET
            texts += batch
            search.tell([Figures(t, 0.5, 0.5, 0.2, 1.0, sketch=(float(len(t)), 1.0, -1.0)) for t in batch])
        asked.append(texts)
        archive.rounds += 1
        archive = Archive.from_record(json.loads(json.dumps(archive.record(150))))
    return asked


def _promised(columns: tuple[str, ...] = PAIR, longest: int = 168) -> set[str]:
    nodes = swept(_grammar(1, columns, longest), np.random.default_rng(1))
    return {family_text(n) for n in nodes}


def test_every_structure_comes_once_before_any_comes_again_and_every_window_in_the_end() -> None:
    grammar = _grammar()
    found = structures(grammar)
    nodes = list(swept(grammar, np.random.default_rng(3)))
    texts = [spelled(n) for n in nodes]
    assert len(set(texts)) == len(texts) == sum(s.size for s in found)
    first = [spelled(s.at(i)) for i, s in enumerate(found) if not s.repeats({})]
    assert set(texts[: len(first)]) == set(first)
    assert len(first) > len(found) // 2
    assert {operators_in(n) for n in nodes} == {2}
    assert {columns_of(n) for n in nodes} == {PAIR, PAIR[:1], PAIR[1:]}


def test_a_sweep_puts_each_column_under_every_operator_beside_every_other_and_each_way_round() -> None:
    grammar = _grammar(1, ("alpha", "beta", "gamma"))
    nodes = list(swept(grammar, np.random.default_rng(3)))
    joins = {o.name for o in grammar.operators(2) if o.literals} | {"mul"}
    assert {"obv", "ts_corr", "ts_cov"} < joins
    changed = {
        (n.op, a.op, a.args[0].name, b.name, n.args[0] is a)
        for n in nodes if isinstance(n, Call) and len(n.args) == 2
        for a, b in (n.args, n.args[::-1]) if isinstance(a, Call) and isinstance(b, Column)
        and isinstance(a.args[0], Column)
    }  # fmt: skip
    inner = [o.name for o in grammar.operators(1)]
    one_way = {(j, o, x, y) for j in joins for o in inner for x, y in permutations(grammar.columns, 2)}
    assert {c[:4] for c in changed} == one_way
    assert {c[4] for c in changed if c[0] == "obv"} == {True, False}
    over = {n.op for n in nodes if isinstance(n, Call) and len(n.args) == 1}
    assert over == {o.name for o in grammar.operators(1) if any(p.kind == "window" for p in o.literals)}


def test_every_column_comes_under_every_operator_under_every_one_of_time() -> None:
    grammar = _grammar()
    nodes = swept(grammar, np.random.default_rng(3))
    chains = {(n.op, n.args[0].op, columns_of(n)) for n in nodes if isinstance(n, Call) and isinstance(n.args[0], Call)}
    unary = grammar.operators(1)
    over = [o.name for o in unary if any(p.kind == "window" for p in o.literals)]
    assert {"ts_argmin", "ts_rsquare"} < set(over)
    assert {(o, i.name, (c,)) for o in over for i in unary for c in PAIR} <= chains


def test_what_says_nearly_the_same_waits_for_the_first_of_its_kin_and_all_is_asked_in_the_end() -> None:
    grammar = _grammar(1, ("alpha", "beta", "gamma"))
    kin = {"alpha": "alpha", "beta": "alpha", "gamma": "gamma"}
    nodes = list(swept(grammar, np.random.default_rng(3), kin))
    assert {spelled(n) for n in nodes} == {spelled(n) for n in swept(grammar, np.random.default_rng(3))}
    first = sum(not st.repeats(kin) for st in structures(grammar))
    late = [columns_of(n) in {("beta",), ("beta", "gamma")} for n in nodes]
    assert not any(late[:first])
    assert any(late[first:])
    pairs = {columns_of(n) for n in nodes[:first]}
    assert ("alpha", "beta") in pairs  # what lies between two that move alike nothing else says
    same = [isinstance(n, Call) and isinstance(n.args[0], Call) and n.args[0].op == "ema" for n in nodes]
    assert not any(same[:first])
    assert any(same[first:])


def test_a_difference_is_only_of_one_unit_and_windows_end_where_the_data_do() -> None:
    columns = ("open", "high", "volume")
    nodes = list(swept(_grammar(1, columns, 48), np.random.default_rng(3)))
    inside = {spelled(n.args[0]) for n in nodes if isinstance(n, Call) and len(n.args) == 1 == len(columns_of(n)) - 1}
    assert inside == {"open - high", "open / high", "open / volume", "high / volume"}
    windows = {p for n in nodes if isinstance(n, Call) and n.op == "ts_corr" for p in n.params}
    assert windows == {5, 12, 24, 48}


def test_over_the_sessions_of_a_base_all_of_it_is_asked_and_nothing_twice() -> None:
    asked = _sessions(6)
    marks = [[family_text(parse(t).ast) for t in texts] for texts in asked]
    every = [m for session in marks for m in session]
    assert len(set(every)) == len(every)
    assert all(len(texts) <= BUDGET for texts in asked)
    promised = _promised(longest=SHORT)
    shares = [len(promised & {m for session in marks[: n + 1] for m in session}) for n in range(6)]
    assert shares == sorted(shares)
    assert shares[0] < shares[1] < shares[2]
    assert shares[-1] == len(promised)


def test_the_first_session_does_not_sweep_and_a_later_one_leaves_the_rest_of_a_batch() -> None:
    promised = _promised(("alpha", "beta", "gamma"))
    shares = []
    for rounds in (0, 1):
        archive = Archive()
        archive.rounds = rounds
        search = Search(SearchSpace(("alpha", "beta", "gamma")), 1, archive, budget=BUDGET)
        batch = search.ask()
        assert len(batch) == BATCH
        shares.append(len(promised & {family_text(parse(t).ast) for t in batch}))
    assert shares[0] < BATCH // 20  # what is drawn may be of it
    assert BATCH * SWEPT <= shares[1] < BATCH


def test_another_process_asks_in_the_same_order() -> None:
    said = [
        subprocess.run(
            [sys.executable, "-c", ORDER], env={**os.environ, "PYTHONHASHSEED": str(n)}, capture_output=True,
            text=True, check=True,
        ).stdout
        for n in (1, 2)
    ]  # fmt: skip
    here = [spelled(n) for n in swept(_grammar(5), np.random.default_rng(5))]
    assert said[0] == said[1] == f"{here}\n"
    assert here != [spelled(n) for n in swept(_grammar(5), np.random.default_rng(6))]
