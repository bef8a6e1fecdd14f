"""Memory as data: forms, chances, calibration, search by meaning, lessons that later trials contradict."""

from __future__ import annotations

import dataclasses
import json
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from midas_engine import events as ev
from midas_engine.clock import ManualClock
from midas_engine.dsl.expression import canonical
from midas_engine.errors import KnowledgeBaseError
from midas_engine.evaluator import TrialLedger
from midas_engine.evaluator.trials.ledger import TrialKey
from midas_engine.kb import KnowledgeBase
from midas_engine.memory.calibration import calibrations
from midas_engine.memory.families import family_of, skeleton
from midas_engine.memory.lessons import standing
from midas_engine.memory.page import memory_page
from midas_engine.memory.reading import read_trials
from midas_engine.memory.search import related, search
from midas_engine.memory.tries import MAX_LINES, chances, memory_lines, tried_forms
from midas_engine.models import LearningDocument
from midas_engine.proposer.families import FAMILIES
from tests.helpers_cli import call_midas
from tests.helpers_llm import block, candidates, learning, plan, scripted
from tests.helpers_loops import FakeAssessor, events_of, loop_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

START = datetime(2026, 1, 1, tzinfo=UTC)
CARRY = "cs_rank(neg(ts_mean(funding_rate, 24)))"


class Base:
    """A base whose ledger is filled by hand, a minute a trial."""

    def __init__(self, folder: Path) -> None:
        self.kb = KnowledgeBase(folder / "kb")
        self.clock = ManualClock(START)
        self.ledger = TrialLedger(self.kb.journal_path, clock=self.clock)

    def tried(self, text: str, t: float, *, data: str = "one", session: str = "s", **more: Any) -> None:
        self.clock.advance(60)
        summary = {"rank_ic": t / 100, "rank_ic_se": 0.01, "proposer": "openai:m"} | more.pop("summary", {})
        key = TrialKey(canonical(text), data, more.pop("horizon", 1))
        self.ledger.record(key, session, score_t=t, p=0.5, summary=summary, **more)

    def lesson(self, title: str, **more: Any) -> LearningDocument:
        made = LearningDocument(title, "offline", more.pop("result", "success"), START, **more)
        path = self.kb.save_learning(made)
        return dataclasses.replace(made, path=self.kb.relative(path))

    @property
    def trials(self) -> Any:
        return read_trials(self.kb)


@pytest.fixture
def base(tmp_path: Path) -> Iterator[Base]:
    made = Base(tmp_path)
    yield made
    made.ledger.close()


def test_windows_and_constants_make_no_other_form() -> None:
    forms = {skeleton(canonical(f"cs_rank(ts_mean(returns(close, {n}), {2 * n}))")) for n in (3, 24, 168)}
    assert len(forms) == 1


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_most_templates_of_a_family_are_known_as_it(family: str) -> None:
    texts = [t.core.format(a=24, b=48) for t in FAMILIES[family]]
    assert any(family_of(canonical(text)) == family for text in texts)


def test_a_form_keeps_its_best_with_its_error_and_what_it_missed(base: Base) -> None:
    missed = [["rank_ic", 0.011, ">=", 0.02]]
    base.tried(CARRY, 1.0)
    base.tried(CARRY.replace("24", "72"), 2.5, data="two", summary={"missed": missed, "proposer": "local"})
    base.tried("cs_rank(volume)", 0.2, accepted=False)
    form, other = tried_forms(base.trials)
    assert (form.family, form.tries, form.snapshots, form.best_t) == ("funding", 2, 2, 2.5)
    assert (form.best_ic, form.best_ic_se, form.proposers) == (0.025, 0.01, ("local", "openai:m"))
    assert form.missed == ("rank_ic 0.011 (>= 0.02)",)
    assert other.family == "volume"


def test_a_chance_counts_what_trades_much_apart_from_what_holds(base: Base) -> None:
    for window, turnover, passed in ((24, 0.04, True), (48, 0.09, False), (2, 0.9, False), (3, 1.2, False)):
        text = CARRY.replace("24", str(window))
        base.tried(text, 4.0, accepted=passed, summary={"turnover": turnover})
    base.tried(CARRY.replace("24", "9"), 1.0, summary={"turnover": "a lot"})
    rows = [(r.band, r.tries, r.passed) for r in chances(base.trials)]
    assert rows == [("up to 0.1", 2, 1), ("unknown", 1, 0), ("above 0.8", 2, 0)]
    assert "funding over 1 bar(s), turnover up to 0.1: 1 of 2 tries passed, chance 0.125" in memory_lines(
        base.trials, "x"
    )
    assert "| funding | 1 | above 0.8 | 2 | 0 | 0.042 |" in memory_page(base.trials, [], [])


