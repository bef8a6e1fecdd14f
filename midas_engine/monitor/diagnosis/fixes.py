"""A fix meets the gates: the same six agents, on the data after the break, against the incumbent."""

from __future__ import annotations

import asyncio
import dataclasses
import math
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from midas_engine.dsl import FeatureEngine
from midas_engine.dsl.nominal import nominal_size
from midas_engine.errors import EvaluationError, ExpressionError
from midas_engine.evaluator import EvaluationContext, ScoringOptions, evaluate_values, judge
from midas_engine.evaluator.metrics.reference_score import measure_reference
from midas_engine.loops.records import flat_figures
from midas_engine.loops.trial_account import TrialAccount
from midas_engine.market.forward import forward_returns
from midas_engine.market.regimes import regime_labels
from midas_engine.models import FeatureState
from midas_engine.monitor.diagnosis.documents import CAUSE_WORDS
from midas_engine.monitor.diagnosis.variants import variants
from midas_engine.stats.causal_score import causal_scores

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from pathlib import Path

    from numpy.typing import NDArray

    from midas_engine.clock import Clock
    from midas_engine.market.panel import Panel
    from midas_engine.models import DiagnoseResult, FeatureRecord, MultiAgentResult
    from midas_engine.monitor.diagnosis.classify import Finding
    from midas_engine.monitor.diagnosis.snapshot import Snapshot
    from midas_engine.promoter import FeaturePromoter
    from midas_engine.settings import Settings
    from midas_engine.stats.sequential import Reference

# An expression cannot mend data, and chance needs no mending.
MENDABLE = ("cost", "crowding", "regime_shift", "true_decay")
LEAST_BARS = 120
BEATS_T = 1.2816  # one-sided 10 % on the paired difference; the gates guard the level
AGAINST_T = -3.0


@dataclass(frozen=True, slots=True)
class Trial:
    """How one form of a feature did on the data after the break.

    Attributes:
        gain_t: t of the mean difference of its bar scores to the incumbent's.
        line_t: The t that one of all forms tried has to reach.
    """

    expression: str
    verdict: MultiAgentResult
    gain: float
    gain_t: float
    reference: Reference | None

    @property
    def better(self) -> bool:
        """It beats the incumbent where both were measured."""
        return self.gain > 0 and self.gain_t >= BEATS_T

    @property
    def passed(self) -> bool:
        """Every gate held, and it beats the incumbent."""
        return self.verdict.overall_pass and self.better


