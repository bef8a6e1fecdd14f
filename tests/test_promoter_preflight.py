"""Before a feature goes live: every door measures and refuses alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from helpers_cli import call_midas
from helpers_kb import record
from helpers_tui import write_market
from midas_engine.kb import KnowledgeBase
from midas_engine.promoter import FeaturePromoter
from midas_engine.runtime import Runtime
from midas_engine.settings import load_settings

if TYPE_CHECKING:
    from pathlib import Path

    from midas_engine.models import FeatureRecord

CARRY = "-cs_rank(ts_mean(funding_rate, 72))"


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_market(tmp_path_factory.mktemp("market"), days=120)


@pytest.fixture
def kb(tmp_path: Path) -> Path:
    return tmp_path / "kb"


def save(kb: Path, *records: FeatureRecord) -> None:
    promoter = FeaturePromoter(KnowledgeBase(kb))
    for one in records:
        promoter.save_candidate(one)
    promoter.close()


def terminal(kb: Path, data: Path | str) -> Runtime:
    return Runtime(load_settings(file=None, environ={}, flags={"kb": str(kb), "data": str(data)}))


@pytest.mark.parametrize("action", ["promote", "shadow", "redeploy"])
async def test_both_doors_measure_what_a_feature_promises(kb: Path, market: Path, capsys: Any, action: str) -> None:
    for name in ("by_verb", "by_terminal"):
        save(kb, record(name, expression=CARRY, expected_score=None, breadth=None))
    args = (action, "by_verb", "--kb", str(kb), "--data", str(market), "--reason", "the same")
    ran = call_midas(capsys, *args, *(() if action == "shadow" else ("--force",)))
    assert ran.code == 0, ran.err
    async with terminal(kb, market) as midas:
        await midas.act(action, "by_terminal", "the same")
    verb, term = (KnowledgeBase(kb).feature(name) for name in ("by_verb", "by_terminal"))
    assert verb.expected_score is not None
    assert (verb.expected_score, verb.breadth, verb.state) == (term.expected_score, term.breadth, term.state)
