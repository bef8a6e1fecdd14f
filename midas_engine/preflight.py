"""The pre-flight: what today's data says of a feature before it goes live, whatever the door.

It computes the research figures on today's data. It may withdraw a promotion, never grant one: it opens
nothing sealed and charges nothing sealed.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from midas_engine.errors import ExpressionError, MidasError
from midas_engine.kb.names import split_version
from midas_engine.market.feeds.target import not_there, refusal
from midas_engine.models import FeatureState
from midas_engine.promoter.measured import ECONOMIC
from midas_engine.promoter.preview import TodaysFigure
from midas_engine.promoter.rules import GATED

if TYPE_CHECKING:
    from midas_engine.kb import KnowledgeBase
    from midas_engine.market import Panel
    from midas_engine.models import EvaluationResult, FeatureRecord, MultiAgentResult
    from midas_engine.settings import Settings

# Actions after which a feature is watched: what it promises is measured first, where nothing did.
MEASURED = ("promote", "book", "shadow", "redeploy")
WHOLE = 1000


@dataclass(frozen=True, slots=True)
class Preflight:
    """What today's data says of a feature that is to go live.

    Attributes:
        data: The data and the part of it that was looked at.
        figures: Every gate with its value and error; empty where nothing could be computed.
        withdrawn: What is against it, in words.
        reference: Expected score and breadth, where they are measured only now.
        words: What was measured, in a few words.
        worth: What it would add to the book, in words; empty where nothing looked.
        effects: What it would do to the book and to the lifetime's budget, a line each.
    """

    data: str = ""
    figures: tuple[TodaysFigure, ...] = ()
    withdrawn: tuple[str, ...] = ()
    reference: tuple[float, float] | None = None
    words: str = ""
    worth: str = ""
    effects: tuple[str, ...] = ()

    @property
    def changes(self) -> dict[str, Any]:
        """The reference as arguments of the promoter."""
        if self.reference is None:
            return {}
        return {"expected_score": self.reference[0], "breadth": self.reference[1]}


def preflight(
    kb: KnowledgeBase, action: str, name: str, panel: Panel | None, settings: Settings, *, why: str = ""
) -> Preflight:
    """Look at a feature on today's data before `action`. Heavy: call it in a thread.

    Args:
        kb: Its thresholds and deployed features are what the feature is held against.
        action: Anything; only what lets a feature go live is looked at.
        name: The feature.
        panel: Today's data; None when there is none, and `why`.
        settings: How the data is split and scored.
        why: Why there is no data.
    """
    if action not in MEASURED:
        return Preflight()
    record = kb.feature(name)
    lacking = _not_live(record, settings)
    if lacking and action in GATED:
        return Preflight(withdrawn=(refusal(settings.target, lacking),), words="cannot run at the target")
    if panel is None:
        none = why or "no figures on today's data: it is not loaded"
        return Preflight(withdrawn=(none,) if action in GATED else (), words="uncalibrated: no data")
    about = f"{settings.data}: {str(panel.timestamps[0])[:10]} to {str(panel.timestamps[-1])[:10]}"
    found = Preflight(data=f"{about}, its research part", words=_known_promise(record))
    if action in GATED:
        waived = ECONOMIC if action == "book" or (action == "redeploy" and record.role == "book") else ()
        found = _judged(kb, record, panel, settings, found, waived)
        found = _in_the_book(kb, record, panel, settings, found)
    return found if record.expected_score is not None else _calibrated(record, panel, settings, found)


def _not_live(record: FeatureRecord, settings: Settings) -> tuple[str, ...]:
    """Columns of a feature that the live target lacks."""
    if not settings.target:
        return ()
    from midas_engine.dsl import parse

    try:
        texts = [text for text in (record.expression, record.gate) if text]
        used = {c for text in texts for c in parse(text, limits=settings.dsl.at(1.0)).columns}
    except ExpressionError:
        return ()  # what is wrong with it is said where it is judged
    return not_there(settings.target, sorted(used))


def _judged(
    kb: KnowledgeBase,
    record: FeatureRecord,
    panel: Panel,
    settings: Settings,
    found: Preflight,
    waived: tuple[str, ...],
) -> Preflight:
    from midas_engine.book_look import proposal_of
    from midas_engine.evaluator.gates.agents import money_word
    from midas_engine.loops.worker import PanelJudge

    base = split_version(record.name)[0]
    # The version it replaces is no neighbour that it must differ from.
    others = [r for r in kb.features(FeatureState.DEPLOYED) if split_version(r.name)[0] != base]
    thresholds, _ = kb.last_good_thresholds()
    trials = record.metrics.get("trials")
    trials = trials if isinstance(trials, int) and not isinstance(trials, bool) and trials > 0 else 1
    try:
        judge = PanelJudge(panel, settings, {r.name: r.expression for r in others})
        verdict = judge.judge(proposal_of(record), "research", trials, thresholds)
    except MidasError as error:
        return dataclasses.replace(found, withdrawn=(f"no figures on today's data ({settings.data}): {error.message}",))
    if verdict.evaluation.extra.get("empty"):
        # One line says it: a list of unknown figures would say the same eight times.
        why = next(iter(reversed(verdict.evaluation.warnings)), "nothing can be scored")
        return dataclasses.replace(found, withdrawn=(f"no figures on today's data ({settings.data}): {why}",))
    figures = _figures(verdict)
    failed = tuple(f"today {in_words(f)}" for f in figures if not f.passed and f.agent not in waived)
    if not waived and "net_bps" in record.metrics and "net_se" not in record.metrics and not _was_live(record):
        # Where the saved figures do not say how sure their net is, today's do.
        word = money_word(verdict.evaluation)
        failed += (f"today {word}: to shadow only until it is decided",) if word.startswith("undecided") else ()
    measured_on = record.metrics.get("measured_on")
    data = found.data
    if measured_on and measured_on != panel.identity:
        data += "; the saved figures are of other data"
    alike = verdict.evaluation
    near: tuple[str, ...] = ()
    if alike.most_correlated and math.isfinite(alike.max_correlation):
        near = (f"largest correlation with the book {alike.max_correlation:.2f}, with {alike.most_correlated}",)
    return dataclasses.replace(found, figures=figures, withdrawn=failed, data=data, effects=near)


def _in_the_book(
    kb: KnowledgeBase, record: FeatureRecord, panel: Panel, settings: Settings, found: Preflight
) -> Preflight:
    """What it would add to the book, what it does to its days to notice and to the lifetime's budget.

    And the door there, where costs alone stand against it and it adds something.
    """
    from midas_engine.book.candidate import candidate_effect, notice_in_words, partners
    from midas_engine.book.candidate import in_words as worth_in_words
    from midas_engine.promoter.budget import budget_words

    budget = budget_words(kb.journal_path, record)
    try:
        effect = candidate_effect(kb, record, panel, settings)
    except MidasError as error:
        worth = f"marginal net to the book unknown: {error.message}"
        return dataclasses.replace(found, worth=worth, effects=(*found.effects, budget))
    words = worth_in_words(effect.worth)
    against = {f.agent for f in found.figures if not f.passed}
    unpaid = "undecided" in " ".join(found.withdrawn) or (against and against <= set(ECONOMIC))
    if record.state is not FeatureState.DEPLOYED and unpaid and effect.worth.value > 0.0 and partners(kb, record):
        words += f"; {door_words(record.name)}"
    alone = _noticed(record, panel, settings)
    effects = tuple(told for told in (*found.effects, alone, notice_in_words(effect), budget) if told)
    return dataclasses.replace(found, worth=words, effects=effects)


def door_words(name: str) -> str:
    """Where a feature that does not pay alone may still go."""
    return (
        f"it does not pay alone, and may pay in the book: midas promote {name} --role book "
        f"looks at the sealed part once, and is charged"
    )


def _noticed(record: FeatureRecord, panel: Panel, settings: Settings) -> str:
    """How soon its own death would be noticed, by what it promises."""
    from midas_engine.stats.sequential_delay import outlook

    if record.expected_score is None or not record.breadth:
        return ""
    year = panel.bars_per_year
    arl0 = settings.monitor.arl0_bars(panel.bar_seconds)
    told = outlook(record.expected_score, 1.0 / record.breadth, arl0=arl0, bars_per_year=year)
    if not math.isfinite(told.drop_bars):
        return "its death would go unnoticed: no positive score was promised"
    drop, flip = (bars / year * 365.0 for bars in (told.drop_bars, told.flip_bars))
    return f"its own death would be noticed in {drop:.0f} days, a flip in {flip:.0f}"


def _was_live(record: FeatureRecord) -> bool:
    return any(entry.get("to") == FeatureState.DEPLOYED.value for entry in record.history)


def _figures(verdict: MultiAgentResult) -> tuple[TodaysFigure, ...]:
    errors = _errors(verdict.evaluation)
    return tuple(
        TodaysFigure(v.agent, g.name, g.value, errors.get(g.name, math.nan), g.comparison, g.threshold, g.passed)
        for v in verdict.verdicts
        for g in v.gates
    )


def _errors(e: EvaluationResult) -> dict[str, float]:
    return {
        "rank_ic": e.rank_ic.se,
        "plausible_ic": e.rank_ic.se,
        "ir": e.ir.se,
        "marginal_ic": e.marginal_ic.se,
        "score_t": 1.0,
        "marginal_t": 1.0,
        "oos_t": 1.0,
        "overfit_z": 1.0,
    }


def in_words(f: TodaysFigure) -> str:
    """One gate as a line: `rank ic 0.0219 +- 0.005, needs >= 0.02`.

    Example:
        >>> in_words(TodaysFigure("trading_cost", "turnover", 0.9, math.nan, "<=", 0.8, False))
        'turnover 0.9, needs <= 0.8'
    """
    value = "unknown" if math.isnan(f.value) else f"{f.value:.0f}" if abs(f.value) >= WHOLE else f"{f.value:.3g}"
    error = f" +- {f.error:.2g}" if math.isfinite(f.error) and not math.isnan(f.value) else ""
    return f"{f.gate.replace('_', ' ')} {value}{error}, needs {f.comparison} {f.threshold:.3g}"


def _known_promise(record: FeatureRecord) -> str:
    return "" if record.expected_score is None else f"expected score {record.expected_score:+.4f}"


def _calibrated(record: FeatureRecord, panel: Panel, settings: Settings, found: Preflight) -> Preflight:
    """Measure what it promises on the later folds of research: nothing sealed is opened here."""
    from midas_engine.dsl import FeatureEngine
    from midas_engine.evaluator.context.history_split import Parts, split_panel
    from midas_engine.evaluator.metrics.reference_score import measure_reference
    from midas_engine.stats.folds import FOLDS, OUT_OF_SAMPLE

    try:
        values = FeatureEngine(panel, limits=settings.dsl).values(record.expression)
        parts = split_panel(panel, settings, settings.evaluation.target)
        first = Parts.bars(parts.research) * (FOLDS - OUT_OF_SAMPLE) // FOLDS
        rows, mode = slice(first, parts.research.stop), settings.evaluation.mode
        reference, _ = measure_reference(panel, values, rows, mode)
    except MidasError as error:
        return dataclasses.replace(found, words=f"uncalibrated: {error.message}")
    if reference is None:
        words = "uncalibrated: its score on the later part of research is not positive"
        return dataclasses.replace(found, words=words)
    measured = (reference.score, 1.0 / reference.variance)
    return dataclasses.replace(found, reference=measured, words=f"expected score {reference.score:+.4f}")


def todays_panel(settings: Settings) -> tuple[Panel | None, str]:
    """The data that the settings name, the history of a feed too; None and why, where it cannot be had."""
    from midas_engine.market import load_panel
    from midas_engine.market.feeds.open import is_live

    try:
        return (_history(settings) if is_live(settings.data) else load_panel(settings.data, store=settings.store)), ""
    except MidasError as error:
        return None, f"no figures on today's data ({settings.data}): {error.message}"


def _history(settings: Settings) -> Panel:
    import asyncio

    from midas_engine.clock import WallClock
    from midas_engine.market.feeds.base import HISTORY_HOURS, MOST_HISTORY_BARS
    from midas_engine.market.feeds.open import open_source
    from midas_engine.market.feeds.polling import PollingFeed

    async def ask() -> Panel:
        feed = PollingFeed(open_source(settings.data, settings.venue_url, settings.store), WallClock())
        try:
            return await feed.history(min(MOST_HISTORY_BARS, HISTORY_HOURS * 3600 // feed.bar_seconds))
        finally:
            await feed.close()

    return asyncio.run(ask())
