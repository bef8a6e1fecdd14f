"""What a session keeps for shadow, and what it says of a find that may go there only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from midas_engine.loops.assessors import KnowsProof

if TYPE_CHECKING:
    from collections.abc import Iterable

    from midas_engine.dsl.expression import Expression
    from midas_engine.loops.assessors import Assessor
    from midas_engine.models import FeatureRecord


def unproven_columns(assessor: Assessor, parsed: Iterable[Expression]) -> tuple[str, ...]:
    """Columns that the texts read and nobody vouches for; none where the assessor cannot know."""
    if not isinstance(assessor, KnowsProof):
        return ()
    return assessor.unproven(dict.fromkeys(column for text in parsed for column in text.columns))


def words_for_shadow(record: FeatureRecord) -> str:
    """What is said of a candidate that is sound and short of the line, kept for shadow; empty when it is not kept.

    It is not where the data did not say when it ends, for then no later bar could be told from an earlier one.
    """
    from midas_engine.promoter.graduated import graduation

    found = graduation(record, None)
    if found is None:
        return ""
    return (
        f"{record.name} is sound and short of the lifetime's line: kept as a candidate for shadow "
        f"(midas shadow {record.name}); {found.words}\n"
    )


def words_on_columns(record: FeatureRecord) -> str:
    """What is said of a find that reads a column nobody vouches for; empty when it reads none."""
    columns = record.metrics.get("unproven")
    if not columns:
        return ""
    return f"{record.name} reads {columns}, which nobody vouches for: to shadow only until that confirms it\n"
