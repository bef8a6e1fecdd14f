"""What a bank's judgement holds: a row an expression, ranked, and what was left out."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from midas_engine.jsonable import plain
from midas_engine.promoter.measured import ECONOMIC

if TYPE_CHECKING:
    from midas_engine.banks.reading import BadLine, Bank
    from midas_engine.models import MultiAgentResult


@dataclass(frozen=True, slots=True)
class BankRow:
    """One expression of the bank, judged in its family.

    Attributes:
        number: Its line.
        name: Its name in the bank.
        expression: As it was computed here.
        canonical: Its canonical form.
        verdict: Every figure and the six verdicts, at the family's line.
        adjusted_p: One-sided p adjusted for the whole family; NaN where it could not be scored.
        survives: The adjusted p is within the family's error.
        missing_labels: Labels that this data lacks; the market was taken as one group.
        repeated: It was tried on this data before; nothing was charged.
        worth: Independent trials that its own step's line is drawn for; fewer than the first line's further down.
    """

    number: int
    name: str
    expression: str
    canonical: str
    verdict: MultiAgentResult
    adjusted_p: float
    survives: bool
    missing_labels: tuple[str, ...] = ()
    repeated: bool = False
    worth: float = 1.0

    @property
    def refused_by(self) -> tuple[str, ...]:
        """Gates that refused it, by name, the family's line left to `survives`."""
        return tuple(
            gate.name for v in self.verdict.verdicts for gate in v.gates if not gate.passed and gate.name != "score_t"
        )

    @property
    def break_even_bps(self) -> float:
        """The one-way cost of a trade at which it would earn nothing, bps; negative where it earns nothing before."""
        e = self.verdict.evaluation
        held = float(e.extra.get("held_turnover", math.nan))
        return e.gross_bps / held if held > 0.0 else math.nan

    @property
    def document(self) -> dict[str, Any]:
        """For machines."""
        e = self.verdict.evaluation
        found = {
            "line": self.number, "name": self.name, "expression": self.expression, "canonical": self.canonical,
            "adjusted_p": self.adjusted_p, "survives": self.survives, "accepted": self.verdict.overall_pass,
            "refused_by": list(self.refused_by), "rank_ic": e.rank_ic, "score_t": e.score_t, "score_p": e.score_p,
            "line_t": self.verdict.line_t, "coverage": e.coverage, "net_bps": e.extra.get("net"),
            "gross_bps": e.extra.get("gross"), "break_even_bps": self.break_even_bps,
            "turnover": e.turnover, "half_life_hours": e.half_life_hours, "half_life_known": e.half_life_known,
            "standing": e.extra.get("standing"), "nominal": e.extra.get("nominal", ""),
            "compared_with_deployed": bool(e.extra.get("deployed")), "marginal_ic": e.marginal_ic,
            "marginal_t": e.marginal_t, "most_correlated": e.most_correlated, "max_correlation": e.max_correlation,
            "warnings": list(e.warnings), "missing_labels": list(self.missing_labels), "repeated": self.repeated,
        }  # fmt: skip
        return {key: plain(value) for key, value in found.items()}


@dataclass(frozen=True, slots=True)
class BankResult:
    """A whole bank on one part of one data set.

    Attributes:
        bank: What was judged.
        rows: Ranked: by adjusted p, then by t; what could not be scored stands last.
        left_out: Lines that cannot be used at all or not on this data; they are trials of nothing.
        trials: Members of the family: every expression that was computed here.
        effective: Independent trials that would ask as much of the best.
        level: Chance of any false survivor.
        session: Who pays in the ledger; empty when nothing was charged.
        charged: Trials that were new.
        part: The part that was scored, with its first and last bar.
    """

    bank: Bank
    rows: tuple[BankRow, ...]
    left_out: tuple[BadLine, ...]
    trials: int
    effective: float
    level: float
    session: str
    charged: int
    part: str
    bars: tuple[str, str]
    snapshot: str

    @property
    def survivors(self) -> tuple[BankRow, ...]:
        """Rows within the family's error."""
        return tuple(row for row in self.rows if row.survives)

    @property
    def scored(self) -> int:
        """Members that have a score: what the line is drawn from."""
        return sum(row.adjusted_p == row.adjusted_p for row in self.rows)

    @property
    def accepted(self) -> tuple[BankRow, ...]:
        """Survivors that every agent accepts."""
        return tuple(row for row in self.rows if row.survives and row.verdict.overall_pass)

    @property
    def unpaid(self) -> tuple[BankRow, ...]:
        """Survivors that costs alone stand against: they may pay in the book."""
        return tuple(
            row
            for row in self.rows
            if row.survives
            and row.verdict.statistical_pass
            and row.verdict.failed_agents
            and set(row.verdict.failed_agents) <= set(ECONOMIC)
        )

    @property
    def document(self) -> dict[str, Any]:
        """For machines."""
        return {
            "bank": self.bank.name,
            "source": list(self.bank.source),
            "part": self.part,
            "from": self.bars[0],
            "to": self.bars[1],
            "snapshot": self.snapshot,
            "trials": self.trials,
            "scored": self.scored,
            "effective_trials": plain(self.effective),
            "level": self.level,
            "session": self.session,
            "charged": self.charged,
            "survivors": len(self.survivors),
            "accepted": len(self.accepted),
            "rows": [row.document for row in self.rows],
            "left_out": [plain(line) for line in self.left_out],
        }
