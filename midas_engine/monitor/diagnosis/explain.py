"""From a finding to a diagnosis: what the researcher is asked, and what of its answer is kept."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from midas_engine.dsl.borrowed import understood
from midas_engine.dsl.expression import parse
from midas_engine.errors import ExpressionError
from midas_engine.models import DiagnoseResult
from midas_engine.monitor.diagnosis.claims import check_claims, split_claims
from midas_engine.monitor.diagnosis.figures import figure_line
from midas_engine.proposer.local_diagnosis import explain_cause
from midas_engine.proposer.protocol import DiagnosisBrief, DiagnosisDraft

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from midas_engine.models import LearningDocument
    from midas_engine.monitor.diagnosis.classify import Finding
    from midas_engine.monitor.diagnosis.snapshot import Snapshot

MAX_TEXT = 4_000


def make_brief(
    snapshot: Snapshot,
    finding: Finding,
    *,
    columns: Collection[str] = (),
    learnings: Sequence[LearningDocument] = (),
    prompt: Callable[[str], str] | None = None,
    max_tokens: int = 2000,
) -> DiagnosisBrief:
    """What a researcher is told: the cause that the tests found, and the figures by id."""
    alert = snapshot.alert
    asked = "none: the operator asked" if alert is None else f"{alert.alert_type} ({alert.severity}): {alert.message}"
    return DiagnosisBrief(
        feature=snapshot.feature,
        expression=snapshot.expression,
        alert=asked,
        cause=finding.cause,
        confidence=finding.confidence,
        figures=tuple(figure_line(f) for f in finding.figures),
        regime=finding.regime or snapshot.regime,
        columns=tuple(columns),
        learnings=learnings,
        prompt=prompt,
        max_tokens=max_tokens,
    )


def local_draft(brief: DiagnosisBrief) -> DiagnosisDraft:
    """The explanation that needs no model."""
    return explain_cause(brief)


def assemble(
    snapshot: Snapshot, finding: Finding, draft: DiagnosisDraft, researcher: str, *, columns: Collection[str] = ()
) -> DiagnoseResult:
    """The diagnosis: the class from the tests, the words checked against the figures, a fix only if it parses.

    A data fault is never mended by an expression, and chance never stops a feature: whatever the researcher says.
    """
    claims = [*split_claims(draft.root_cause[:MAX_TEXT]), *draft.evidence]
    evidence, unsupported = check_claims(claims, finding.figures)
    fix, why = "", ""
    if finding.cause not in ("data_fault", "noise"):
        fix, why = checked_fix(draft.fix_expression, snapshot.expression, columns), draft.fix_reason[:MAX_TEXT]
    # `is True`: a quoted "false" or a 1 is no decision
    kill = draft.kill is True and finding.cause not in ("data_fault", "noise")
    return DiagnoseResult(
        feature=snapshot.feature,
        alert_id=snapshot.alert.id if snapshot.alert is not None else "",
        at=snapshot.at,
        cause=finding.cause,
        confidence=finding.confidence,
        figures=finding.figures,
        root_cause=draft.root_cause[:MAX_TEXT],
        evidence=evidence,
        unsupported=unsupported,
        fix_expression=fix,
        fix_reason=why if fix else "",
        kill_proposed=kill,
        kill_reason=(draft.kill_reason or draft.root_cause)[:MAX_TEXT] if kill else "",
        researcher=researcher,
        learning=draft.learning[:MAX_TEXT],
    )


def checked_fix(text: str, incumbent: str, columns: Collection[str]) -> str:
    """The proposed expression, or "" when it does not parse or says the same as the incumbent."""
    if not text or not text.strip():
        return ""
    known = set(columns) or None
    try:
        proposed, _ = understood(text, functools.partial(parse, columns=known))
        if incumbent and parse(incumbent).canonical == proposed.canonical:
            return ""
    except ExpressionError:
        return ""
    return proposed.text
