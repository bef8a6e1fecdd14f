"""What every researcher is asked and answers. Nothing here ever holds a figure of the sealed part."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from midas_engine.hypothesis import Hypothesis
from midas_engine.proposer.recall import Recall
from midas_engine.settings import DslLimits
from midas_engine.text import number

if TYPE_CHECKING:
    from midas_engine.hypothesis import Hypothesis
    from midas_engine.models import LearningDocument
    from midas_engine.search.archive import Archive
    from midas_engine.search.measure import Figures, Finalist

OnText = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """What one iteration is about."""

    hypothesis: str
    approach: str = ""
    avoid: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Proposal:
    """One expression to try; with a gate it acts only where the gate is above zero, for `hold` bars.

    Attributes:
        hold: Bars that a forecast is held; 0 takes the hypothesis's.
        hypothesis: What it claims; None: a claim over `evaluation.target`.
    """

    name: str
    expression: str
    rationale: str = ""
    gate: str = ""
    hold: int = 0
    hypothesis: Hypothesis | None = None

    @property
    def horizon(self) -> int:
        """Bars ahead that it is scored on; 0 takes `evaluation.target`. An event is scored over its hold."""
        return 0 if self.gate or self.hypothesis is None else self.hypothesis.horizon


@dataclass(frozen=True, slots=True)
class TrialResult:
    """What became of one proposal, on the research part only.

    Attributes:
        passed: Every gate held on the research part.
        verdicts: One line an agent.
        refused: Why it was never scored; empty when it was.
        known: Where it was tried before, when it is answered from the record; empty for a trial of this session.
    """

    iteration: int
    name: str
    expression: str
    passed: bool = False
    score_t: float = float("nan")
    rank_ic: float = float("nan")
    line_t: float = float("nan")
    composite: float = 0.0
    turnover: float = float("nan")
    net_bps: float = float("nan")
    rank_ic_se: float = float("nan")
    net_se: float = float("nan")
    failed_agents: tuple[str, ...] = ()
    verdicts: tuple[str, ...] = ()
    suggestions: tuple[str, ...] = ()
    refused: str = ""
    rationale: str = ""
    known: str = ""

    @property
    def line(self) -> str:
        """The result in one line, as prompts and learnings show it."""
        if self.refused:
            return f"{self.expression}: refused ({self.refused.splitlines()[0]})"
        fate = "passed" if self.passed else "failed " + ", ".join(self.failed_agents)
        fate += f" (tried before, {self.known})" if self.known else ""
        return (
            f"{self.expression}: t {_known(self.score_t)} (line {number(self.line_t, 2, unknown='unknown')}), "
            f"IC {_known(self.rank_ic, 4, self.rank_ic_se)}, turnover {number(self.turnover, 2, unknown='unknown')}, "
            f"net {_known(self.net_bps, 2, self.net_se, unit=' bps a bar')}: {fate}"
        )


def _known(value: float, digits: int = 2, error: float | None = None, *, unit: str = "") -> str:
    """A signed figure with its error, each said to be unknown where it is."""
    if math.isnan(value):
        return "unknown"
    beside = "" if error is None else f" +- {number(error, digits, unknown='unknown')}"
    return f"{number(value, digits, sign=True)}{beside}{unit}"


class Screening(Protocol):
    """Screens raw trees as one family, whatever their number; see `midas_engine.search.measure`.

    Attributes:
        archive: Elites of this data; `archive.examples()` is what a prompt shows of it.
        budget: Evaluations at most.
        slots: Finalists that may be proposed: what the session's line was drawn for.
        level: What is left of the level for families' tests.
        tested: The level of the last family's test.
        horizon: Target in bars.
        evaluated: Expressions that met a return so far.
    """

    archive: Archive
    budget: int
    slots: int
    level: float
    tested: float
    horizon: int
    evaluated: int

    async def figures(self, texts: Sequence[str]) -> list[Figures]:
        """Figures on the screening slice, in order."""
        ...

    async def check(
        self, texts: Sequence[str], share: float = 0.0, recalled: int = 0, silent: Sequence[str] = ()
    ) -> list[Finalist]:
        """The family's one test on the check slice, charged; those that hold come first.

        Args:
            texts: The finalists.
            share: Of the session's level for families; 0 takes what is left of it.
            recalled: Forms of memory that the finalists are of.
            silent: Those of them that had no figures at any window.
        """
        ...

    async def keep(self) -> None:
        """Write the archive into the base."""
        ...


@dataclass(frozen=True, slots=True)
class ResearchContext:
    """Everything a researcher may know.

    Attributes:
        columns: Columns of the data that is there.
        cross: The data is a panel wide enough for cross-sectional operators.
        relative: It is not, and has three symbols or more: `cs_demean` takes what they share out of a feature.
        market: One line on the data: bars, symbols, span of the research part.
        costs: What trading costs, in words.
        column_notes: Unit and coverage by column, of the research part.
        iterations: Plans at most; 0: not known.
        planned_trials: Expressions at most; 0: not known.
        current_plan: The plan of this iteration; None before it is made.
        memory: What the base knows of tries like these, a line each.
        prompt: Gives the text of a prompt template by name.
        skills: Skill documents by name.
        results: What this session tried so far.
        learnings: What earlier sessions taught, most relevant first.
        recall: The forms that lessons claim, and how far they may be used.
        snapshot: Content hash of the data.
        tried: Canonical forms that earlier sessions scored on this very data.
        screen: Scores raw trees by the thousand, and holds the archive; None where nothing is screened.
    """

    goal: str
    columns: tuple[str, ...]
    cross: bool = True
    relative: bool = False
    regime: str = ""
    market: str = ""
    horizons: str = ""
    iteration: int = 1
    limits: DslLimits = field(default_factory=DslLimits)
    existing: Mapping[str, str] = field(default_factory=dict)
    thresholds: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    skills: Mapping[str, str] = field(default_factory=dict)
    results: Sequence[TrialResult] = ()
    learnings: Sequence[LearningDocument] = ()
    prompt: Callable[[str], str] | None = None
    max_tokens: int = 2000
    costs: str = ""
    column_notes: Mapping[str, str] = field(default_factory=dict)
    iterations: int = 0
    planned_trials: int = 0
    current_plan: Plan | None = None
    memory: Sequence[str] = ()
    screen: Screening | None = None
    recall: Recall = Recall()
    snapshot: str = ""
    tried: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class LearningDraft:
    """What a session taught, in the researcher's words; figures are added by the program."""

    title: str
    pattern_identified: str = ""
    what_worked: str = ""
    what_failed: str = ""
    recommendation: str = ""
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DiagnosisBrief:
    """What a diagnosis rests on: the deterministic class and its figures, rendered with ids."""

    feature: str
    expression: str
    alert: str
    cause: str
    confidence: float
    figures: tuple[str, ...]
    regime: str = ""
    columns: tuple[str, ...] = ()
    learnings: Sequence[LearningDocument] = ()
    prompt: Callable[[str], str] | None = None
    max_tokens: int = 2000


