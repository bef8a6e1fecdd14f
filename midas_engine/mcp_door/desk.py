"""What an agent may do here: seven things, each bounded. Nothing of the sealed part is within reach of any."""

from __future__ import annotations

import asyncio
import dataclasses
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from midas_engine.dsl.expression import parse
from midas_engine.errors import BudgetError, EvaluationError, MidasError, SessionError
from midas_engine.evaluator.trials.ledger import TrialKey
from midas_engine.hypothesis import Hypothesis, read_hypothesis
from midas_engine.jsonable import plain
from midas_engine.loops.assessors import NotesColumns, costs_text
from midas_engine.loops.expressions import MOST_HOLD, cleaned, computable
from midas_engine.loops.inputs import gather
from midas_engine.loops.known import Lookup, rules_mark, same_feature
from midas_engine.loops.likeness import Beside
from midas_engine.loops.records import trial_result
from midas_engine.loops.trial_account import TrialAccount
from midas_engine.mcp_door.queue import put
from midas_engine.memory.reading import read_trials
from midas_engine.memory.search import everything, search
from midas_engine.memory.tries import chances, memory_lines, tried_forms
from midas_engine.proposer.prompts import operators_text
from midas_engine.proposer.protocol import Proposal
from midas_engine.redaction import redact
from midas_engine.text import did_you_mean

if TYPE_CHECKING:
    from midas_engine.dsl.expression import Expression
    from midas_engine.kb import KnowledgeBase
    from midas_engine.loops import OfflineLoopConfig
    from midas_engine.loops.assessors import Assessor
    from midas_engine.loops.inputs import SessionInputs
    from midas_engine.models import FeatureRecord
    from midas_engine.proposer.protocol import TrialResult
    from midas_engine.settings import Settings

# Figures of a feature that were measured on its research part. Everything else stays here.
RESEARCH_FIGURES = (
    "rank_ic", "rank_ic_se", "score_t", "line_t", "turnover", "net_bps", "net_se", "half_life_hours", "effective_ic",
    "max_correlation", "marginal_ic", "composite", "measured_on", "horizon", "bars_scored",
)  # fmt: skip
MOST_SHOWN = 200


@dataclass(frozen=True, slots=True)
class Caps:
    """What one client may use.

    Attributes:
        calls: Calls of tools while the door is open.
        trials: Expressions scored in a UTC day, counted in the ledger: coming back does not begin anew.
    """

    calls: int = 2_000
    trials: int = 60


