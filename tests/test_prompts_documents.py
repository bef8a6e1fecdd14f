"""Prompts are documents: what each says, in which order, how long it may be, and that what it shows can be done."""

from __future__ import annotations

import dataclasses
import json
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from midas_engine import events as ev
from midas_engine.dsl.expression import parse
from midas_engine.errors import EvaluationError, ModelReplyError, SettingsError
from midas_engine.evaluator import TrialLedger
from midas_engine.evaluator.context.history_split import split_panel
from midas_engine.hypothesis import Hypothesis, read_hypothesis
from midas_engine.kb.seeding import as_today, written_seeds
from midas_engine.llm.replies import parse_reply
from midas_engine.loops.assessors import PanelAssessor, costs_text
from midas_engine.market.panel import Panel
from midas_engine.models import LearningDocument
from midas_engine.proposer.llm_researcher import _proposal
from midas_engine.proposer.prompt_places import constant_parts, context_values
from midas_engine.proposer.prompts import MAX_PROMPT, PLACES, check_places, fill
from midas_engine.proposer.protocol import Plan, ResearchContext, TrialResult
from midas_engine.settings import CostSettings, EvaluationSettings, Settings
from tests.helpers_dsl import make_panel
from tests.helpers_llm import block, candidates, learning, plan, scripted
from tests.helpers_loops import FakeAssessor, events_of, loop_of

if TYPE_CHECKING:
    from pathlib import Path

SEEDS = {p.rsplit("/", 1)[1][:-3]: d.decode() for p, d in written_seeds().items() if p.startswith("proposer/prompts/")}
SKILL = written_seeds()["skills/factor-patterns.md"].decode()
WITH_LANGUAGE = ("plan", "generate", "refine")
BAD = "cs_rank(close)"
NO_MORE = block(name=None, expression=None)


def _context(**more: Any) -> ResearchContext:
    return ResearchContext("carry", ("close", "volume"), skills={"factor-patterns": SKILL}, **more)


@pytest.mark.parametrize("name", sorted(SEEDS))
def test_a_template_has_only_places_that_are_filled(name: str) -> None:
    check_places(SEEDS[name], PLACES[name], name)


@pytest.mark.parametrize("place", ["goals", "Goal", "goal|upper", "goal.x", "", " results_ "])
def test_an_unknown_place_is_refused_by_name(place: str) -> None:
    with pytest.raises(SettingsError, match="plan.* in line 2") as caught:
        fill("{{goal}}\n and {{" + place + "}}", {"goal": "x"}, "plan")
    assert place.strip() in caught.value.message


@pytest.mark.parametrize("text", ["{{goal", "{{go\nal", "{{goal} }", "{{" + "x" * 500 + "}}", "{{goal}} {{"])
def test_a_place_that_does_not_end_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="begins a place in line 2 that does not end"):
        fill("first\n" + text, {"goal": "x"}, "plan")
    assert fill('{"a": {{goal}}} {{{goal}}} { {', {"goal": "x"}) == '{"a": x} {x} { {'


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "proposer/prompts/plan.md is empty"),
        (b" \n\t\n", "proposer/prompts/plan.md is empty"),
        (b"Pl\xe4n {{goal}}", "proposer/prompts/plan.md: byte 2 is not UTF-8"),
        (b"Plan \0 {{goal}}", "proposer/prompts/plan.md: character 5 is NUL"),
        (b"Plan {{go\nals}}", "proposer/prompts/plan.md has the place"),
    ],
)
async def test_a_template_that_says_nothing_or_cannot_be_read_is_named(tmp_path: Path, data: bytes, said: str) -> None:
    researcher = scripted(plan())
    loop = loop_of(tmp_path, researcher)
    (loop.kb.path / "proposer/prompts/plan.md").write_bytes(data)
    ended = (await events_of(loop, FakeAssessor()))[-1]
    assert isinstance(ended, ev.SessionEnded)
    assert said in ended.reason
    assert researcher._client.requests == []  # type: ignore[attr-defined]


async def test_a_market_of_thousands_of_columns_fits_a_prompt(tmp_path: Path) -> None:
    class Wide(FakeAssessor):
        columns = (*(f"a_rather_long_name_of_a_column_{i:05d}" for i in range(5_000)), "close")

    researcher = scripted(plan(), candidates(BAD), NO_MORE, learning())
    ended = (await events_of(loop_of(tmp_path, researcher), Wide()))[-1]
    assert isinstance(ended, ev.SessionEnded)
    assert (ended.result, ended.tried) == ("failed", 1)
    assert "more left out)" in researcher._client.requests[0].prompt  # type: ignore[attr-defined]


