"""What the evidence proposes of candidates and features in shadow; an operator decides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from midas_engine.promoter.graduated import graduation
from midas_engine.promoter.measured import ECONOMIC
from midas_engine.promoter.rules import unmet_gates

if TYPE_CHECKING:
    from collections.abc import Iterable

    from midas_engine.journal import Journal
    from midas_engine.models import FeatureRecord


@dataclass(frozen=True, slots=True)
class Proposed:
    """One proposal.

    Attributes:
        state: Where the feature is.
        action: "promote", "reject", "to the book", or "wait".
        words: Why, or how far it is.
    """

    feature: str
    state: str
    action: str
    words: str


def proposed(records: Iterable[FeatureRecord], journal: Journal | None) -> list[Proposed]:
    """What is proposed of each feature that waits for something; what nothing is known of is left out.

    Args:
        records: Candidates and features in shadow.
        journal: Holds what the monitor saw of them.
    """
    found = []
    for record in records:
        if record.damaged or record.killed:
            continue
        state, how = record.state.value, graduation(record, journal)
        if how is not None:
            action = "promote" if how.graduated else "reject" if how.denied else "wait"
            found.append(Proposed(record.name, state, action, how.words))
        elif unmet_gates(record) and not unmet_gates(record, ECONOMIC):
            words = f"does not pay alone: midas promote {record.name} --role book looks at the sealed part, charged"
            found.append(Proposed(record.name, state, "to the book", words))
    order = {"promote": 0, "reject": 1, "to the book": 2, "wait": 3}
    return sorted(found, key=lambda p: (order[p.action], p.feature))