class Desk:
    """The tools, without the protocol.

    Args:
        kb: The base.
        settings: Costs, parts, limits.
        assessor: Judges; started with the first evaluation.
        config: What a session would be given.
        caps: Of each client.
    """

    def __init__(
        self, kb: KnowledgeBase, settings: Settings, assessor: Assessor, config: OfflineLoopConfig, caps: Caps
    ) -> None:
        self._kb, self._settings, self._assessor, self._config = kb, settings, assessor, config
        self.caps = caps
        self._calls: dict[str, int] = {}
        self._given: SessionInputs | None = None
        self._judged_beside: tuple[dict[str, str], tuple[str, ...]] | None = None
        self._reading = asyncio.Lock()
        self._judging = asyncio.Lock()

    # -- bounds ------------------------------------------------------------------------------------

    def count(self, client: str) -> None:
        """Count a call.

        Raises:
            BudgetError: The client has used its calls.
        """
        self._calls[client] = self._calls.get(client, 0) + 1
        if self._calls[client] > self.caps.calls:
            raise BudgetError(f"{client} has used its {self.caps.calls} calls", hint="the operator sets --calls")

    def _session(self, client: str) -> str:
        return f"mcp-{client}-{self._kb.clock.now():%Y%m%d}"

    # -- reading -----------------------------------------------------------------------------------

    async def data_schema(self) -> dict[str, Any]:
        """What the data is, and what a feature must do there."""
        given = await self._inputs()
        made, limits = self._assessor, self._limits
        notes = made.notes() if isinstance(made, NotesColumns) else {}
        return {
            "market": made.market,
            "predicted": made.horizons,
            "scored": "as a cross-section" if made.cross else "in time",
            "columns": {name: notes.get(name, "") for name in made.columns},
            "costs": costs_text(self._settings.costs, made),
            "limits": {"depth": limits.depth, "nodes": limits.nodes, "window_bars": limits.window_bars},
            "gates": plain(given.thresholds),
            "existing": {**given.existing, **given.beside},
            "figures": "of the research part only",
        }

    async def operators(self) -> str:
        """The language."""
        given = await self._inputs()
        return given.skills.get("midas-dsl") or operators_text()

    async def memory(self, text: str, n: int) -> dict[str, Any]:
        """What the base knows of `text`."""
        return await asyncio.to_thread(self._memory, text[:2_000], n)

    def _memory(self, text: str, n: int) -> dict[str, Any]:
        trials = read_trials(self._kb)
        features = [dataclasses.replace(record, reason="") for record in self._kb.features()]
        found = search(everything(self._kb.learnings(), features, trials), text, max(1, min(n, 50)))
        return {
            "found": plain(found),
            "table": list(memory_lines(trials, text)),
            "chances": plain(chances(trials)[:30]),
            "forms": [form.line for form in tried_forms(trials)[:20]],
        }

    async def pipeline(self) -> list[dict[str, Any]]:
        """Every feature, with its research figures."""
        return [_shown(record) for record in (await asyncio.to_thread(self._kb.features))[:1_000]]

    async def session_log(self, session: str) -> dict[str, Any]:
        """What a session tried; the newest trials of all where none is named."""
        trials = await asyncio.to_thread(read_trials, self._kb)
        own = [t for t in trials if not session or t.session == session]
        if session and not own:
            known = list(dict.fromkeys(t.session for t in trials))[-5:]
            raise SessionError(f"session {session[:80]!r} tried nothing", hint="the newest: " + ", ".join(known))
        rows = [
            {
                "session": t.session, "at": t.at, "expression": t.canonical, "outcome": t.outcome,
                "t": plain(t.score_t), "rank_ic": t.summary.get("rank_ic"), "passed_research": t.accepted,
                "failed": t.summary.get("failed", []), "reason": t.summary.get("reason", ""),
            }
            for t in own[-MOST_SHOWN:]
        ]  # fmt: skip
        return {"trials": rows, "left_out": max(0, len(own) - MOST_SHOWN)}

    # -- trying ------------------------------------------------------------------------------------

    async def evaluate(self, client: str, proposal: Proposal) -> dict[str, Any]:
        """Score an expression on the research part; it is charged before its verdict is told.

        Raises:
            BudgetError: The client's trials of this day are used.
            MidasError: The expression is refused, or cannot be scored.
        """
        async with self._judging:
            given = await self._inputs()
            await self._ready(given)
            account = await TrialAccount.open(
                self._kb.journal_path, self._session(client), self._assessor.snapshot_id,
                self._settings.evaluation.target, self.caps.trials, self._kb.clock,
            )  # fmt: skip
            try:
                return await self._evaluate(client, proposal, given, account)
            finally:
                await account.close()

    async def _evaluate(
        self, client: str, proposal: Proposal, given: SessionInputs, account: TrialAccount
    ) -> dict[str, Any]:
        used = await account.used()
        if used >= self.caps.trials:
            raise BudgetError(
                f"{client} has used its {self.caps.trials} trials of this day", hint="the operator sets --trials"
            )
        clean, canonical, gate = cleaned(proposal, self._parsed, self._settings.evaluation.target)
        key = account.key(canonical, gate, clean.hold, clean.horizon)
        rules = rules_mark(self._settings, given.thresholds)
        account.about = {"rules": rules, "proposer": f"mcp:{client}"}
        beside = Beside(given.existing, given.beside)
        lookup = Lookup(self._kb, account, rules, beside, self._limits, alone=True)
        known = await lookup.known(clean, key, 0)
        if known is not None:
            return self._told(known.result, canonical, used, known=known.result.known)
        try:
            verdict = await self._assessor.judge(clean, "research", self.caps.trials, given.thresholds, {})
        except MidasError as error:
            await account.charge_unscored(clean, error.message, "failed")
            raise
        charged = await account.charge(key, verdict, clean.hypothesis, beside)
        return self._told(trial_result(0, clean, verdict), canonical, used + charged)

    def _told(self, result: TrialResult, canonical: str, used: int, known: str = "") -> dict[str, Any]:
        figures = {"t": result.score_t, "line_t": result.line_t, "rank_ic": result.rank_ic, "turnover": result.turnover,
                   "net_bps": result.net_bps, "composite": result.composite}  # fmt: skip
        return {
            "name": result.name, "expression": result.expression, "canonical": canonical,
            "passed_research": result.passed, "failed": list(result.failed_agents), "verdicts": list(result.verdicts),
            "suggestions": list(result.suggestions), "answered_from_the_record": known,
            "trials_left": max(0, self.caps.trials - used),
            **{name: value if math.isfinite(value) else None for name, value in figures.items()},
        }  # fmt: skip

    async def propose(self, client: str, proposal: Proposal) -> dict[str, Any]:
        """Queue an expression for the operator, who alone may spend a look at the sealed part.

        What waits under another name, or is a feature of the base already, is answered from the record.
        """
        await self._inputs()
        clean = cleaned(proposal, self._parsed, self._settings.evaluation.target)[0]
        feature = await asyncio.to_thread(self._feature_like, proposal)
        if feature is not None:
            state = "archived" if feature.killed else feature.state.value
            known = f"it is the feature {feature.name} of the base, {state}"
            return {"queued": "", "answered_from_the_record": known}
        claim = clean.hypothesis
        if claim is not None and claim.sign < 0:  # the expression is turned already, and is not when it is judged
            claim = dataclasses.replace(claim, sign=1)
        safe = dataclasses.replace(clean, rationale=redact(clean.rationale)[:2_000], hypothesis=claim)
        queued, waits = await asyncio.to_thread(put, self._kb, safe, client, self._identity)
        known = f"it waits since {queued.at[:16]} UTC as {queued.name}, proposed by {queued.client}" if waits else ""
        return {
            "queued": queued.name,
            "answered_from_the_record": known,
            "then": "the operator judges it with `midas proposals --judge`",
        }

    def _identity(self, proposal: Proposal) -> TrialKey:
        """What makes two proposals the same one."""
        target = self._settings.evaluation.target
        clean, canonical, gate = cleaned(proposal, self._parsed, target)
        return TrialKey(canonical, self._assessor.snapshot_id, clean.horizon or target, gate, clean.hold)

    def _feature_like(self, proposal: Proposal) -> FeatureRecord | None:
        return same_feature(self._kb.features(), self._identity(proposal), self._limits)

    # -- parts -------------------------------------------------------------------------------------

    async def _inputs(self) -> SessionInputs:
        """The base as it is now: while the door is open, features are promoted and killed, and gates are moved."""
        async with self._reading:
            config = dataclasses.replace(self._config, use_learnings=False)  # memory is asked by itself
            given = await asyncio.to_thread(gather, self._kb, self._settings, config, "", "", None, None)
            self._given = given
            return given

    async def _ready(self, given: SessionInputs) -> None:
        """Start whoever judges, beside the features of now; reading needs nobody."""
        both = {**given.beside, **given.existing}
        known = computable(both, self._assessor.columns, self._limits, _quiet)
        beside = (known, tuple(given.beside))
        if beside != self._judged_beside:
            if self._judged_beside is not None:
                self._judged_beside = None
                await self._assessor.close()
            await self._assessor.start(*beside)
            self._judged_beside = beside

    @property
    def _limits(self) -> Any:
        return self._settings.dsl.at(self._assessor.bar_seconds)

    def _parsed(self, text: str) -> Expression:
        assert self._given is not None
        return parse(text, columns=self._assessor.columns, limits=self._limits, features=self._given.named)

    async def close(self) -> None:
        """Stop the workers."""
        await self._assessor.close()


