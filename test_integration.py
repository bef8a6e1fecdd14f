"""The seven scenarios of the original against a scripted model, without a key: `python test_integration.py`."""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from midas import AlphaEvaluator, DSLValidator, MultiAgentEvaluator, create_midas
from midas.loops import OfflineLoopConfig
from midas.models import FeatureRecord, FeatureState, LearningDocument

if TYPE_CHECKING:
    from collections.abc import Iterator

BARS, SYMBOLS = 1_500, 12
PLANTED = "neg(cs_rank(ts_mean(funding_rate, 24)))"


def block(**fields: Any) -> str:
    """A reply as the prompts ask for it."""
    return f"```json\n{json.dumps(fields)}\n```"


class MockLLM:
    """Looks like Anthropic's client and replies from a script."""

    def __init__(self, *replies: str) -> None:
        self.messages, self._replies, self.asked = self, iter(replies), 0

    def create(self, **asked: Any) -> Any:
        self.asked += 1
        text = next(self._replies)
        part = type("Part", (), {"type": "text", "text": text})
        return type("Message", (), {"content": [part]})


def world() -> tuple[Any, pd.DataFrame, pd.Series]:
    """A compute function, forward returns and regimes: one signal on funding is true."""
    rng = np.random.default_rng(5)
    times = pd.date_range("2025-01-01", periods=BARS, freq="h", tz="UTC")
    names = [f"S{i}" for i in range(SYMBOLS)]
    funding = pd.DataFrame(rng.normal(size=(BARS, SYMBOLS)), times, names).ewm(span=48).mean()
    ranks = -funding.rolling(24, min_periods=12).mean().rank(axis=1, pct=True)
    noise = pd.DataFrame(rng.normal(size=(BARS, SYMBOLS)), times, names)
    returns = 0.01 * (0.25 * (ranks - ranks.mean().mean()) / 0.29 + noise)
    frames = {"good": ranks, "noise": pd.DataFrame(rng.normal(size=(BARS, SYMBOLS)), times, names)}

    def compute(expression: str) -> pd.Series:
        if expression in ("close", "funding_rate"):
            return funding.stack()
        return frames["good" if "funding_rate" in expression else "noise"].stack()

    regimes = pd.Series(np.where(np.arange(BARS) // 100 % 2, "HIGH_VOL", "LOW_VOL"), times)
    return compute, pd.DataFrame({"ret_1h": returns.stack()}), regimes


def test_the_knowledge_base_is_seeded_and_keeps_learnings(tmp_path: Path) -> None:
    with create_midas(tmp_path / "kb") as midas:
        assert "midas-dsl" in midas.kb.skills()
        learning = LearningDocument("Carry", "offline", "success", datetime.now(UTC), pattern_identified="it is paid")
        midas.kb.save_learning(learning)
        assert "## Pattern identified" in midas.kb.learnings(1)[0].to_markdown()


def test_an_expression_is_validated_without_a_model(tmp_path: Path) -> None:
    validator = DSLValidator(["close", "volume"])
    assert validator.validate("cs_rank(ts_mean(close, 24))").valid
    assert not validator.validate("eval(close)").valid
    assert not validator.validate("delay(close, -1)").valid


def test_metrics_are_numbers_with_errors(tmp_path: Path) -> None:
    compute, returns, regimes = world()
    result = AlphaEvaluator().evaluate(compute(PLANTED), returns, regimes)
    assert result.rank_ic >= 0.02
    assert float(result.rank_ic) == result.rank_ic.value
    assert f"{result.rank_ic:.4f}".startswith("0.")


def test_six_agents_judge(tmp_path: Path) -> None:
    compute, returns, regimes = world()
    agents = MultiAgentEvaluator(AlphaEvaluator())
    good, noise = (agents.evaluate(compute(text), returns, regimes) for text in (PLANTED, "close + 1"))
    assert len(good.verdicts) == 6
    assert good.composite_score > noise.composite_score
    assert not noise.overall_pass


def test_the_offline_loop_plans_writes_refines_and_learns(tmp_path: Path) -> None:
    mock = MockLLM(
        block(hypothesis="crowded longs pay", approach="smooth funding", avoid=[]),
        block(candidates=[{"name": "noise", "expression": "cs_rank(ts_std(close, 24))", "rationale": "a guess"},
                          {"name": "carry", "expression": PLANTED, "rationale": "carry"}]),
        block(name=None, expression=None),
        block(title="Carry is paid", pattern_identified="funding predicts"),
    )  # fmt: skip
    config = OfflineLoopConfig(max_iterations=1, candidates_per_iter=2)
    with create_midas(tmp_path / "kb", llm_client=mock, offline_config=config) as midas:
        learning = midas.offline.run("Funding carry", data_fn=world)
        assert learning.title == "Carry is paid"
        assert len(learning.expressions) == 2
        assert midas.kb.learnings(1)[0].title == "Carry is paid"
    assert mock.asked in (3, 4)


def test_the_promoter_moves_features(tmp_path: Path) -> None:
    with create_midas(tmp_path / "kb") as midas:
        midas.promoter.save_candidate(FeatureRecord("carry", PLANTED, FeatureState.CANDIDATE))
        midas.promoter.promote("carry", force=True, reason="a test")
        assert midas.promoter.list_deployed() == ["carry"]
        midas.promoter.demote("carry", reason="IC < 0 in LOW_VOL regime")
        assert midas.kb.feature("carry").state is FeatureState.ARCHIVED


def test_the_online_loop_watches_alerts_and_reports(tmp_path: Path) -> None:
    alerts: list[Any] = []
    start = datetime(2025, 1, 14, tzinfo=UTC)

    async def bars() -> None:
        rng = np.random.default_rng(3)
        for hour in range(40):
            value = rng.normal()
            await monitor.process_update(
                timestamp=start + timedelta(hours=hour), feature_values={"carry": value},
                forward_return=-0.01 * value, fills={"slippage_bps": 30.0}, regime="HIGH_VOL", market_context={},
            )  # fmt: skip

    with create_midas(tmp_path / "kb") as midas:
        monitor = midas.build_online(["carry"], on_kill=lambda name: None, on_alert=alerts.append, diagnose=False)
        asyncio.run(bars())
        assert any(alert.feature == "carry" for alert in alerts)
        assert monitor.generate_daily_report("2025-01-14") is not None


def main() -> int:
    """Run the seven, one after another; returns the number that failed."""
    failed = 0
    for name, scenario in _scenarios():
        with tempfile.TemporaryDirectory() as folder:
            try:
                scenario(Path(folder))
                sys.stdout.write(f"ok      {name}\n")
            except Exception as error:
                failed += 1
                sys.stdout.write(f"FAILED  {name}: {type(error).__name__}: {error}\n")
    sys.stdout.write(f"{failed} of {len(list(_scenarios()))} failed\n")
    return failed


def _scenarios() -> Iterator[tuple[str, Any]]:
    for name, scenario in [*globals().items()]:
        if name.startswith("test_"):
            yield name.removeprefix("test_").replace("_", " "), scenario


if __name__ == "__main__":
    sys.exit(main())
