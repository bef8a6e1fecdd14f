"""What a session reads of expressions: which deployed ones its data can compute, and what a proposal really is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from midas_engine.dsl.expression import parse
from midas_engine.errors import ExpressionError, NameRefusedError
from midas_engine.kb.names import check_name, slugify
from midas_engine.proposer.protocol import Proposal

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from midas_engine.dsl.expression import Expression
    from midas_engine.settings import DslLimits


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


def cleaned(proposal: Proposal, parsed: Callable[[str], Expression]) -> tuple[Proposal, str, str]:
    """The proposal with a clean name and in full, and the canonical forms of its expression and gate.

    Raises:
        ExpressionError: One of them cannot be read.
    """
    whole = parsed(proposal.expression)
    gated = parsed(proposal.gate) if proposal.gate else None
    try:
        name = check_name(proposal.name)
    except NameRefusedError:
        name = slugify(proposal.name) or "idea"
    # A feature that is built on others is judged and saved in full: it must survive the end of theirs.
    built = f" (built on {', '.join(whole.lineage)})" if whole.lineage else ""
    clean = Proposal(
        name,
        whole.standalone,
        proposal.rationale + built,
        gated.standalone if gated else "",
        max(0, min(proposal.hold, 10_000)),
    )
    return clean, whole.canonical, gated.canonical if gated else ""