def proposal_of(
    name: str, expression: str, rationale: str, gate: str, hold: int, hypothesis: dict[str, Any] | None
) -> Proposal:
    """A proposal from a tool's arguments, each within its bounds.

    What would be left out or changed is refused: the trial is charged for good.

    Raises:
        EvaluationError: The hypothesis cannot be read, or the hold cannot be.
    """
    if not 0 <= hold <= MOST_HOLD:
        raise EvaluationError(f"hold must be from 0 to {MOST_HOLD:,} bars, not {hold:,}")
    known = [field.name for field in dataclasses.fields(Hypothesis) if field.name != "against"]
    if odd := [name for name in hypothesis or () if name not in known]:
        hint = did_you_mean(odd[0], known)
        raise EvaluationError(f"a hypothesis has no field {odd[0][:40]!r}", hint=hint)
    claim = read_hypothesis(hypothesis) if hypothesis else None
    return Proposal(name[:200], expression[:8_000], rationale[:2_000], gate[:8_000], hold, claim)


def _shown(record: FeatureRecord) -> dict[str, Any]:
    figures = {name: record.metrics[name] for name in RESEARCH_FIGURES if name in record.metrics}
    return {
        "name": record.name, "state": record.state.value, "expression": record.expression, "gate": record.gate,
        "hypothesis": record.hypothesis, "research": plain(figures),
    }  # fmt: skip


def _quiet(_: str) -> None:
    return None
