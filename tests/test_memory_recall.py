"""What memory recalls: forms of lessons, tried first and cheaply, and turned down where they do not hold."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from midas_engine import events as ev
from midas_engine.clock import ManualClock
from midas_engine.dsl.expression import canonical, parse
from midas_engine.dsl.spelling import spelled
from midas_engine.evaluator.trials.ledger import Trial, TrialKey, TrialLedger
from midas_engine.loops import OfflineLoopConfig, PanelAssessor
from midas_engine.loops.inputs import gather
from midas_engine.memory.evidence import evidence, read_evidence
from midas_engine.memory.lessons import standing
from midas_engine.memory.reading import read_trials
from midas_engine.memory.recall import LEAST_FACTOR, payoff, recall
from midas_engine.memory.remember import LESSONS, retrieved
from midas_engine.memory.search import speaking
from midas_engine.memory.untriable import only_triable, untriable
from midas_engine.models import LearningDocument
from midas_engine.proposer import LocalResearcher
from midas_engine.proposer.protocol import ResearchContext
from midas_engine.proposer.recall import Recall, Recalled
from midas_engine.proposer.recalled import MOST_FORMS, MOST_SHARE, _drawn, recalled
from midas_engine.search.archive import Archive
from midas_engine.search.measure import Figures, Finalist
from midas_engine.search.windows import ladder, neighbours, window_places
from midas_engine.settings import EvaluationSettings, Settings
from tests.helpers_loops import events_of, loop_of
from tests.helpers_search import COLUMNS, SETTINGS, planted_panel

if TYPE_CHECKING:
    from pathlib import Path

START = datetime(2026, 1, 1, tzinfo=UTC)


def _trial(text: str, t: float, *, data: str = "one", session: str = "s", hour: int = 1, **more: Any) -> Trial:
    at = (START + timedelta(hours=hour)).isoformat()
    base = Trial(hour, at, session, f"{text}{data}", canonical(text), "scored", t, 0.5, False, snapshot=data)
    return dataclasses.replace(base, **more)


def _family(*finalists: tuple[str, float, float], hour: int = 1, data: str = "one", **summary: Any) -> Trial:
    row = {"level": 0.01, "finalists": [list(f) for f in finalists]} | summary
    return _trial("close", 0.0, hour=hour, data=data, session=f"f{hour}", outcome="screened", summary=row)


def _lesson(**more: Any) -> LearningDocument:
    return LearningDocument(more.pop("title", "a lesson"), "offline", more.pop("result", "success"), START, **more)


def test_a_finalist_is_a_try_of_its_form_whether_it_held_or_not() -> None:
    found = evidence([_family(("ts_mean(alpha, 3)", 0.2, 0.4), ("beta", 5.0, 0.001), ("odd", None, None))])
    tries = [(t.outcome, t.score_t, t.p, t.accepted) for t in found]
    assert tries == [
        ("screened", 0.0, 0.5, False), ("scored", 0.2, 0.4, False), ("scored", 5.0, 0.001, False),
        ("scored", 0.0, 1.0, False),
    ]  # fmt: skip
    judged = _trial("beta", 6.0, accepted=True, session="f1", hour=2)
    assert [t.p for t in evidence([_family(("beta", 5.0, 0.001)), judged])] == [0.5, 0.5], "its verdict says more"


def test_a_finalist_that_held_and_was_not_judged_speaks_for_its_claim_or_against_it() -> None:
    claim = _lesson(expressions=("alpha - cs_rank(beta)",), what_worked="alpha - cs_rank(beta)")
    turned = [_family(("-(alpha - cs_rank(beta))", 3.1, 0.002), data=d, hour=h) for h, d in ((1, "a"), (2, "b"))]
    assert standing(claim, evidence(turned)).contradicted == (1, 2), "others before it took the places"
    assert standing(claim, evidence(turned)).retired
    held = standing(claim, evidence([_family(("alpha - cs_rank(beta)", 3.1, 0.002))]))
    assert (held.confirmed, held.retired) == ((1,), False)


def test_what_held_and_was_not_judged_is_no_failure_of_its_form() -> None:
    trials = [
        _trial("ts_mean(alpha, 3)", 6.0, accepted=True, session="good"),
        _family(("ts_mean(alpha, 6)", 4.0, 0.001), data="two", hour=2),
    ]
    (form,) = recall([_lesson(session_id="good", expressions=("ts_mean(alpha, 3)",))], evidence(trials)).forms
    assert (form.worked, form.tried) == (1, 1)


def test_a_lessons_form_carries_the_data_sets_it_worked_on() -> None:
    trials = [
        _trial("alpha / ts_mean(alpha, 3)", 6.0, accepted=True, session="good"),
        _trial("alpha / ts_mean(alpha, 24)", 7.0, accepted=True, session="later", data="two", hour=2),
        _trial("beta", 0.3, session="good"),
        _family(("alpha / ts_mean(alpha, 6)", 0.1, 0.9), data="three", hour=3),
    ]
    good = _lesson(session_id="good", expressions=("beta", "alpha / ts_mean(alpha, 3)"))
    later = _lesson(session_id="later", expressions=("alpha / ts_mean(alpha, 24)",))
    (form,) = recall([good, later], evidence(trials)).forms
    assert (form.text, form.worked, form.tried) == ("alpha / ts_mean(alpha, 24)", 2, 3)
    (claim,) = recall([_lesson(expressions=("gamma",), what_worked="gamma")], evidence(trials)).forms
    assert (claim.text, claim.worked, claim.tried) == ("gamma", 0, 0)
    assert recall([_lesson(result="failed", expressions=("gamma",))], trials).forms == ()


@pytest.mark.parametrize(
    ("held", "asked", "factor"),
    [(0, 0, 1.0), (1, 1, 1.0), (0, 3, 1.0), (1, 9, 10 / 11), (0, 8, 0.5), (0, 30, LEAST_FACTOR)],
)
def test_memory_that_does_not_hold_is_turned_down_and_it_is_said(held: int, asked: int, factor: float) -> None:
    rows = [_family(recalled=4, held=int(k < held), hour=k + 1) for k in range(asked)]
    found, told = payoff([*rows, _family(hour=99)])
    assert found == pytest.approx(factor)
    assert (f"{held} of {asked} sessions" in told) == (factor < 1.0)


def _context(*forms: Recalled, factor: float = 1.0, snapshot: str = "here") -> ResearchContext:
    return ResearchContext("g", COLUMNS, recall=Recall(forms, factor), snapshot=snapshot)


def test_forms_of_this_data_and_of_other_columns_are_not_recalled_and_few_where_they_did_not_hold() -> None:
    forms = [Recalled(f"ts_mean(alpha, {n})", f"f{n}", 1, 1, ("there",)) for n in range(2, 9)]
    here, foreign = Recalled("beta", "b", 1, 1, ("here",)), Recalled("trades", "t", 1, 1)
    assert len(_drawn(_context(*forms, here, foreign), 1)) == MOST_FORMS
    assert not {here, foreign} & set(_drawn(_context(*forms, here, foreign), 1))
    assert len(_drawn(_context(*forms, factor=0.3), 1)) == 1


class _Asked:
    """A screen that says the same of everything and hears how much of the level it is asked for."""

    budget, slots, horizon, tested = 600, 4, 1, 0.01

    def __init__(self) -> None:
        self.archive, self.shares = Archive(), []

    async def figures(self, texts: Any) -> list[Figures]:
        return [Figures(text, 3.0, 3.0) for text in texts]

    async def check(self, texts: Any, share: float = 0.0, recalled: int = 0, silent: Any = ()) -> list[Finalist]:
        self.shares.append(share)
        return []

    async def keep(self) -> None: ...


async def test_what_held_everywhere_gets_more_of_the_level_than_a_claim() -> None:
    screen: Any = _Asked()
    for worked, tried in ((0, 0), (1, 3), (1, 1), (40, 40)):
        form = Recalled("ts_mean(alpha, 3)", "a", worked, tried)
        await recalled(_context(form), screen, 1, str, lambda _: None)
    assert screen.shares == pytest.approx([0.25, 0.3, 0.5, MOST_SHARE])


def test_lessons_that_found_nothing_take_no_place_of_one_that_did(tmp_path: Path) -> None:
    kb = loop_of(tmp_path, LocalResearcher(1)).kb
    for n in range(12):
        kb.save_learning(_lesson(title=f"carry {n}", research_goal="carry", result="failed", what_failed=f"it {n}"))
    kb.save_learning(_lesson(title="carry", research_goal="carry", expressions=("alpha",), what_worked="alpha " * 300))
    past = retrieved(kb, "carry")
    assert [form.text for form in past.recall.forms] == ["alpha"]
    assert len(past.learnings) == LESSONS


def test_a_size_that_is_refused_by_name_takes_no_place() -> None:
    size, other = Recalled("gamma - cs_zscore(close)", "s", 0, 0), Recalled("beta", "b", 1, 1)
    assert _drawn(_context(size, other), 1) == [other]
    alone = dataclasses.replace(_context(size, other), cross=False)
    assert size in _drawn(alone, 1)


def test_what_worked_comes_before_what_failed_and_a_bare_claim_is_tested_three_times() -> None:
    good, bad = Recalled("alpha", "a", 9, 9), Recalled("beta", "b", 0, 9)
    first = [_drawn(_context(bad, good), seed)[0] for seed in range(20)]
    assert first.count(good) >= 18
    claims = [Recalled("gamma", "c", 0, n) for n in range(4)]
    assert [_drawn(_context(good, claim), 1)[0] == claim for claim in claims] == [True, True, True, False]


def test_two_bare_claims_are_tested_at_once_each_of_another_lesson_and_the_rest_is_what_worked() -> None:
    worked = [Recalled(f"ts_mean(alpha, {n})", f"f{n}", 9, 9) for n in range(2, 6)]
    claims = [
        Recalled(text, text, lesson=lesson)
        for text, lesson in (("gamma", "one"), ("gamma - beta", "one"), ("beta", "two"), ("neg(beta)", "three"))
    ]
    chosen = _drawn(_context(*worked, *claims), 1)
    assert chosen[:2] == [claims[0], claims[2]]
    assert set(chosen[2:]) <= set(worked)
    assert len(chosen) == MOST_FORMS
    assert _drawn(_context(*worked, *claims, factor=0.25), 1) == [claims[0]]


def test_a_bare_claim_is_retired_after_two_data_sets_speak_against_it() -> None:
    claim = _lesson(expressions=("ts_mean(alpha, 3)",), what_worked="ts_mean(alpha, 3)")
    one, two = (_family(("ts_mean(alpha, 9)", 0.1, 0.9), data=d, hour=h) for h, d in ((1, "one"), (2, "two")))
    again = _family(("ts_mean(alpha, 6)", 0.1, 0.9), data="one", hour=3)
    held = _trial("ts_mean(alpha, 3)", 5.0, data="three", hour=4)
    assert not standing(claim, evidence([one, again])).retired
    assert standing(claim, evidence([one, two])).retired
    assert not standing(claim, evidence([one, two, held])).retired


def test_a_bare_claim_that_luck_supports_is_retired_once_three_data_sets_did_not_pass_it() -> None:
    claim = _lesson(expressions=("ts_mean(alpha, 3)",), what_worked="ts_mean(alpha, 3)")
    one, two, three = (
        _family(("ts_mean(alpha, 9)", t, 0.02), data=d, hour=h)
        for h, d, t in ((1, "a", 2.4), (2, "b", 1.5), (3, "c", 0.4))
    )
    passed = dataclasses.replace(_trial("ts_mean(alpha, 3)", 5.0, data="d", hour=4), accepted=True)
    assert not standing(claim, evidence([one, two])).retired
    assert standing(claim, evidence([one, two, three])).retired
    assert not standing(claim, evidence([one, two, three, passed])).retired


@pytest.mark.parametrize(
    ("claimed", "cross", "reason"),
    [
        (("gamma - cs_zscore(close)",), True, "which symbol this is"),
        (("cs_rank(volume)", "log(trades)", "close * 2", "alpha"), True, "which symbol this is"),
        (("momentum works (12, 26)",), False, ""),
        (("rsi_14(close)",), False, "rsi_14"),
        (("delay(close, -3)",), True, ""),
        (("ts_mean(close)",), False, "ts_mean"),
    ],
)
def test_a_lesson_that_no_session_can_test_is_retired_at_once(
    tmp_path: Path, claimed: tuple[str, ...], cross: bool, reason: str
) -> None:
    kb = loop_of(tmp_path, LocalResearcher(1)).kb
    good = _lesson(title="good carry", research_goal="carry", expressions=("alpha",), what_worked="alpha")
    kb.save_learning(_lesson(title="carry", research_goal="carry", expressions=claimed, what_worked="all of it"))
    kb.save_learning(good)
    past = only_triable(retrieved, cross=cross)(kb, "carry")
    assert [d.title for d in past.learnings] == ["good carry"]
    (told,) = past.retired
    assert "it can never be tried" in told
    assert reason in told
    assert [d.title for d in kb.learnings()] == ["good carry"]
    (kept,) = (kb.path / "knowledge/learnings/revoked").glob("*.reason.txt")
    assert "can never be tried" in kept.read_text()


def test_a_lesson_that_other_data_or_another_setting_can_test_stands() -> None:
    size = _lesson(expressions=("cs_rank(close)",), what_worked="it", session_id="own")
    passed_in_time = [_trial("cs_rank(close)", 6.0, accepted=True, session="own")]
    assert untriable(size, [], cross=True)
    assert not untriable(size, [], cross=False)
    assert not untriable(size, passed_in_time, cross=True)
    for texts in (("ts_mean(no_such_column, 5)",), ("ts_mean(alpha, 2000000)",), ("cs_rank(close)", "alpha"), ()):
        assert not untriable(_lesson(expressions=texts, what_worked="it"), [], cross=True), texts
    assert not untriable(_lesson(result="failed", expressions=("nonsense(",)), [], cross=True)


async def test_a_claim_without_figures_on_the_data_is_a_try_of_it_and_blocks_no_other(tmp_path: Path) -> None:
    kb = loop_of(tmp_path, LocalResearcher(3)).kb
    for number, text in enumerate(("alpha / (beta - beta)", "gamma / ts_mean(gamma, 24)")):
        made = _lesson(title=f"claim {number} predicts", expressions=(text,), what_worked=text)
        kb.save_learning(dataclasses.replace(made, created_at=START + timedelta(days=1 - number)))
    said = []
    for seed in (3, 4):
        loop = loop_of(tmp_path, LocalResearcher(seed), settings=SETTINGS, screened=60, max_iterations=1)
        events = await events_of(loop, PanelAssessor(planted_panel(0.0, seed), SETTINGS), "anything that predicts")
        said.append("".join(e.text for e in events if isinstance(e, ev.TokensStreamed)))
    assert "alpha / (beta - beta) has no figures here: too few bars are scored" in said[0]
    tries = [t for t in evidence(read_trials(kb)) if t.canonical == canonical("alpha / (beta - beta)")]
    assert [(t.outcome, t.score_t, t.accepted) for t in tries] == [("scored", 0.0, False)] * 2
    claim = next(d for d in kb.learnings() if d.title == "claim 0 predicts")
    assert standing(claim, evidence(read_trials(kb))).retired


def test_a_try_of_the_other_sign_speaks_against_a_bare_claim() -> None:
    claim = _lesson(expressions=("alpha - cs_rank(beta)",), what_worked="alpha - cs_rank(beta)")
    turned = [_family(("-(alpha - cs_rank(beta))", 1.8, 0.03), data=d, hour=h) for h, d in ((1, "a"), (2, "b"))]
    assert not standing(claim, evidence(turned[:1])).retired
    held = standing(claim, evidence(turned))
    assert held.retired
    assert (held.confirmed, len(held.contradicted)) == ((), 2)
    passed = dataclasses.replace(_trial("-(alpha - cs_rank(beta))", 6.0, data="c", hour=3), accepted=True)
    assert standing(claim, evidence([turned[0], passed])).retired


def test_many_spellings_on_one_data_set_speak_once() -> None:
    lesson = _lesson(session_id="own", expressions=("ts_mean(alpha, 3)",))
    own = _trial("ts_mean(alpha, 3)", 6.0, accepted=True, session="own")
    rows = [(f"ts_mean(alpha, {n})", 0.05 * n, 0.9) for n in (3, 6, 9, 12)]
    once = [own, _family(*rows, data="two", hour=2)]
    held = standing(lesson, evidence(once))
    assert (held.confirmed, held.contradicted, held.retired) == ((), (2,), False)
    more = [_family(*rows, data=d, hour=h) for h, d in ((3, "three"), (4, "four"))]
    assert standing(lesson, evidence([*once, *more])).retired
    among = [own, *(_family(*rows, ("ts_mean(alpha, 24)", 2.5, 0.02), data=d, hour=h) for h, d in ((2, "a"), (3, "b")))]
    assert standing(lesson, evidence(among)).confirmed == (2, 3)


def test_halves_that_disagree_on_the_sign_speak_against_a_claim() -> None:
    claim = _lesson(expressions=("alpha - cs_rank(beta)",), what_worked="alpha - cs_rank(beta)")
    turned = _family(("-(alpha - cs_rank(beta))", -2.6, 0.99))
    assert standing(claim, evidence([turned])).contradicted == (1,)
    written = _trial("-(alpha - cs_rank(beta))", -2.6, hour=2, data="two")  # turned by whoever wrote it
    assert standing(claim, evidence([written])).confirmed == (2,)


def test_what_did_not_hold_at_its_sealed_look_worked_nowhere(tmp_path: Path) -> None:
    kb = loop_of(tmp_path, LocalResearcher(1)).kb
    text, clock = "ts_mean(alpha, 3)", ManualClock(START)
    with TrialLedger(kb.journal_path, clock=clock) as ledger:
        for session, passed in (("held", True), ("luck", False)):
            key = TrialKey(canonical(text), f"data {session}")
            clock.advance(60)
            ledger.record(key, session, score_t=3.6, p=1e-4, accepted=True)
            ledger.add_look(key.digest, session, {"passed": passed})
    known = read_evidence(kb)
    assert [(t.session, t.accepted) for t in known] == [("held", True), ("luck", False)]
    (form,) = recall([_lesson(session_id="held", expressions=(text,))], known).forms
    assert (form.worked, form.tried) == (1, 2)
    assert recall([_lesson(session_id="luck", expressions=(text,))], known).forms == ()
    assert [t.accepted for t in read_trials(kb)] == [True] * 2  # the record itself says what research said


def test_a_lesson_speaks_to_what_sets_a_goal_apart_and_to_every_open_goal() -> None:
    words = ("majors", "small caps", "new listings", "majors", "exchange coins")
    goals = [f"what predicts the next bar of {w}" for w in words]
    lessons = [_lesson(title=f"{k}", research_goal=g, path=f"p{k}") for k, g in enumerate(goals)]
    assert [d.path for d in speaking(lessons, goals[0])] == ["p0", "p3"]
    assert speaking(lessons[1:3], goals[0]) == []
    assert speaking(lessons[:1], goals[0]) == lessons[:1]
    assert speaking(lessons, "anything that predicts the next bar") == lessons
    assert speaking([], "carry") == []


def test_windows_are_moved_one_at_a_time() -> None:
    node = parse("ts_corr(ema(alpha, 5), beta, 24)").ast
    assert window_places(node) == 2
    found = {spelled(n) for place in (0, 1) for n in (*ladder(node, place, 48), *neighbours(node, place, 48))}
    assert {"ts_corr(ema(alpha, 12), beta, 24)", "ts_corr(ema(alpha, 5), beta, 36)"} <= found
    assert all(("ema(alpha, 5)" in t) != t.endswith("beta, 24)") for t in found)
    assert not [t for t in found if "168" in t]


async def test_what_one_market_taught_saves_the_search_of_the_next(tmp_path: Path) -> None:
    spent, said = [], []
    for seed in (3, 4):
        loop = loop_of(tmp_path, LocalResearcher(seed), settings=SETTINGS, screened=240, stop_after=1)
        events = await events_of(loop, PanelAssessor(planted_panel(0.7, seed), SETTINGS), "anything that predicts")
        ended = events[-1]
        assert isinstance(ended, ev.SessionEnded)
        assert len(ended.accepted) == 1
        loop.kb.path.joinpath(loop.kb.feature(ended.accepted[0]).path).unlink()  # nothing has to differ from it
        rows = [t for t in read_trials(loop.kb) if t.session == ended.session_id]
        spent.append(sum(int(t.summary.get("evaluated", 1)) for t in rows))
        said.append("".join(e.text for e in events if isinstance(e, ev.TokensStreamed)))
    assert "memory recalls" not in said[0]
    assert "memory recalls 1 form" in said[1]
    assert rows[0].summary["recalled"] == 1
    assert rows[0].summary["held"] >= 1
    assert spent[1] <= 0.5 * spent[0]


def test_a_setting_turns_memory_down_and_off(tmp_path: Path) -> None:
    kb = loop_of(tmp_path, LocalResearcher(1)).kb
    kb.save_learning(_lesson(title="carry", research_goal="carry", expressions=("alpha",), what_worked="alpha"))
    kept = {}
    for used in (1.0, 0.5, 0.0):
        settings = Settings(evaluation=EvaluationSettings(memory=used))
        kept[used] = gather(kb, settings, OfflineLoopConfig(), "carry", "", None, None)
    assert [len(given.learnings) for given in kept.values()] == [1, 1, 0]
    assert [given.recall.factor for given in kept.values()] == [1.0, 0.5, 0.0]
    assert [len(given.recall.forms) for given in kept.values()] == [1, 1, 0]