@dataclass(frozen=True, slots=True)
class DiagnosisDraft:
    """A researcher's explanation. `kill` is a proposal; it can never stop a feature."""

    root_cause: str
    evidence: tuple[str, ...] = ()
    fix_expression: str = ""
    fix_reason: str = ""
    kill: bool = False
    kill_reason: str = ""
    learning: str = ""


class Researcher(Protocol):
    """Plans, writes, refines, learns, diagnoses."""

    name: str

    async def plan(self, context: ResearchContext, on_text: OnText) -> Plan:
        """The plan of one iteration."""
        ...

    async def write(self, context: ResearchContext, plan: Plan, count: int, on_text: OnText) -> list[Proposal]:
        """At most `count` expressions that test the plan."""
        ...

    async def refine(
        self, context: ResearchContext, proposal: Proposal, result: TrialResult, on_text: OnText
    ) -> Proposal | None:
        """A changed expression after a refusal, or None when it is not worth another trial."""
        ...

    async def learn(self, context: ResearchContext, outcome: str, on_text: OnText) -> LearningDraft:
        """What the session taught."""
        ...

    async def diagnose(self, brief: DiagnosisBrief, on_text: OnText) -> DiagnosisDraft:
        """Why a live feature failed, from the figures given."""
        ...

    async def close(self) -> None:
        """Let go of what is held."""
        ...


@runtime_checkable
class CallsModel(Protocol):
    """A researcher that calls a model, and tells what each call cost."""

    def listen(self, on_reply: Callable[[Any, Any], None]) -> None:
        """Tell `on_reply` (request, reply) after every call."""
        ...


@runtime_checkable
class AsksModel(Protocol):
    """A researcher whose model client can be wrapped, so that its calls are kept."""

    def through(self, wrap: Callable[[Any], Any]) -> tuple[str, str]:
        """Ask through `wrap(client)` from now on; returns the provider's and the model's name."""
        ...


@runtime_checkable
class GoesSomewhere(Protocol):
    """A researcher that says where its questions go; empty: they stay here."""

    destination: str