def test_a_value_is_never_expanded_again() -> None:
    assert fill("{{goal}}", {"goal": "{{ nothing }}"}) == "{{ nothing }}"


async def test_a_template_with_an_unknown_place_is_refused_before_anything_is_asked(tmp_path: Path) -> None:
    researcher = scripted(plan())
    loop = loop_of(tmp_path, researcher)
    (loop.kb.path / "proposer/prompts/refine.md").write_text("Mend {{verdict}} for {{goal}}.")
    ended = (await events_of(loop, FakeAssessor()))[-1]
    assert isinstance(ended, ev.SessionEnded)
    assert "{{verdict}}" in ended.reason
    assert "'verdicts'" in ended.reason
    assert researcher._client.requests == []  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", WITH_LANGUAGE)
def test_the_language_comes_first_then_the_session(name: str) -> None:
    values = context_values(_context()) | dict.fromkeys(PLACES[name][-5:], "x") | {"count": "3"}
    values |= {k: v for k, v in context_values(_context()).items() if k in values}
    filled = fill(SEEDS[name], values, name)
    language, session = constant_parts(filled, values)
    assert filled[:language] == values["language"]
    assert filled[language:session].strip() == values["session"].strip()


async def test_the_constant_parts_are_equal_in_every_prompt_of_a_session(tmp_path: Path) -> None:
    researcher = scripted(plan(), candidates(BAD), NO_MORE, plan(), candidates("cs_rank(open)"), NO_MORE, learning())
    await events_of(loop_of(tmp_path, researcher, max_iterations=2), FakeAssessor())
    asked = researcher._client.requests[:-1]  # type: ignore[attr-defined]
    assert len({r.prompt[: r.constant[1]] for r in asked}) == 1
    assert all(len(r.constant) == 2 for r in asked)


async def test_a_refinement_knows_language_limits_plan_memory_and_costs(tmp_path: Path) -> None:
    researcher = scripted(plan(hypothesis="late coins"), candidates(BAD), NO_MORE, learning())
    settings = Settings(evaluation=EvaluationSettings(workers=0), costs=CostSettings(2.5, 0.5, 0.75))
    await events_of(loop_of(tmp_path, researcher, settings=settings), FakeAssessor())
    refined = researcher._client.requests[2].prompt  # type: ignore[attr-defined]
    for words in ("ts_decay_linear", "Limits: depth", "late coins", "What this base knows", "3.75 bps", "fee 2.5"):
        assert words in refined
    assert "1 tried of at most 6" in refined
    assert "that line is drawn for the whole session" in refined


@pytest.mark.parametrize("text", [*SEEDS.values(), SKILL], ids=[*SEEDS, "patterns"])
def test_no_prompt_says_what_is_false(text: str) -> None:
    told = " ".join(text.split())
    assert "raises the line" not in told
    assert "6 bps" not in told


def test_only_patterns_whose_columns_exist_are_sent() -> None:
    few = context_values(_context())["skills"]
    assert "funding_rate" not in "".join(re.findall(r"```\n(.*?)\n```", few, re.S))
    assert "## Momentum" in few
    assert "## Funding and carry" not in few
    many = dataclasses.replace(_context(), columns=("close", "volume", "funding_rate"))
    assert "## Funding and carry" in context_values(many)["skills"]
    one = context_values(dataclasses.replace(_context(), cross=False))["skills"]
    assert "cs_rank(" not in "".join(re.findall(r"```\n(.*?)\n```", one, re.S))


@pytest.mark.parametrize("name", ["plan", "generate", "refine", "learn"])
def test_a_prompt_stays_within_its_size_whatever_the_base_holds(name: str) -> None:
    long = "x" * 4_096
    context = _context(
        existing={f"f{i}": long for i in range(200)},
        results=[TrialResult(1, "n", long, score_t=1.0, rank_ic=0.1, line_t=3.0) for _ in range(1_000)],
        learnings=[LearningDocument(long, "offline", "failed", _at(), what_failed=long * 4) for _ in range(50)],
        memory=[long] * 50, column_notes={f"c{i}": long for i in range(100)}, current_plan=Plan(long * 9),
        thresholds={"a": {"b": long * 9}},
    )  # fmt: skip
    context = dataclasses.replace(context, skills={"midas-dsl": long * 30, "factor-patterns": long * 30})
    values = context_values(context)
    filled = fill(SEEDS[name], {p: values.get(p, "x" * 2_000) for p in PLACES[name]}, name)
    assert len(filled) <= MAX_PROMPT