class FixTrial:
    """Judges forms of a feature on one stretch of a panel. Blocking: run it in a thread.

    Args:
        panel: The market.
        since: First bar of the stretch: the likeliest break.
        existing: Live features by name that a fix must differ from, the incumbent left out.
    """

    def __init__(
        self, panel: Panel, settings: Settings, since: datetime, existing: dict[str, str], thresholds: Any = None
    ) -> None:
        self._panel, self._thresholds = panel, thresholds
        stamp = np.datetime64(since.replace(tzinfo=None), "ns")
        start = int(np.searchsorted(panel.timestamps, stamp))
        self.rows = slice(start, panel.T)
        if panel.T - start < LEAST_BARS:
            raise EvaluationError(
                f"only {panel.T - start} bars lie after the break, {LEAST_BARS} are needed to judge a fix",
                hint="ask for a diagnosis again when more has come",
            )
        self._engine = FeatureEngine(panel, limits=settings.dsl)
        evaluation = settings.evaluation
        # horizons that would take the stretch's better part have nothing to say about it
        fitting = [h for h in evaluation.horizons if h * 8 <= panel.T - start]
        horizons = tuple(sorted({*fitting, evaluation.target}))
        self._context = EvaluationContext.from_panel(
            panel, horizons=horizons,
            existing={name: self._engine.values(text) for name, text in existing.items()},
            regimes=regime_labels(panel), rows=self.rows, options=ScoringOptions.from_settings(settings, "forward"),
        )  # fmt: skip
        self._follow, self._mode = forward_returns(panel, (1,))[1], evaluation.mode

    def scores(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """The causal score of each bar after the break, warmed on what went before."""
        warm = max(0, self.rows.start - 720)
        u, _ = causal_scores(values[warm:], self._follow[warm:], self._context.cross)
        return u[self.rows.start - warm :]

    def run(self, incumbent: str, forms: Sequence[str], name: str) -> tuple[MultiAgentResult, list[Trial]]:
        """Verdicts on the incumbent and on every form; the session line is drawn for all of them."""
        count = max(1, len(forms))
        held = self._engine.values(incumbent)
        before = judge(evaluate_values(held, self._context, name), self._thresholds, 1)
        base = self.scores(held)
        found: list[Trial] = []
        for text in forms:
            try:
                values = self._engine.values(text)
                nominal = nominal_size(self._engine.parse(text))
                verdict = judge(evaluate_values(values, self._context, name, nominal=nominal), self._thresholds, count)
            except (ExpressionError, EvaluationError):
                continue
            difference = self.scores(values) - base
            difference = difference[np.isfinite(difference)]
            gain, error = _mean_and_error(difference)
            reference, _ = measure_reference(self._panel, values, self.rows, self._mode)
            found.append(Trial(text, verdict, gain, gain / error if error > 0 else math.nan, reference))
        return before, found


def _mean_and_error(x: NDArray[np.float64]) -> tuple[float, float]:
    if len(x) < 2:
        return math.nan, math.nan
    return float(x.mean()), float(x.std(ddof=1) / math.sqrt(len(x)))


class PanelMender:
    """Tries fixes on the panel at hand and saves the best as a candidate version.

    The researcher's form and the local variants (a living leg, a slower form, the part that is its own, ...) are all
    charged to the trial ledger. What does best is saved as `name@2` when it beats the incumbent; when a gate did
    not hold, the candidate says which, and only force deploys it.

    Args:
        panel: Gives the newest panel; None when there is no data.
        promoter: Saves the candidate; None leaves it on paper.
        ledger: The journal in which trials are charged; None charges nothing.
        expressions: Gives the live expressions by name.
    """

    def __init__(
        self,
        panel: Callable[[], Panel | None],
        settings: Settings,
        clock: Clock,
        *,
        promoter: FeaturePromoter | None = None,
        ledger: Path | None = None,
        expressions: Callable[[], dict[str, str]] | None = None,
    ) -> None:
        self._panel, self._settings, self._clock = panel, settings, clock
        self._promoter, self._ledger = promoter, ledger
        self._expressions = expressions or dict

    async def mend(self, snapshot: Snapshot, finding: Finding, result: DiagnoseResult) -> DiagnoseResult:
        """See `Mender.mend`."""
        panel = self._panel()
        if panel is None or finding.cause not in MENDABLE or finding.break_ago is None:
            return result
        # what came after the bar that is diagnosed is not known yet, in a replay above all
        known = int(np.searchsorted(panel.timestamps, np.datetime64(snapshot.at.replace(tzinfo=None), "ns"), "right"))
        if known < panel.T:
            panel = panel.slice(None, known)
        live = await asyncio.to_thread(self._live)
        against = _against(finding)
        forms = variants(
            finding.cause, snapshot.expression, regime=finding.regime, partner=live.get(snapshot.partner, ""),
            against=against,
        )  # fmt: skip
        if result.fix_expression and result.fix_expression not in forms:
            forms = [result.fix_expression, *forms]
        if not forms:
            return result
        since = snapshot.at - timedelta(seconds=panel.bar_seconds * finding.break_ago)
        existing = {n: t for n, t in live.items() if n.partition("@")[0] != snapshot.feature.partition("@")[0]}
        before, trials = await asyncio.to_thread(self._try, panel, since, existing, snapshot, forms)
        await self._charge(panel, snapshot, trials)
        best = max(trials, key=lambda t: (t.passed, t.better, t.gain_t if math.isfinite(t.gain_t) else -math.inf),
                   default=None)  # fmt: skip
        if best is None or not best.better:
            return dataclasses.replace(
                result, fix_expression="", fix_reason="",
                fix_verdict=f"None of {len(forms)} forms tried beats the feature on the data after the break.",
            )  # fmt: skip
        own = best.expression != result.fix_expression
        result = dataclasses.replace(
            result,
            fix_expression=best.expression,
            fix_reason="the best of the forms tried on the data after the break" if own else result.fix_reason,
            fix_verdict=_verdict(best, before, len(forms), since),
            # what can be mended need not be stopped
            kill_proposed=result.kill_proposed and not best.passed,
            kill_reason="" if best.passed else result.kill_reason,
        )
        if self._promoter is None:
            return result
        saved = await asyncio.to_thread(self._save, snapshot, result, best, before, since)
        return dataclasses.replace(result, fix_name=saved.name)

    def _live(self) -> dict[str, str]:
        if self._promoter is None:
            return self._expressions()
        return {r.name: r.expression for r in self._promoter.kb.features(FeatureState.DEPLOYED)} | self._expressions()

    def _try(
        self, panel: Panel, since: datetime, existing: dict[str, str], snapshot: Snapshot, forms: list[str]
    ) -> tuple[MultiAgentResult, list[Trial]]:
        thresholds = self._promoter.kb.last_good_thresholds()[0] if self._promoter is not None else None
        trial = FixTrial(panel, self._settings, since, existing, thresholds)
        return trial.run(snapshot.expression, forms, snapshot.feature)

    async def _charge(self, panel: Panel, snapshot: Snapshot, trials: Sequence[Trial]) -> None:
        if self._ledger is None or not trials:
            return
        session = f"fix-{snapshot.at:%Y%m%d-%H%M}-{snapshot.feature}"[:80]
        account = await TrialAccount.open(
            self._ledger, session, panel.identity, self._settings.evaluation.target, len(trials), self._clock
        )
        try:
            for trial in trials:
                await account.charge(account.key(trial.expression), trial.verdict)
        finally:
            await account.close()

    def _save(
        self, snapshot: Snapshot, result: DiagnoseResult, best: Trial, before: MultiAgentResult, since: datetime
    ) -> FeatureRecord:
        assert self._promoter is not None
        metrics: dict[str, Any] = flat_figures(best.verdict) | flat_figures(before, "incumbent_")
        metrics |= {
            "fix_of": snapshot.feature,
            "cause": result.cause,
            "evaluated_from": since.isoformat(),
            "gain_t": round(best.gain_t, 3),
            "overall_pass": best.passed,
        }
        metrics["passed_agents"] = ", ".join(v.agent for v in best.verdict.verdicts if v.passed)
        if not best.passed:
            metrics["failed_agents"] = ", ".join(best.verdict.failed_agents)
        changes: dict[str, Any] = {"metrics": metrics}
        if best.reference is not None:
            metrics["reference_bars"] = best.reference.variance_bars
            changes |= {"expected_score": best.reference.score, "breadth": 1.0 / best.reference.variance}
        reason = f"{CAUSE_WORDS[result.cause]} of {snapshot.feature}: {result.fix_reason}"[:900]
        return self._promoter.propose_version(snapshot.feature, best.expression, reason, **changes)


def _against(finding: Finding) -> bool:
    """The score since the break is negative beyond three errors."""
    after = next((f for f in finding.figures if f.id == "F22"), None)
    if after is None or after.value >= 0:
        return False
    error = float(after.detail.rpartition(" ")[2] or "nan")
    return error > 0 and after.value / error <= AGAINST_T


def _verdict(best: Trial, before: MultiAgentResult, forms: int, since: datetime) -> str:
    gates = "every gate held" if best.verdict.overall_pass else "refused by " + ", ".join(best.verdict.failed_agents)
    bars = best.verdict.evaluation.bars_scored
    figures = [
        f"rank IC {e.rank_ic.value:+.4f} (t {e.score_t:+.2f}" for e in (best.verdict.evaluation, before.evaluation)
    ]
    return (
        f"Best of {forms} forms on {bars} bars since {since:%Y-%m-%d %H:%M}: {figures[0]}, "
        f"line {best.verdict.line_t:.2f}) against {figures[1]}) of the feature as it is; "
        f"paired t of the gain {best.gain_t:+.2f}; {gates}."
    )
