"""Events of the knowledge base and the pipeline."""

from __future__ import annotations

from dataclasses import dataclass

from midas_engine.events.base import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class LearningWritten(Event):
    """A learning document reached the disk."""

    path: str
    title: str
    loop: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentChanged(Event):
    """Files of the knowledge base changed on disk (relative paths)."""

    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureMoved(Event):
    """A feature changed state, by an action that is already on disk."""

    feature: str
    action: str
    before: str
    after: str
    reason: str = ""
    actor: str = ""
