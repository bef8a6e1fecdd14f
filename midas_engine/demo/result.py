"""What a demo did."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from midas_engine.demo.monitoring import Story
    from midas_engine.events import CandidateScored
    from midas_engine.models import FeatureRecord, LearningDocument


@dataclass(slots=True)
class DemoResult:
    """What a demo did.

    Attributes:
        report_path: The Markdown report.
        kb_path: The base that its documents went to.
        learning: Of the discovery session.
        found: The candidates that the session saved, as they were deployed for the live part.
        scored: Every verdict of the session.
        story: The monitoring session.
        documents: What was written into the base, relative to it.
    """

    report_path: Path
    kb_path: Path
    learning: LearningDocument
    found: list[FeatureRecord]
    scored: list[CandidateScored]
    story: Story
    documents: list[str] = field(default_factory=list)
