"""Search below the model: typed trees, one family's test, an archive that outlives the session."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import threading
from typing import TYPE_CHECKING

import numpy as np
import pytest

from midas_engine import events as ev
from midas_engine.dsl.canonical_form import family_text
from midas_engine.dsl.doubts import doubts
from midas_engine.dsl.expression import parse
from midas_engine.dsl.nodes import Call, columns_of
from midas_engine.dsl.spelling import spelled
from midas_engine.errors import EvaluationError, LimitError
from midas_engine.evaluator.trials.ledger import TrialLedger
from midas_engine.loops import PanelAssessor
from midas_engine.loops.config import FAMILY_SLOTS, OfflineLoopConfig
from midas_engine.loops.worker import PanelJudge
from midas_engine.market import Panel
from midas_engine.proposer import LocalResearcher
from midas_engine.proposer.factory import screened_by
from midas_engine.proposer.screened import signed
from midas_engine.search.archive import Archive, Elite
from midas_engine.search.evolve import Search, SearchSpace
from midas_engine.search.grammar import INTERACTIONS, Grammar
from midas_engine.search.growth import grown
from midas_engine.search.measure import Figures, Finalist
from midas_engine.search.variation import crossed, mutated, operators_in
from midas_engine.settings import DslLimits, Settings
from tests.helpers_llm import block, candidates, learning, plan, scripted
from tests.helpers_loops import events_of, loop_of
from tests.helpers_search import COLUMNS, SETTINGS, planted_panel

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def test_trees_are_valid_and_cover_every_pair_of_columns_before_any_comes_again() -> None:
    grammar = Grammar(np.random.default_rng(1), COLUMNS, True, 168)
    pairs = [columns_of(grammar.tree(2)) for _ in range(6)]
    assert len({*pairs}) == 6
    limits = DslLimits(depth=20, nodes=400)
    for _ in range(300):
        other = grammar.tree()
        node = mutated(crossed(grammar.tree(), other, grammar), grammar)
        with contextlib.suppress(LimitError):  # too deep or too long is refused before anything is computed
            assert set(parse(spelled(node), columns=COLUMNS, limits=limits).columns) <= set(COLUMNS)


def test_the_same_answers_give_the_same_questions_and_none_is_asked_twice() -> None:
    space = SearchSpace(COLUMNS)
    asked = []
    for seed in (1, 1, 2):
        search, texts = Search(space, seed, budget=400), []
        while not search.done:
            batch = search.ask()
            texts += batch
            search.tell([Figures(t, t=len(t) % 7, strength=len(t) % 7, turnover=0.2, net_high=1.0) for t in batch])
        asked.append(texts)
        assert search.evaluated == len(texts) == 400
        assert len({family_text(parse(t).ast) for t in texts}) == 400
    assert asked[0] == asked[1] != asked[2]


def test_the_search_asks_nothing_that_mixes_units_or_says_only_a_sign() -> None:
    columns = ("close", "volume", "quote_volume", "funding_rate", "trades")
    for cross in (True, False):
        search = Search(SearchSpace(columns, cross), 3, seeds=["close + volume", "ts_zscore(close, 2)"], budget=600)
        asked: list[str] = []
        while not search.done:
            batch = search.ask()
            asked += batch
            search.tell([Figures(t, t=6.0, strength=6.0 + len(t) % 5, turnover=0.2, net_high=1.0) for t in batch])
        assert not [t for t in asked if doubts(t)]
        assert [t for t in asked if set(parse(t).columns) == {"close", "volume"}]  # on one scale, not left out


def test_a_root_grows_by_every_column_and_operator_each_way_round() -> None:
    grammar = Grammar(np.random.default_rng(1), COLUMNS, True, 168)
    root = parse("returns(alpha, 24)").ast
    nodes = grown(root, grammar)
    assert {operators_in(n) for n in nodes} == {2}
    texts = {spelled(n) for n in nodes}
    assert {"beta >= returns(alpha, 24)", "returns(alpha, 24) >= beta", "sign(returns(alpha, 24))"} <= texts
    assert {f"ema(returns(alpha, 24), {n})" for n in (6, 24, 96)} <= texts
    assert {c for n in nodes for c in columns_of(n)} == set(COLUMNS)
    pair = {spelled(n) for n in grown(parse("obv(alpha, beta, 24)").ast, grammar)}
    assert {"obv(rsi(alpha, 6), beta, 24)", "obv(alpha, ema(beta, 96), 24)", "sign(obv(alpha, beta, 24))"} <= pair


def test_an_interaction_is_of_two_columns_of_which_one_at_least_is_changed() -> None:
    grammar = Grammar(np.random.default_rng(1), COLUMNS, True, 168)
    drawn = [grammar.interaction() for _ in range(60)]
    assert {n.op for n in drawn if isinstance(n, Call)} == {*INTERACTIONS}
    assert {operators_in(n) for n in drawn} == {2, 3}
    assert all(len(columns_of(n)) == 2 for n in drawn)
    alone = Grammar(np.random.default_rng(1), ["alpha"], False, 168).interaction()
    assert columns_of(alone) == ("alpha",)


def _hidden(search: Search) -> list[str]:
    """What a search asks of a market where only one exact step beside a root that shows is better."""
    asked: list[str] = []
    while not search.done:
        batch = search.ask()
        if not batch:
            break
        asked += batch
        found = []
        for text in batch:
            t = 20.0 if text == "beta >= returns(alpha, 24)" else 6.0 if "returns(alpha" in text else 1.0
            found.append(Figures(text, t, t, 0.2, 1.0, sketch=(t - 3.0, len(text) % 7, len(text) % 5)))
        search.tell(found)
    return asked


def test_where_climbing_ends_the_strongest_roots_are_grown_and_no_batch_is_spent_twice() -> None:
    archive = Archive()
    first = _hidden(Search(SearchSpace(COLUMNS), 1, archive, ["returns(alpha, 24)"], budget=4000))
    assert "beta >= returns(alpha, 24)" in first
    archive.rounds += 1
    kept = Archive.from_record(json.loads(json.dumps(archive.record(150))))
    assert kept.rounds == 1
    assert set(kept.tried) == set(archive.tried)
    second = _hidden(Search(SearchSpace(COLUMNS), 1, kept, ["returns(alpha, 24)"], budget=600))
    assert len(second) == 600
    assert not {family_text(parse(t).ast) for t in first} & {family_text(parse(t).ast) for t in second}


def test_a_later_session_begins_with_every_pair_of_columns_under_every_operator() -> None:
    archive = Archive()
    archive.rounds = 1
    search, asked = Search(SearchSpace(COLUMNS), 1, archive, budget=3000), list[str]()
    for _ in range(20):  # beside the sweep
        asked += search.ask()
        search.tell([])
    marks = {family_text(parse(t).ast) for t in asked}
    wanted = ("ts_corr(alpha, gamma, 24)", "max(alpha, beta)", "beta / gamma", "gamma / beta", "ts_resid(beta, 96)")
    assert {family_text(parse(t).ast) for t in wanted} <= marks


def test_a_damaged_record_was_never_tried_and_a_find_leaves_room_for_what_is_elsewhere() -> None:
    assert not Archive.from_record({"elites": [], "rounds": 3, "tried": "not base64!"}).tried
    sketches = ((1.0, -1.0, 0.5), (-0.4, 0.5, 1.8), (0.9, -1.1, 0.6))
    find, other, part = (
        _elite(text, q, columns=(text,), sketch=k, operators=1, outermost=o, fate=f)
        for text, q, k, o, f in (
            ("alpha", 9.0, sketches[0], "rsi", "passed"), ("beta", 5.0, sketches[1], "ema", ""),
            ("gamma", 8.0, sketches[2], "sign", ""),
        )
    )  # fmt: skip
    search = Search(SearchSpace(COLUMNS), 1, Archive([find, other, part]))
    search._later = True
    grown_in_turn = []
    while (root := search._root()) is not None:
        grown_in_turn.append(root.text)
        search._steps, search._since, search._turn = [], 5, 1  # the next turn is a root's
        search._grow()
    assert grown_in_turn == ["alpha", "beta", "gamma"]


def test_what_is_refused_by_its_text_is_no_evaluation() -> None:
    judge = PanelJudge(planted_panel(0.0), SETTINGS, {})
    found = judge.screened(["close", "alpha - beta", "nothing"])
    assert [f.scored for f in found] == [False, True, False]
    assert found[0].refused.startswith("text: close is a price")


def test_screening_sees_nothing_of_the_bars_that_check_it() -> None:
    panel = planted_panel(0.5)
    changed = np.array(panel.values("close"))
    changed[900:] *= np.exp(np.cumsum(np.random.default_rng(4).normal(0.0, 0.02, changed[900:].shape), axis=0))
    other = Panel(panel.timestamps, panel.symbols, dict(panel.fields) | {"close": changed}, 3600)
    texts = ["alpha - beta", "ts_mean(returns(close, 1), 24)"]
    one, two = (PanelJudge(p, SETTINGS, {}) for p in (panel, other))
    assert one.screened(texts) == two.screened(texts)
    assert one.family(texts, 0.05) != two.family(texts, 0.05)


def test_twins_are_told_and_pay_little_for_one_another() -> None:
    judge = PanelJudge(planted_panel(0.5), SETTINGS, {})
    first, twin, noise = judge.family(["alpha - beta", "2 * alpha - 1.9 * beta", "gamma"], 0.05)
    assert (first.alike, twin.alike, noise.alike) == (-1, 0, -1)
    assert first.p < 0.01 < noise.p


@pytest.mark.parametrize(("strength", "budget"), [(0.7, 240), (0.0, 100)])
async def test_a_session_finds_what_no_template_spells_and_charges_one_family(
    tmp_path: Path, strength: float, budget: int
) -> None:
    loop = loop_of(tmp_path, LocalResearcher(5), settings=SETTINGS, screened=budget)
    events = await events_of(loop, PanelAssessor(planted_panel(strength), SETTINGS), "anything that predicts")
    ended = events[-1]
    assert isinstance(ended, ev.SessionEnded)
    said = "".join(e.text for e in events if isinstance(e, ev.TokensStreamed))
    with TrialLedger(loop.kb.journal_path, read_only=True) as ledger:
        families = [t for t in ledger.history() if t.outcome == "screened"]
    found = [name for name in ended.accepted if name.startswith("screened")]
    assert bool(found) == bool(strength)
    assert len(families) == 1
    if not strength:
        assert ended.accepted == ()
        return
    assert 200 < families[0].summary["evaluated"] <= budget
    assert f"screened {families[0].summary['evaluated']} expressions" in said
    assert {"alpha", "beta"} & {c for name in found for c in parse(loop.kb.feature(name).expression).columns}
    kept = list((loop.kb.path / "knowledge" / "archive").glob("*.json"))
    archive = Archive.from_json(json.loads(kept[0].read_text(encoding="utf-8"))["elites"])
    assert any(e.fate == "passed" for e in archive)
    assert archive.examples()["elites"]


async def test_the_whole_is_proposed_before_a_part_whose_t_is_higher(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = PanelJudge.family

    def favours_the_last(judge: PanelJudge, texts: Sequence[str], level: float) -> list[Finalist]:
        found = plain(judge, texts, level)
        return [dataclasses.replace(f, t=4.0 + i, p=1e-4) for i, f in enumerate(found)]

    monkeypatch.setattr(PanelJudge, "family", favours_the_last)
    loop = loop_of(tmp_path, LocalResearcher(5), settings=SETTINGS, screened=240)
    events = await events_of(loop, PanelAssessor(planted_panel(0.7), SETTINGS), "anything that predicts")
    proposed = [e.expression for e in events if isinstance(e, ev.ExpressionProposed) and "screened" in e.name]
    (kept,) = (loop.kb.path / "knowledge" / "archive").glob("*.json")
    known = Archive.from_json(json.loads(kept.read_text(encoding="utf-8"))["elites"])
    quality = {signed(e): e.quality for e in known}
    ordered = [quality[text] for text in proposed if text in quality]
    assert len(ordered) > 1
    assert ordered == sorted(ordered, reverse=True)


async def test_the_next_session_starts_from_the_archive_and_looks_elsewhere(tmp_path: Path) -> None:
    proposed, said = [], []
    for seed in (5, 6):
        loop = loop_of(tmp_path, LocalResearcher(seed), settings=SETTINGS, screened=240)
        events = await events_of(loop, PanelAssessor(planted_panel(0.7), SETTINGS), "anything that predicts")
        proposed.append([e.expression for e in events if isinstance(e, ev.ExpressionProposed) and "screened" in e.name])
        said.append("".join(e.text for e in events if isinstance(e, ev.TokensStreamed)))
    assert "; 0 elites of this data are known" in said[0]
    assert "; 0 elites of this data are known" not in said[1]
    assert proposed[0]
    assert not set(proposed[0]) & set(proposed[1])


async def test_what_a_model_wrote_enters_the_archive_and_its_next_prompt(tmp_path: Path) -> None:
    text = "alpha - 0.3 * beta"
    researcher = scripted(plan(), candidates(text), block(name=None, expression=None), plan(), candidates(), learning())
    loop = loop_of(tmp_path, researcher, settings=SETTINGS, max_iterations=2, candidates_per_iter=1)
    events = await events_of(loop, PanelAssessor(planted_panel(0.7), SETTINGS), "anything that predicts")
    (scored,) = [e for e in events if isinstance(e, ev.CandidateScored)]
    (kept,) = (loop.kb.path / "knowledge" / "archive").glob("*.json")
    (elite,) = Archive.from_json(json.loads(kept.read_text(encoding="utf-8"))["elites"])
    failed = ", ".join(row.agent for row in scored.agents if not row.passed)
    assert (elite.text, elite.island, elite.fate) == (text, "model", failed or "passed")
    assert len(elite.sketch) == 192
    first, *_, later = [r.prompt for r in researcher._client.requests if "Plan one iteration" in r.prompt]  # type: ignore[attr-defined]
    assert "that each missed:\n\nnothing yet" in first
    assert f": {text}: screened t" in later
    with TrialLedger(loop.kb.journal_path, read_only=True) as ledger:
        assert [t.outcome for t in ledger.history()] == ["scored"]


async def test_families_without_a_finalist_are_charged_each_and_remembered(tmp_path: Path) -> None:
    short = planted_panel(0.0).head(400)  # too few bars are scored for any figure
    for seed in (5, 6, 7):
        loop = loop_of(tmp_path, LocalResearcher(seed), settings=SETTINGS, screened=30)
        await events_of(loop, PanelAssessor(short, SETTINGS), "anything that predicts")
    with TrialLedger(loop.kb.journal_path, read_only=True) as ledger:
        families = [t for t in ledger.history() if t.outcome == "screened"]
    assert [t.summary["finalists"] for t in families] == [[]] * 3
    assert [t.summary["evaluated"] for t in families] == [30] * 3
    (kept,) = (loop.kb.path / "knowledge" / "archive").glob("*.json")
    archive = Archive.from_record(json.loads(kept.read_text(encoding="utf-8")))
    assert archive.rounds == 3
    assert len(archive.tried) >= 90


class _Breaks(PanelAssessor):
    """Scores one batch; then its workers are lost."""

    batches = 0

    async def screen(self, texts: Sequence[str]) -> list[Figures]:
        self.batches += 1
        if self.batches > 4:
            raise EvaluationError("the worker died")
        return await super().screen(texts)


async def test_a_screen_that_breaks_is_said_and_charged_and_the_session_goes_on(tmp_path: Path) -> None:
    loop = loop_of(tmp_path, LocalResearcher(5), settings=SETTINGS, screened=400)
    events = await events_of(loop, _Breaks(planted_panel(0.0), SETTINGS), "anything that predicts")
    said = "".join(e.text for e in events if isinstance(e, ev.TokensStreamed))
    assert "(screening ended: the worker died)" in said
    with TrialLedger(loop.kb.journal_path, read_only=True) as ledger:
        rows = ledger.history()
    assert [0 < t.summary["evaluated"] < 130 for t in rows if t.outcome == "screened"] == [True]
    assert any(t.outcome == "scored" for t in rows)


async def test_batches_wait_for_a_worker_outside_of_their_own_time(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = dataclasses.replace(
        SETTINGS, evaluation=dataclasses.replace(SETTINGS.evaluation, candidate_seconds=0.1)
    )  # fmt: skip
    assessor = PanelAssessor(planted_panel(0.0), settings)
    await assessor.start({})
    release, plain = threading.Event(), PanelJudge.screened

    def slow(judge: PanelJudge, texts: Sequence[str]) -> list[Figures]:
        release.wait(0.5)  # longer than one expression may take, shorter than twenty; five in a row are longer
        return plain(judge, texts)

    monkeypatch.setattr(PanelJudge, "screened", slow)
    found = await asyncio.gather(*(assessor.screen(["alpha"] * 20) for _ in range(5)))
    assert [len(f) for f in found] == [20] * 5
    await assessor.close()


def test_what_was_judged_is_no_finalist_again_nor_is_its_like() -> None:
    sketch = (1.0, -1.0, 0.5, 0.3)
    judged = Elite("alpha", ("alpha",), 1, 9.0, 0.2, 1.0, 0.1, 9.0, fate="passed", sketch=sketch)
    like = dataclasses.replace(judged, text="ema(alpha, 3)", turnover=0.05, fate="", sketch=(1.0, -0.9, 0.5, 0.3))
    other = dataclasses.replace(judged, text="beta", columns=("beta",), fate="", sketch=(0.5, 0.5, 0.5, -0.5))
    search = Search(SearchSpace(COLUMNS), 1, Archive([judged, like, other]))
    assert [e.text for e in search.finalists(5)] == ["beta"]


def test_what_is_far_stronger_than_a_find_is_no_like_of_it() -> None:
    part = _elite("alpha", 8.0, fate="passed", columns=("alpha",), sketch=(1.0, -1.0, 0.5, 0.3))
    whole = _elite("alpha - beta", 11.0, columns=("alpha", "beta"), sketch=(1.0, -0.5, 0.9, 0.0))
    again = _elite("ema(alpha, 3)", 9.0, columns=("alpha",), turnover=0.05, sketch=(1.0, -0.5, 0.9, 0.1))
    search = Search(SearchSpace(COLUMNS), 1, Archive([part, whole, again]))
    assert [e.text for e in search.finalists(5)] == ["alpha - beta"]
    assert [e.text for e in search._parents()] == ["alpha - beta"]


def test_what_a_change_can_mend_is_a_parent_and_only_its_like_at_heart_a_finalist() -> None:
    near = _elite("alpha", 9.0, fate="trading_cost", columns=("alpha",), sketch=(1.0, -1.0, 0.5, 0.3))
    child = dataclasses.replace(near, text="ema(alpha, 3)", turnover=0.05, fate="", sketch=(1.0, -0.5, 0.9, 0.0))
    lost = dataclasses.replace(
        near, text="beta", columns=("beta",), fate="overfit_detection", sketch=(0.0, 0.3, 0.9, -2)
    )
    search = Search(SearchSpace(COLUMNS), 1, Archive([near, child, lost]))
    assert {e.text for e in search._parents()} == {"alpha", "ema(alpha, 3)"}
    assert [e.text for e in search.finalists(5)] == ["ema(alpha, 3)"]


def test_the_family_has_its_share_of_the_sessions_error() -> None:
    plain, screening = OfflineLoopConfig(), OfflineLoopConfig(screened=10)
    assert screening.planned_trials == plain.planned_trials + FAMILY_SLOTS


def _elite(text: str, quality: float, **more: object) -> Elite:
    base = Elite(text, ("close",), 1, quality, 0.2, 1.0, 0.1, quality, sketch=(1.0, -1.0, 0.5))
    return dataclasses.replace(base, **more)  # type: ignore[arg-type]


def test_an_archive_keeps_the_best_of_every_cell_and_survives_its_own_file() -> None:
    archive = Archive([_elite("a", 3.0), _elite("b", 5.0), _elite("c", 4.0, turnover=0.5)])
    assert [e.text for e in archive] == ["b", "c"]
    again = Archive.from_json([*json.loads(json.dumps(archive.to_json())), {"from": "another version"}])
    assert again.ranked() == archive.ranked()


def test_a_prompts_examples_are_diverse_and_name_what_missed() -> None:
    near = _elite("near", 4.0, turnover=0.9, missed=("trading_cost",), columns=("x",))
    twin = _elite("twin", 3.9, turnover=0.9, missed=("trading_cost",), columns=("y",))
    failed = _elite("failed", 3.0, fate="predictive_power", figure="IC +0.001", columns=("z",))
    found = Archive([_elite("best", 6.0), near, twin, failed]).examples()
    assert [line.split(":")[0] for line in found["elites"]] == ["best"]
    assert [line.split(":")[0] for line in found["near"]] == ["near"]
    assert found["failures"] == ("failed: screened t +3.0, turnover 0.20: predictive_power (IC +0.001)",)
    assert "misses trading_cost (net at most +1.00 bps a bar)" in found["near"][0]


@pytest.mark.parametrize(("provider", "screens"), [("", True), ("mock", True), ("openai", False)])
def test_only_who_screens_pays_for_a_family(provider: str, screens: bool) -> None:
    settings = Settings()
    assert screened_by(settings, provider) == (settings.evaluation.screened if screens else 0)