def test_a_chance_is_shrunk_and_counts_by_family_and_horizon(base: Base) -> None:
    base.tried(CARRY, 4.0, accepted=True)
    base.tried(CARRY.replace("24", "48"), 1.0)
    base.tried(CARRY, 1.0, horizon=24)
    first, second = chances(base.trials)
    assert (first.family, first.horizon, first.tries, first.passed) == ("funding", 1, 2, 1)
    assert first.chance == pytest.approx(1.5 / 12)
    assert second.chance == pytest.approx(0.5 / 11)


def test_the_brier_score_of_a_proposer_by_family(base: Base) -> None:
    claim = {"confidence": 0.8, "horizon": 24}
    base.tried(CARRY, 2.0, summary={"hypothesis": claim, "half_life_bars": 30.0})
    base.tried("cs_rank(volume)", -1.0, summary={"hypothesis": claim})
    base.tried("cs_rank(high)", -1.0)  # without a claim
    rows = {(c.proposer, c.family): c for c in calibrations(base.trials)}
    assert set(rows) == {("openai:m", "all"), ("openai:m", "funding"), ("openai:m", "volume")}
    assert rows["openai:m", "funding"].brier_sign == pytest.approx(0.04)
    assert rows["openai:m", "funding"].brier_horizon == pytest.approx(0.04)
    assert rows["openai:m", "all"].brier_sign == pytest.approx((0.04 + 0.64) / 2)
    assert rows["openai:m", "volume"].brier_horizon != rows["openai:m", "volume"].brier_horizon


# -- search ------------------------------------------------------------------------------------------

LESSONS = {
    "Funding says who is crowded": ("cs_rank(neg(funding_rate))",),
    "Winners go on": ("cs_rank(returns(close, 168))",),
    "Sharp moves come back": ("neg(cs_rank(returns(close, 2)))",),
}


@pytest.mark.parametrize(
    ("goal", "first"),
    [("trend following", "Winners go on"), ("mean reversion of overshoots", "Sharp moves come back"),
     ("carry", "Funding says who is crowded"), ("funding_rate", "Funding says who is crowded"),
     ("crowding", "Funding says who is crowded"), ('a "quoted* (query" AND NOT', "")],
)  # fmt: skip
def test_a_goal_finds_what_belongs_to_its_family(base: Base, goal: str, first: str) -> None:
    documents = [base.lesson(title, expressions=texts, what_worked=title) for title, texts in LESSONS.items()]
    found = [d.title for d in related(documents, goal, 2)]
    assert (found[0] if found else "") == first


@pytest.mark.parametrize("text", ["", " ", '"', "NEAR(", "a" * 10_000, "\x00", "DROP TABLE e; --", "*:*"])
def test_any_text_may_be_searched_for(text: str) -> None:
    search([("learning", "p", "t", "body", "funding")], text)


# -- lessons -----------------------------------------------------------------------------------------


def test_a_lesson_is_linked_to_its_trials_confirmed_and_contradicted(base: Base) -> None:
    base.tried(CARRY, 4.0, accepted=True, session="own")
    lesson = base.lesson("Carry pays", session_id="own", expressions=(CARRY,))
    for data, t in (("two", 3.0), ("three", 0.5), ("four", 1.5)):
        base.tried(CARRY, t, data=data, session="later")
    held = standing(lesson, base.trials)
    assert (held.works, held.evidence, held.confirmed, held.contradicted) == (True, (1,), (2,), (3,))
    assert not held.retired


async def test_a_false_lesson_is_retired_with_its_reason_within_three_sessions(tmp_path: Path) -> None:
    kb = KnowledgeBase(tmp_path / "kb")
    false = LearningDocument(
        "Funding carry always pays", "offline", "success", datetime.now(UTC) - timedelta(days=1),
        what_worked="everything on funding", expressions=("cs_rank(neg(ts_mean(funding_rate, 24)))",),
    )  # fmt: skip
    kb.save_learning(false)
    seen = []
    for number in range(3):
        texts = [f"cs_rank(neg(ts_mean(funding_rate, {n})))" for n in (24, 48 + number)]
        researcher = scripted(plan(), candidates(*texts), block(name=None, expression=None), learning())
        assessor = FakeAssessor(figures={"research": (0.3, 0.001)})
        assessor.snapshot_id = f"data-{number}"
        loop = loop_of(tmp_path, researcher, refinements=0)
        events = await events_of(loop, assessor, "funding carry")
        seen.append("Funding carry always pays" in researcher._client.requests[0].prompt)  # type: ignore[attr-defined]
    told = "".join(e.text for e in events if isinstance(e, ev.TokensStreamed))
    assert seen == [True, True, False]
    assert "a lesson is retired" in told
    (reason,) = (kb.path / "knowledge/learnings/revoked").glob("*.reason.txt")
    assert "2 against" in reason.read_text()


