"""No text makes a regular expression slow: each one of the sources meets the worst characters it knows."""

from __future__ import annotations

import pytest

from midas_engine.market.importers import names
from midas_engine.monitor.diagnosis import claims
from midas_engine.proposer import local_diagnosis
from tests.helpers_patterns import Use, slowest, uses

SIZE = 200_000
LIMIT_SECONDS = 0.05

# Patterns that are given a piece of the text only: the length their callers cut it to.
CUT = {
    ("midas_engine/proposer/local_researcher.py", r"(_v\d+|_w)+$"): 80,
    ("midas_engine/proposer/local_researcher.py", r"(_s\d+)*$"): 80,
    ("midas_engine/proposer/local_diagnosis.py", local_diagnosis._FIGURE.pattern): local_diagnosis._LINE,
    ("midas_engine/monitor/diagnosis/claims.py", claims._NUMBER.pattern): claims.MAX_CLAIM,
    ("midas_engine/market/importers/names.py", names._PAIR.pattern): names.MAX_NAME,
    ("midas_engine/market/importers/names.py", names._COPY.pattern): names.MAX_NAME,
}
# Patterns that are put together when they are needed, and why no stranger's text makes them slow.
RUN_TIME = {
    "midas_engine/proposer/families.py": "alternations of literal words, searched in a goal of at most 500 characters",
}
ALL = uses()
KNOWN = [use for use in ALL if use.pattern is not None]


def _name(use: Use) -> str:
    return f"{use.where}-{ascii(use.pattern.pattern)[:40]}" if use.pattern is not None else use.where


@pytest.mark.parametrize("use", KNOWN, ids=_name)
def test_a_pattern_takes_under_50_ms_on_its_worst_text(use: Use) -> None:
    assert use.pattern is not None
    size = CUT.get((use.where, use.pattern.pattern), SIZE)
    seconds, text = slowest(use, size, LIMIT_SECONDS)
    assert seconds <= LIMIT_SECONDS, f"{seconds * 1e3:.0f} ms for {use.pattern.pattern!r} by {text}"


def test_patterns_made_at_run_time_are_accounted_for() -> None:
    assert {use.where for use in ALL if use.pattern is None} == set(RUN_TIME)


def test_no_exception_is_stale() -> None:
    known = {(use.where, use.pattern.pattern) for use in KNOWN if use.pattern is not None}
    assert set(CUT) - known == set()
