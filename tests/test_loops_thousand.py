"""A long session: the event loop is never held, and its last evaluation costs what its first did."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.helpers_evaluations import many_evaluations
from tests.helpers_loops import FakeAssessor

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("local", [False, True], ids=["model", "local"])
async def test_many_evaluations_hold_no_loop_and_stay_as_cheap(tmp_path: Path, local: bool) -> None:
    many = await many_evaluations(tmp_path, FakeAssessor(), 150, local=local)
    assert many.scored >= 145  # a random expression may mean what an earlier one did
    # Processor time of the loop's thread: what a busy machine takes away is not the session's.
    assert max(many.held.computed) < 0.05
    first, last = many.ends(many.computed)
    assert last < 2.5 * first