async def test_the_table_of_tries_is_in_every_prompt(tmp_path: Path) -> None:
    for number in range(2):
        researcher = scripted(plan(), candidates("cs_rank(neg(funding_rate))"), learning())
        assessor = FakeAssessor()
        assessor.snapshot_id = str(number)
        await events_of(loop_of(tmp_path, researcher, refinements=0), assessor, "carry")
    asked = researcher._client.requests  # type: ignore[attr-defined]
    for request in asked[:2]:
        assert re.search(r"funding over 1 bar\(s\), turnover \S+.*: 0 of 1 tries passed, chance 0.045", request.prompt)


def test_the_table_has_at_most_twenty_lines(base: Base) -> None:
    for n in range(60):
        base.tried(f"cs_rank(ts_mean(close, {n + 2})) * {n} + volume", float(n % 5), data=str(n), horizon=n + 1)
    assert len(memory_lines(base.trials, "anything")) <= MAX_LINES
    assert memory_lines([], "anything") == ()


# -- the verbs ---------------------------------------------------------------------------------------


def test_the_verbs_search_count_and_revoke(base: Base, capsys: pytest.CaptureFixture[str]) -> None:
    base.tried(CARRY, 2.0, summary={"hypothesis": {"confidence": 0.8, "horizon": 24}})
    lesson = base.lesson("Winners go on", expressions=("cs_rank(returns(close, 168))",))
    kb = ("--kb", str(base.kb.path))
    found = call_midas(capsys, "kb", "search", "trend following", *kb, "--json")
    assert json.loads(found.out)["found"][0]["title"] == "Winners go on"
    told = call_midas(capsys, "kb", "stats", *kb)
    assert told.code == 0
    assert "Brier sign" in told.out
    assert "funding" in told.out
    page = memory_page(base.trials, base.kb.learnings(), base.trials)
    assert page.startswith("# What tries taught\n\n1 tries of 1 forms; 0 passed")
    assert "| funding |" in page
    assert "openai:m" in page
    done = call_midas(capsys, "kb", "revoke", lesson.path, "--reason", "other fees then", *kb)
    assert done.code == 0
    assert base.kb.learnings() == []
    (reason,) = (base.kb.path / "knowledge/learnings/revoked").glob("*.reason.txt")
    assert reason.read_text() == "revoked: other fees then\n"


def test_a_learning_is_revoked_by_any_path_to_it(
    base: Base, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    kb = ("--kb", str(base.kb.path))
    monkeypatch.chdir(base.kb.path.parent)
    for write in ("{0}", "./{0}", "{1}/{0}", "./{1}/{0}", "{2}/{0}", "{1}/knowledge/../{0}"):
        path = write.format(base.lesson(f"Winners go on {write}").path, base.kb.path.name, base.kb.path)
        assert call_midas(capsys, "kb", "revoke", path, "--reason", "old", *kb).code == 0, path
    assert base.kb.learnings() == []
    outside = base.kb.path.parent / "knowledge" / "learnings" / "offline" / "x.md"
    outside.parent.mkdir(parents=True)
    outside.write_text("mine")
    for path in (str(outside), "../knowledge/learnings/offline/x.md", "knowledge/learnings/offline/../../../../etc/x"):
        assert call_midas(capsys, "kb", "revoke", path, "--reason", "old", *kb).code != 0
    assert outside.read_text() == "mine"


def test_what_cannot_be_revoked_or_looked_for_is_said_in_words(base: Base, capsys: pytest.CaptureFixture[str]) -> None:
    lesson = base.lesson("Winners go on")
    kb = ("--kb", str(base.kb.path))
    assert "revoke needs a reason" in call_midas(capsys, "kb", "revoke", lesson.path, "--reason", " ", *kb).err
    assert len(base.kb.learnings()) == 1
    assert call_midas(capsys, "kb", "revoke", lesson.path, "--reason", "old", *kb).code == 0
    for path, hint in (
        (lesson.path, "it was revoked: knowledge/learnings/revoked/"),
        ("knowledge/learnings/offline/none.md", "midas learnings lists them"),
    ):
        ran = call_midas(capsys, "kb", "revoke", path, "--reason", "again", *kb)
        assert ran.code != 0
        assert f"there is no learning '{path}'" in ran.err
        assert hint in ran.err
    assert "holds no word" in call_midas(capsys, "kb", "search", ' "', *kb).out
    assert "Nothing here speaks of zebra" in call_midas(capsys, "kb", "search", "zebra", *kb).out


def test_a_fault_under_the_lock_is_not_told_as_one_of_the_lock(base: Base) -> None:
    with (
        pytest.raises(KnowledgeBaseError, match="could not be changed: No space left on device") as caught,
        base.kb.lock(),
    ):
        raise OSError(28, "No space left on device")
    assert "free some space" in caught.value.hint
