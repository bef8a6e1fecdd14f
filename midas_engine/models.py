"""The vocabulary: frozen dataclasses that travel between the parts. Standard library only.

Shapes are written T (time) x S (symbols). Times are timezone-aware UTC. A bar is named by its
open time. Numbers carry their unit in the name (`_bps`, `_hours`, `_bars`, `_usd`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from midas_engine.estimate import NO_ESTIMATE as NO_ESTIMATE
from midas_engine.estimate import Estimate as Estimate
from midas_engine.learning_markdown import ToMarkdown


class FeatureState(StrEnum):
    """Where a feature stands in the pipeline."""

    CANDIDATE = "candidate"
    SHADOW = "shadow"
    DEPLOYED = "deployed"
    ARCHIVED = "archived"


class Severity(StrEnum):
    """How loud an alert is."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


class AlertStatus(StrEnum):
    """Where an alert is in its life."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    SNOOZED = "snoozed"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True)
class FoldScore:
    """One purged fold: its span, mean score, standard error and t."""

    start: str
    end: str
    mean: float
    se: float
    t: float
    bars: int


@dataclass(frozen=True, slots=True)
class EvaluationResult:
    """Every metric of one feature over one part of the data. See `midas_engine.evaluator`.

    Definitions, gates and units: docs of `midas_engine.evaluator.metrics.evaluate`. Fields the data cannot
    give are NaN (or None for intervals), never zero.
    """

    feature_name: str
    horizon_bars: int
    bars_scored: int
    symbols: int
    coverage: float
    rank_ic: Estimate
    ic: Estimate
    score: Estimate
    score_t: float
    score_p: float
    ir: Estimate
    ic_by_horizon: dict[str, Estimate]
    half_life_hours: Estimate
    half_life_known: bool
    turnover: float
    gross_bps: float
    net_bps: float
    net_bps_per_trade: float
    cost_bps: float
    effective_ic: float
    break_even_ic: float
    max_correlation: float
    most_correlated: str
    marginal_ic: Estimate
    marginal_t: float
    is_ic: Estimate
    oos_ic: Estimate
    overfit_ratio: float
    overfit_z: float
    folds: tuple[FoldScore, ...]
    ic_by_regime: dict[str, Estimate]
    regime_bars: dict[str, int]
    regime_q_p: float
    effective_breadth: float
    composite_score: float
    smallest_detectable_ic: float
    bars_per_year: float
    warnings: tuple[str, ...] = ()
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class GateCheck:
    """One gate: the figure, the comparison and whether it held. `value` may be NaN: then it failed."""

    name: str
    value: float
    comparison: str
    threshold: float
    passed: bool
    detail: str = ""


@dataclass(frozen=True, slots=True)
class AgentVerdict:
    """What one of the six agents says."""

    agent: str
    passed: bool
    score: float
    gates: tuple[GateCheck, ...]
    summary: str
    suggestions: tuple[str, ...] = ()
    economic: bool = False


@dataclass(frozen=True, slots=True)
class MultiAgentResult:
    """The six verdicts and what follows from them.

    Attributes:
        overall_pass: Every gate held.
        statistical_pass: Every gate held but the economic ones (costs, and how long the effect lasts).
        trials: How many candidates the session line was drawn for.
        line_t: The session line, in units of `score_t`.
    """

    evaluation: EvaluationResult
    verdicts: tuple[AgentVerdict, ...]
    overall_pass: bool
    statistical_pass: bool
    composite_score: float
    trials: int
    line_t: float
    suggestions: tuple[str, ...] = ()

    @property
    def failed_agents(self) -> tuple[str, ...]:
        """Names of the agents that refused."""
        return tuple(v.agent for v in self.verdicts if not v.passed)


@dataclass(frozen=True, slots=True)
class FeatureRecord:
    """A feature as the knowledge base holds it.

    Attributes:
        horizon_bars: Bars ahead that it speaks of; 0: `evaluation.target` as it was.
        role: "book": promoted for what it adds to the book; empty: for itself.
        expected_score: Shrunk causal score measured on the sealed part; None: uncalibrated.
        metrics: Flat figures saved with the candidate (JSON numbers, strings, booleans).
        lineage: Name of the version this one replaces or is built from, oldest first.
    """

    name: str
    expression: str
    state: FeatureState
    version: int = 1
    created_at: datetime | None = None
    changed_at: datetime | None = None
    hypothesis: str = ""
    session_id: str = ""
    reason: str = ""
    paused: bool = False
    killed: bool = False
    expected_score: float | None = None
    breadth: float | None = None
    gate: str = ""
    hold_bars: int = 0
    horizon_bars: int = 0
    role: str = ""
    metrics: dict[str, Any] = field(default_factory=dict)
    lineage: tuple[str, ...] = ()
    history: tuple[dict[str, Any], ...] = ()
    path: str = ""
    damaged: str = ""


@dataclass(frozen=True, slots=True)
class PipelineSummary:
    """The pipeline at one moment."""

    candidates: tuple[FeatureRecord, ...]
    shadow: tuple[FeatureRecord, ...]
    deployed: tuple[FeatureRecord, ...]
    archived: tuple[FeatureRecord, ...]


@dataclass(frozen=True, slots=True)
class FeatureMetrics:
    """One live feature after one bar. IC windows are durations (1 d, 5 d, 30 d).

    Attributes:
        status: "healthy", "warning", "critical", "uncalibrated", "stale", "paused", "killed", "warming".
        decay_log_s: ln of the Shiryaev-Roberts statistic; alarm at `decay_threshold`.
        kill_log_e: ln of the e-detector; kill at `decay_threshold`.
        days_to_detect_drop: Expected days to notice that the feature died, at its IC and breadth.
    """

    feature: str
    at: datetime
    regime: str = ""
    status: str = "warming"
    value: float = float("nan")
    bars: int = 0
    ic_1d: Estimate = NO_ESTIMATE
    ic_5d: Estimate = NO_ESTIMATE
    ic_30d: Estimate = NO_ESTIMATE
    pearson_1d: float = float("nan")
    pearson_5d: float = float("nan")
    pearson_30d: float = float("nan")
    ic_ratio: float = float("nan")
    ic_regime: float = float("nan")
    half_life_hours: float = float("nan")
    turnover: float = float("nan")
    slippage_bps: float = float("nan")
    expected_slippage_bps: float = float("nan")
    slippage_ratio: float = float("nan")
    pnl_bps: float = float("nan")
    pnl_1d_bps: float = float("nan")
    pnl_net_1d_bps: float = float("nan")
    coverage: float = float("nan")
    stale_bars: int = 0
    score: float = float("nan")
    expected_score: float | None = None
    decay_log_s: float = float("nan")
    kill_log_e: float = float("nan")
    decay_threshold: float = float("nan")
    days_to_detect_drop: float = float("nan")
    days_to_detect_flip: float = float("nan")
    false_alarms_per_year: float = float("nan")


@dataclass(frozen=True, slots=True)
class Alert:
    """One episode of one rule on one feature: raised once, counted while it holds.

    `alert_type` is one of ic_decay, execution_slippage, drawdown, regime_shift, correlation_spike,
    stale_data, labels_missing, implausible, uncalibrated. `value` and `threshold` are in the unit named by `unit`.
    `severity`, `threshold` and `message` are those of now, `worst` is the loudest it was. Alerts of one `incident`
    began together by one rule, and most likely have one cause. `closed` says why the episode ended where its
    condition did not.
    """

    id: str
    feature: str
    alert_type: str
    severity: Severity
    message: str
    raised_at: datetime
    last_seen_at: datetime
    count: int = 1
    value: float = float("nan")
    threshold: float = float("nan")
    unit: str = ""
    rule: str = ""
    status: AlertStatus = AlertStatus.OPEN
    snoozed_until: datetime | None = None
    resolved_at: datetime | None = None
    acknowledged_by: str = ""
    diagnosis: str = ""
    closed: str = ""
    worst: Severity | None = None
    incident: str = ""

    @property
    def active(self) -> bool:
        """Open, acknowledged or snoozed: the episode still runs."""
        return self.status is not AlertStatus.RESOLVED


@dataclass(frozen=True, slots=True)
class LearningDocument(ToMarkdown):
    """What a session or a diagnosis taught. `loop` is "offline" or "online"; `result` e.g. "success" or "failed"."""

    title: str
    loop: str
    result: str
    created_at: datetime
    research_goal: str = ""
    pattern_identified: str = ""
    what_worked: str = ""
    what_failed: str = ""
    recommendation: str = ""
    regime: str = ""
    session_id: str = ""
    feature: str = ""
    expressions: tuple[str, ...] = ()
    accepted: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    provenance: str = ""
    metrics: dict[str, Any] = field(default_factory=dict)
    body: str = ""
    path: str = ""


@dataclass(frozen=True, slots=True)
class Figure:
    """One number of a diagnosis, with the id that claims must cite."""

    id: str
    label: str
    value: float
    unit: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class DiagnoseResult:
    """A diagnosis: the deterministic class first, then the researcher's words.

    `cause` is one of data_fault, cost, crowding, regime_shift, true_decay, noise. `kill_proposed`
    is a proposal only: a model can never kill. `fix_name` is the candidate version that was saved of the fix
    (`name@2`), `fix_verdict` how it fared against the incumbent on the data after the break.
    """

    feature: str
    alert_id: str
    at: datetime
    cause: str
    confidence: float
    figures: tuple[Figure, ...]
    root_cause: str = ""
    evidence: tuple[str, ...] = ()
    unsupported: tuple[str, ...] = ()
    fix_expression: str = ""
    fix_reason: str = ""
    kill_proposed: bool = False
    kill_reason: str = ""
    researcher: str = ""
    learning_path: str = ""
    report_path: str = ""
    learning: str = ""
    fix_name: str = ""
    fix_verdict: str = ""


@dataclass(frozen=True, slots=True)
class DailyReport:
    """One UTC day: the Markdown that was written and the figures in it."""

    day: date
    markdown: str
    path: str
    features: int
    alerts: int
    diagnoses: int
    pnl_bps: float
    figures: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SessionSummary:
    """One discovery session, running or ended."""

    session_id: str
    goal: str
    researcher: str
    started_at: datetime
    status: str = "running"
    iteration: int = 0
    max_iterations: int = 0
    tried: int = 0
    accepted: tuple[str, ...] = ()
    result: str = ""


@dataclass(frozen=True, slots=True)
class ModelUsage:
    """What one model call cost."""

    provider: str
    model: str
    tokens_in: int
    tokens_out: int
    cost_usd: float
    seconds: float
