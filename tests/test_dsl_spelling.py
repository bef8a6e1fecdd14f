from __future__ import annotations

import numpy as np
import pytest

from helpers_dsl import COLUMNS
from midas_engine.dsl import parse, random_expression
from midas_engine.dsl.spelling import spelled
from midas_engine.settings import DslLimits

WIDE = DslLimits(depth=12, nodes=400, total_lookback_bars=10**6)


def test_what_is_written_reads_back_as_the_same_tree() -> None:
    for i in range(600):
        parsed = parse(random_expression(np.random.default_rng(i), COLUMNS, 5, limits=WIDE), limits=WIDE)
        text = spelled(parsed.ast)
        assert parse(text, limits=WIDE).ast == parsed.ast, text
        assert spelled(parse(text, limits=WIDE).ast) == text


@pytest.mark.parametrize(
    "text",
    [
        "close - low - open",
        "close - (low - open)",
        "close / (low / open)",
        "(close + low) * open",
        "close + low * open",
        "-close ** 2",
        "(-close) ** 2",
        "close ** 2 ** 3",
        "(close ** 2) ** 3",
        "close > open and low > 2 or high < 3",
        "close > open and (low > 2 or high < 3)",
        "-(close + open)",
        "(-2) ** close",
        "close - -2",
        "if_else(close > open, 1, -1)",
        "not(close > open) and high > low",
    ],
)
def test_brackets_stand_where_they_are_needed(text: str) -> None:
    assert spelled(parse(text).ast) == text
