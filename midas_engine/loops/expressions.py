"""What a session reads of expressions: which deployed ones its data can compute, and what a proposal really is."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from midas_engine.dsl.borrowed import understood
from midas_engine.dsl.expression import parse
from midas_engine.errors import ExpressionError, NameRefusedError
from midas_engine.hypothesis import MOST_HOLDING, MOST_HORIZON, Hypothesis
from midas_engine.kb.names import check_name, slugify
from midas_engine.proposer.protocol import Proposal
from midas_engine.proposer.rewrites import negated
from midas_engine.text import one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from midas_engine.dsl.expression import Expression
    from midas_engine.settings import DslLimits

MOST_QUOTED = 200
MOST_HOLD = 10_000


def computable(
    existing: Mapping[str, str], columns: Collection[str], limits: DslLimits, say: Callable[[str], None]
) -> dict[str, str]:
    """The deployed features that this data can speak of; what cannot be computed must not end the session."""
    if not columns:
        return dict(existing)
    found: dict[str, str] = {}
    for name, text in existing.items():
        try:
            parse(text, columns=columns, limits=limits, features=existing)
            found[name] = text
        except ExpressionError as error:
            say(f"{name} cannot be computed on this data and is left out: {error.message}\n")
    return found


def cleaned(proposal: Proposal, parsed: Callable[[str], Expression], target: int) -> tuple[Proposal, str, str]:
    """The proposal with a clean name and in full, and the canonical forms of its expression and gate.

    It carries its hypothesis from here on, whoever proposed it: horizon and holding in bars, the columns that are read.
    A claim of the other sign turns the expression, for a feature's high values always expect high returns. What is
    written as another library would have it is put into the language, and its rationale keeps what stood there.

    Args:
        proposal: As it came.
        parsed: Reads an expression.
        target: `evaluation.target`, which a claim without a horizon is about.

    Raises:
        ExpressionError: One of them cannot be read.
    """
    said = proposal.hypothesis or Hypothesis()
    whole, borrowed = understood(proposal.expression, parsed)
    gated, _ = understood(proposal.gate, parsed) if proposal.gate else (None, False)
    try:
        name = check_name(proposal.name)
    except NameRefusedError:
        name = slugify(proposal.name) or "idea"
    # A feature that is built on others is judged and saved in full: it must survive the end of theirs.
    built = f" (built on {', '.join(whole.lineage)})" if whole.lineage else ""
    built += f" (written as {one_line(proposal.expression)[:MOST_QUOTED]})" if borrowed else ""
    if said.sign < 0:
        whole = parsed(negated(whole.standalone))
    hold = max(0, min(proposal.hold or said.holding, MOST_HOLD))
    if gated is None and hold == (said.horizon or target):
        hold = 0  # as long as the horizon: the same trial as one that does not say it
    read = tuple(sorted({*whole.columns, *(gated.columns if gated else ())}))
    claim = dataclasses.replace(
        said,
        mechanism=said.mechanism or proposal.rationale,
        horizon=said.horizon or (target if target <= MOST_HORIZON else 0),
        holding=min(hold, MOST_HOLDING),
        columns=read,
        against=said.disagrees(read),
    )
    clean = Proposal(
        name,
        whole.standalone,
        proposal.rationale + built,
        gated.standalone if gated else "",
        hold,
        claim,
    )
    return clean, whole.canonical, gated.canonical if gated else ""
