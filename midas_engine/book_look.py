"""The door to the book: one sealed look at what a candidate adds to it.

A candidate need not pay alone. It is promoted to the book where its score holds on the sealed part as any discovery's
must, on the same p and the same lifetime stream, and the lower 90 % end of its marginal net there lies above zero. The
second takes the place of the refusal for costs, so noise is promoted no more often than through the other door.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from midas_engine.errors import EvaluationError, TransitionError
from midas_engine.hypothesis import Hypothesis
from midas_engine.kb.names import split_version
from midas_engine.models import Estimate, FeatureState
from midas_engine.promoter.measured import ECONOMIC
from midas_engine.text import p_text

if TYPE_CHECKING:
    from midas_engine.evaluator.trials.holdout import HoldoutLook
    from midas_engine.kb import KnowledgeBase
    from midas_engine.market import Panel
    from midas_engine.models import FeatureRecord
    from midas_engine.proposer.protocol import Proposal
    from midas_engine.settings import Settings

WORTHLESS = "worth"
"""The veto of a candidate whose marginal net has its lower 90 % end at or below zero."""


@dataclass(frozen=True, slots=True)
class BookLook:
    """What the look said: how it ended, and what the candidate added to the book, bps of capital a year."""

    look: HoldoutLook
    worth: Estimate

    @property
    def passed(self) -> bool:
        """It may be promoted to the book."""
        return self.look.passed

    @property
    def figures(self) -> dict[str, Any]:
        """What is kept in the feature's document."""
        return {
            "book_look": self.look.number,
            "book_p": self.look.p,
            "book_line": self.look.line,
            "book_marginal_net": self.worth.value,
            "book_marginal_low": self.worth.low,
            "book_marginal_high": self.worth.high,
        }

    @property
    def words(self) -> str:
        """One line for whoever decides."""
        from midas_engine.book.rows import UNKNOWN, span

        look = self.look
        again = ", answered from the ledger" if look.repeated else ""
        fate = "held" if look.passed else f"did not hold ({', '.join(look.vetoes) or 'its score'})"
        return (
            f"sealed look {look.number} for the book{again}: {fate}; score p {p_text(look.p)}, needed {look.line:.2g}; "
            f"marginal net {span(self.worth)}" + (" bps/yr" if span(self.worth) != UNKNOWN else "")
        )


def proposal_of(record: FeatureRecord) -> Proposal:
    """A saved feature as it is judged: at its own horizon and holding."""
    from midas_engine.proposer.protocol import Proposal

    claim = Hypothesis(record.hypothesis, horizon=record.horizon_bars)
    return Proposal(record.name, record.expression, gate=record.gate, hold=record.hold_bars, hypothesis=claim)


def refuse_book_look(kb: KnowledgeBase, record: FeatureRecord, panel: Panel | None, why: str = "") -> Panel:
    """Refuse what would waste a look; the data to look at.

    Raises:
        TransitionError: The book is empty, the data is not there, or it is not what the candidate was found on.
    """
    base = split_version(record.name)[0]
    if not any(split_version(r.name)[0] != base for r in kb.features(FeatureState.DEPLOYED)):
        raise TransitionError(
            f"nothing is deployed that {record.name} could add to", hint=f"promote it for itself: {record.name}"
        )
    if panel is None:
        raise TransitionError(f"{record.name} cannot be looked at: {why or 'there is no data'}")
    measured_on = record.metrics.get("measured_on")
    if measured_on and measured_on != panel.identity:
        raise TransitionError(
            f"{record.name} was found on other data than this: its sealed part is not sealed here",
            hint="give the data it was found on with --data, or discover it anew on this one",
        )
    return panel


def look_for_book(kb: KnowledgeBase, record: FeatureRecord, panel: Panel, settings: Settings) -> BookLook:
    """Look once at the sealed part of `panel`, and charge it to the lifetime's budget. Heavy: call it in a thread.

    A second call for the same candidate gives the stored answer. Whether a look is wanted at all is the operator's to
    say; see `refuse_book_look`.

    Raises:
        EvaluationError: It cannot be scored there; nothing is charged.
        JournalError: The look cannot be charged.
    """
    from midas_engine.book.candidate import sealed_worth
    from midas_engine.evaluator.trials.holdout import SealedHoldout, sealed_vetoes
    from midas_engine.evaluator.trials.ledger import TrialKey, TrialLedger
    from midas_engine.loops.worker import PanelJudge

    base = split_version(record.name)[0]
    others = [r for r in kb.features(FeatureState.DEPLOYED) if split_version(r.name)[0] != base and not r.damaged]
    judge = PanelJudge(panel, settings, {r.name: r.expression for r in others})
    parse = judge.engine.parse
    gate = parse(record.gate).canonical if record.gate else ""
    horizon = record.horizon_bars or settings.evaluation.target
    key = TrialKey(parse(record.expression).canonical, panel.identity, horizon, gate, record.hold_bars)
    with TrialLedger(kb.journal_path, clock=kb.clock) as ledger:
        holdout = SealedHoldout(ledger)
        found = holdout.earlier(key, book=True)
        if found is None:
            thresholds, _ = kb.last_good_thresholds()
            verdict = judge.judge(proposal_of(record), "sealed", 1, thresholds)
            worth = sealed_worth(kb, record, panel, settings)
            if verdict.evaluation.extra.get("empty"):
                raise EvaluationError(f"{record.name} cannot be scored on the sealed part; nothing was charged")
            against = [a for a in sealed_vetoes(verdict) if a not in ECONOMIC]
            if not worth.low > 0.0:
                against.append(WORTHLESS)
            found = holdout.charge(key, verdict.evaluation, name=record.name, vetoes=against, worth=worth)
    return BookLook(found, Estimate(*found.worth))
