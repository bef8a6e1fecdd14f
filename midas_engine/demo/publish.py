"""Between the demo's own base and the user's: guidance goes in, documents come out."""

from __future__ import annotations

import contextlib
import dataclasses
from typing import TYPE_CHECKING

from midas_engine.errors import DocumentDamagedError, KnowledgeBaseError, ReadOnlyError
from midas_engine.models import FeatureState, ModelUsage

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from midas_engine.clock import Clock
    from midas_engine.events import ModelCalled
    from midas_engine.factory import Midas
    from midas_engine.kb import KnowledgeBase
    from midas_engine.models import FeatureRecord, LearningDocument
    from midas_engine.promoter import FeaturePromoter
    from midas_engine.settings import Settings

# What a user may have edited and a session must obey.
GUIDANCE = ("skills/", "proposer/prompts/", "knowledge/thresholds.json")


def copy_guidance(source: Path, target: Path) -> None:
    """Make the demo's base with the user's own prompts, skills and thresholds.

    Raises:
        KnowledgeBaseError: The user's base is something else than a folder.
    """
    from midas_engine.kb import KnowledgeBase

    if source.is_dir():
        for path in (p for p in sorted(source.rglob("*")) if p.is_file() and not p.is_symlink()):
            relative = path.relative_to(source).as_posix()
            if relative.startswith(GUIDANCE):
                copy = target / relative
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.write_bytes(path.read_bytes())
    KnowledgeBase(target)


def open_target(settings: Settings, clock: Clock) -> KnowledgeBase:
    """The user's base, made when it is not there.

    Raises:
        ReadOnlyError: It may not be written.
    """
    from midas_engine.kb import KnowledgeBase

    kb = KnowledgeBase(settings.kb_path, read_only=settings.read_only, clock=clock)
    if kb.read_only:
        raise ReadOnlyError(f"the demo's documents cannot be kept: {kb.read_only_reason}", hint="give another --kb")
    return kb


def publish(
    midas: Midas, settings: Settings, found: Sequence[FeatureRecord], calls: Sequence[ModelCalled], clock: Clock
) -> list[str]:
    """Copy the demo's documents into the user's base; gives their paths there. Nothing there is overwritten.

    What was found becomes a candidate, to be promoted by hand; a run that finds it again leaves it as it is.

    Raises:
        ReadOnlyError: The user's base may not be written.
    """
    from midas_engine.promoter import FeaturePromoter

    kb = open_target(settings, clock)
    written: list[str] = []
    promoter = FeaturePromoter(kb, clock=clock, actor="demo")
    try:
        for record in found:
            written.extend(_save_candidate(promoter, record))
        for call in calls:
            usage = ModelUsage(call.provider, call.model, call.tokens_in, call.tokens_out, call.cost_usd, call.seconds)
            promoter.journal.record_model_call(usage, session_id=call.session_id, at=call.at)
    finally:
        promoter.close()
    known = {_identity(document) for document in kb.learnings()}
    fresh = [document for document in midas.kb.learnings() if _identity(document) not in known]
    written.extend(kb.relative(kb.save_learning(document)) for document in fresh)
    written.extend(_copy_reports(midas.kb, kb))
    return written


def _identity(document: LearningDocument) -> tuple[object, ...]:
    """What makes two learnings one: a second demo on the same seed teaches nothing new of its monitoring session."""
    return (document.loop, document.title, document.created_at, document.body)


def _save_candidate(promoter: FeaturePromoter, record: FeatureRecord) -> list[str]:
    there = promoter.kb.find_feature(record.name)
    if there is not None and there.expression == record.expression:
        return []
    name = promoter.kb.free_name(record.name)
    fresh = dataclasses.replace(
        record, name=name, state=FeatureState.CANDIDATE, reason="", history=(), created_at=None, changed_at=None
    )
    return [promoter.save_candidate(fresh).path]


def _copy_reports(source: KnowledgeBase, target: KnowledgeBase) -> list[str]:
    """Reports with their plots; what is there already stays."""
    written = []
    for path in sorted(p for p in (source.path / "reports").rglob("*") if p.is_file()):
        relative = source.relative(path)
        with contextlib.suppress(DocumentDamagedError, KnowledgeBaseError):
            target.save_bytes(relative, path.read_bytes(), replace=False)
            written.append(relative)
    return written


def write_report(path: Path, text: str) -> None:
    """Replace the report in one step."""
    from midas_engine.kb.atomic import atomic_write

    path.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(path, text.encode())