def _at() -> Any:
    from tests.helpers_llm import NOW

    return NOW


@pytest.mark.parametrize("name", sorted(SEEDS))
def test_every_example_parses(name: str) -> None:
    (text,) = re.findall(r"```json\n.*?\n```", SEEDS[name], re.S)
    found = json.loads(text[8:-4])
    parse_reply(text, {key: type(value) for key, value in found.items()})
    for item in found.get("candidates", [found] if "expression" in found else []):
        proposal = _proposal(item)
        parsed = parse(proposal.expression)
        assert proposal.hypothesis is not None
        assert proposal.hypothesis.disagrees(parsed.columns) == ()


def test_a_seed_of_an_earlier_version_is_read_as_todays_and_an_edit_is_kept() -> None:
    path = "proposer/prompts/plan.md"
    assert as_today(path, b"My own {{goal}}") == b"My own {{goal}}"


def test_span_coverage_units_and_costs_are_those_of_the_research_part() -> None:
    panel = make_panel(3, 600, 12, 0.0)
    quick = Settings(evaluation=EvaluationSettings(workers=0))
    end = split_panel(panel, quick, 1).research.stop
    values = {k: np.array(v) for k, v in panel.fields.items()}
    values["funding_rate"], values["volume"] = np.ones((600, 12)), np.ones((600, 12))
    values["funding_rate"][: end // 2] = np.nan
    values["volume"][end:] = np.nan  # the sealed part
    made = PanelAssessor(Panel(panel.timestamps, panel.symbols, values, panel.bar_seconds), quick)
    notes = made.notes()
    assert "50." in notes["funding_rate"]
    assert notes["volume"] == "base units a bar, 100.0 % of bars"
    assert "research part" in made.market
    assert f"({end:,} bars)" in made.market
    assert str(panel.timestamps[-1])[:10] not in made.market
    assert costs_text(CostSettings(1.0, 0.5, 0.0), made).startswith("1.5 bps of traded notional, one way")


# -- the hypothesis on record ----------------------------------------------------------------------

CLAIM = {
    "mechanism": "carry is paid",
    "sign": 1,
    "horizon": 24,
    "turnover": 0.1,
    "columns": ["close"],
    "confidence": 0.7,
}


async def test_a_hypothesis_is_on_record_with_its_trial(tmp_path: Path) -> None:
    reply = block(candidates=[{"name": "idea", "expression": BAD, "hypothesis": CLAIM}])
    loop = loop_of(tmp_path, scripted(plan(), reply, NO_MORE, learning()))
    await events_of(loop, FakeAssessor())
    with TrialLedger(loop.kb.journal_path, read_only=True) as ledger:
        (trial,) = ledger.history()
    kept = trial.summary["hypothesis"]
    assert (kept["sign"], kept["horizon"], kept["confidence"], kept["against"]) == (1, 24, 0.7, [])
    assert trial.summary["proposer"] == "mock:scripted"


@pytest.mark.parametrize(
    ("field", "value"),
    [("sign", 2), ("sign", "up"), ("sign", True), ("horizon", -1), ("horizon", 1e9), ("turnover", "low"),
     ("columns", "close"), ("columns", [3]), ("confidence", 70), ("mechanism", ["a"])],
)  # fmt: skip
def test_a_hypothesis_of_wrong_types_is_refused_by_its_field(field: str, value: Any) -> None:
    with pytest.raises(EvaluationError, match=field):
        read_hypothesis(CLAIM | {field: value})
    with pytest.raises(ModelReplyError, match=field):
        _proposal({"name": "x", "expression": "close", "hypothesis": CLAIM | {field: value}})


def test_nothing_claimed_is_nothing_said() -> None:
    empty = read_hypothesis({"sign": None, "confidence": None})
    assert (empty.sign, empty.horizon, empty.confidence, empty.turnover) == (1, 0, None, None)
    assert len(Hypothesis("m", columns=("funding_rate",)).disagrees(("close",))) == 2
