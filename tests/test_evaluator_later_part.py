"""A strong feature that weakened a little is no overfit; one that lost most of itself is."""

from __future__ import annotations

import numpy as np
import pytest

from midas_engine.evaluator import evaluate_values, judge
from tests.helpers_evaluator import context, market

BARS = 6000


@pytest.mark.parametrize(("later", "held"), [(0.24, True), (0.10, False)])
def test_what_is_beyond_doubt_later_is_not_refused_for_having_been_stronger(later: float, held: bool) -> None:
    feature, strong, _ = market(5, BARS, 12, 0.30, rho=0.5)
    _, weak, _ = market(5, BARS, 12, later, rho=0.5)
    returns = np.where(np.arange(BARS)[:, None] < 0.6 * BARS, strong, weak)
    found = judge(evaluate_values(feature, context(returns)), trials=60)
    assert found.evaluation.overfit_z > 2.0
    gates = {g.name: g for v in found.verdicts if v.agent == "overfit_detection" for g in v.gates}
    assert gates["overfit_z"].passed is held


def test_a_weak_one_is_held_to_the_difference() -> None:
    feature, early, _ = market(6, BARS, 1, 0.10, rho=0.5)
    _, late, _ = market(6, BARS, 1, 0.02, rho=0.5)
    returns = np.where(np.arange(BARS)[:, None] < 0.6 * BARS, early, late)
    found = judge(evaluate_values(feature, context(returns)), trials=60)
    gates = {g.name: g for v in found.verdicts if v.agent == "overfit_detection" for g in v.gates}
    assert found.evaluation.overfit_z > 2.0
    assert not gates["overfit_z"].passed
