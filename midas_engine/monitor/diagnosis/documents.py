"""What a diagnosis leaves on disk: a report, a learning, and for a fix or a kill a proposal of its own."""

from __future__ import annotations

import dataclasses
import hashlib
from typing import TYPE_CHECKING

from midas_engine.kb.names import slugify
from midas_engine.models import DiagnoseResult, LearningDocument
from midas_engine.monitor.diagnosis.figures import written
from midas_engine.text import markdown_cell, one_line

if TYPE_CHECKING:
    from midas_engine.monitor.diagnosis.snapshot import Snapshot
    from midas_engine.monitor.protocols import DocumentStore

FOLDER = "reports/diagnoses"
CAUSE_WORDS = {
    "data_fault": "a fault of the data",
    "cost": "the cost of trading",
    "crowding": "crowding",
    "regime_shift": "a shift of regime",
    "true_decay": "true decay",
    "noise": "chance",
}


def stem_of(result: DiagnoseResult) -> str:
    """Name of the report without its ending; one per feature, bar and alert."""
    mark = hashlib.sha256(f"{result.feature}\x1f{result.alert_id}".encode()).hexdigest()[:6]
    return f"{result.at:%Y-%m-%dT%H%M}-{slugify(result.feature)[:60] or 'feature'}-{mark}"


def save_papers(kb: DocumentStore, result: DiagnoseResult, snapshot: Snapshot) -> DiagnoseResult:
    """Write everything; the result comes back with the paths. Blocking: call it in a thread."""
    stem = stem_of(result)
    report = f"{FOLDER}/{stem}.md"
    kb.save_text(report, diagnosis_text(result, snapshot))
    if result.fix_expression:
        kb.save_text(f"{FOLDER}/{stem}-fix.md", _fix_text(result, snapshot))
    if result.kill_proposed:
        kb.save_text(f"{FOLDER}/{stem}-kill.md", _kill_text(result))
    path = kb.save_learning(_learning(result, snapshot, report))
    # the base gives an absolute path; documents speak of each other by their place in the base
    learning = "knowledge/" + str(path).replace("\\", "/").rpartition("knowledge/")[2]
    return dataclasses.replace(result, report_path=report, learning_path=learning)


def diagnosis_text(result: DiagnoseResult, snapshot: Snapshot) -> str:
    """The report in Markdown."""
    asked = "the operator asked" if snapshot.alert is None else f"alert {result.alert_id}: {snapshot.alert.message}"
    parts = [
        f"# {_line(result.feature)}: {CAUSE_WORDS[result.cause]}",
        (
            f"- bar: {result.at:%Y-%m-%d %H:%M} UTC\n- cause by the tests: {CAUSE_WORDS[result.cause]}, chance "
            f"{result.confidence:.0%}\n- why now: {_line(asked)}\n- explained by: {_line(result.researcher)}"
        ),
    ]
    if snapshot.expression:
        parts.append(f"## Expression\n\n```\n{_fenced(snapshot.expression)}\n```")
    parts.append(f"## Root cause\n\n{_prose(result.root_cause) or 'Nothing was said.'}")
    parts.append("## Evidence\n\n" + _list(result.evidence, "No claim rests on a figure."))
    if result.unsupported:
        parts.append("## Unsupported claims\n\nNo figure carries these:\n\n" + _list(result.unsupported, ""))
    rows = [f"| {f.id} | {markdown_cell(f.label)} | {written(f)} | {markdown_cell(f.detail)} |" for f in result.figures]
    parts.append("## Figures\n\n| id | figure | value | note |\n| --- | --- | --- | --- |\n" + "\n".join(rows))
    if result.fix_expression:
        parts.append("## Proposed fix\n\n" + _fix_body(result))
    if result.kill_proposed:
        parts.append(
            f"## Proposed kill\n\n{_prose(result.kill_reason)}\n\nOnly the operator or the detector may do it."
        )
    if result.learning:
        parts.append(f"## Learning\n\n{_prose(result.learning)}")
    return "\n\n".join(parts) + "\n"


def _fix_text(result: DiagnoseResult, snapshot: Snapshot) -> str:
    head = f"# Fix proposed for {_line(result.feature)}"
    return f"{head}\n\nNow:\n\n```\n{_fenced(snapshot.expression)}\n```\n\n{_fix_body(result)}\n"


def _fix_body(result: DiagnoseResult) -> str:
    lines = [f"```\n{_fenced(result.fix_expression)}\n```", _prose(result.fix_reason)]
    if result.fix_name:
        lines.append(f"Saved as the candidate `{_line(result.fix_name)}`.")
    if result.fix_verdict:
        lines.append(_prose(result.fix_verdict))
    return "\n\n".join(line for line in lines if line)


def _kill_text(result: DiagnoseResult) -> str:
    return (
        f"# Kill proposed for {_line(result.feature)}\n\n{_prose(result.kill_reason)}\n\n"
        f"- cause by the tests: {CAUSE_WORDS[result.cause]}, chance {result.confidence:.0%}\n"
        f"- proposed by: {_line(result.researcher)}\n\n"
        "This is a proposal. Only the operator or the detector can stop a feature.\n"
    )


def _learning(result: DiagnoseResult, snapshot: Snapshot, report: str) -> LearningDocument:
    wrong = _prose(result.root_cause)
    return LearningDocument(
        title=f"{_line(result.feature)}: {CAUSE_WORDS[result.cause]}",
        loop="online",
        result=result.cause,
        created_at=result.at,
        research_goal=f"why {_line(result.feature)} lost what it was deployed for",
        pattern_identified=CAUSE_WORDS[result.cause],
        what_failed=wrong,
        recommendation=_prose(result.learning),
        regime=snapshot.regime,
        feature=result.feature,
        expressions=tuple(e for e in (snapshot.expression, result.fix_expression) if e),
        tags=("diagnosis", result.cause),
        provenance=result.researcher,
        metrics={f.id: round(f.value, 6) for f in result.figures},
        body=f"Report: {report}\n\n" + _list(result.evidence, "No claim rests on a figure."),
    )


def _list(items: tuple[str, ...], none: str) -> str:
    return "\n".join(f"- {_line(item)}" for item in items) or none


def _line(text: str) -> str:
    return one_line(text).replace("`", "'")


def _prose(text: str) -> str:
    """Text from a researcher: no fence, heading or rule of its own."""
    lines = [line.replace("```", "'''").lstrip("#> \t") for line in text.splitlines()]
    return "\n".join(lines).strip()


def _fenced(text: str) -> str:
    return text.replace("```", "'''")
