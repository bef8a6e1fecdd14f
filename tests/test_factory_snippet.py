"""The documented Python usage, word for word, and what stands around it."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import re
import signal
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from midas import create_midas
from midas.loops import OfflineLoopConfig
from midas_engine import events as ev
from midas_engine.dsl import FeatureEngine
from midas_engine.errors import KnowledgeBaseError, ModelKeyError, MonitorError, ReadOnlyError, SettingsError
from midas_engine.market import SyntheticMarket
from midas_engine.market.forward import forward_returns
from midas_engine.market.regimes import regime_labels
from midas_engine.models import FeatureState
from midas_engine.settings import Settings
from tests.helpers_cli import ROOT
from tests.helpers_kb import record

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from llmock.pytest_plugin import LLMock

    from midas_engine.market import Panel


@dataclass
class Bar:
    """One bar of the user's own feed."""

    ts: pd.Timestamp
    signals: dict[str, Any]
    ret_1h: Any
    regime: str
    btc_vol: float


class Engine:
    """What a user has: features, returns, regimes, a feed, and a switch to turn a feature off."""

    def __init__(self, panel: Panel) -> None:
        self._panel = panel
        self._engine = FeatureEngine(panel)
        self.disabled: list[str] = []
        self.names: list[str] = []
        self.expressions: dict[str, str] = {}

    def compute_feature(self, expression: str) -> pd.Series:
        return self._engine.compute(expression)

    def get_fwd_returns(self) -> pd.DataFrame:
        returns = forward_returns(self._panel, (1, 4, 8, 24, 48))
        return pd.DataFrame({f"ret_{h}h": self._panel.to_series(v) for h, v in returns.items()})

    def get_regimes(self) -> pd.Series:
        return pd.Series(regime_labels(self._panel), index=pd.DatetimeIndex(self._panel.timestamps, tz="UTC"))

    def disable_feature(self, name: str) -> None:
        self.disabled.append(name)

    async def live_feed(self) -> AsyncIterator[Bar]:
        returns = forward_returns(self._panel, (1,))[1]
        values = {name: self._engine.values(text) for name, text in self.expressions.items()}
        for t in range(self._panel.T - 48, self._panel.T):
            stamp = pd.Timestamp(self._panel.timestamps[t], tz="UTC")
            yield Bar(stamp, {n: v[t] for n, v in values.items()}, returns[t], "HIGH_VOL", 0.4)


@pytest.fixture(scope="module")
def panel() -> Panel:
    return SyntheticMarket(11, bars=5000, symbols=16, ics=(0.08, 0.06, 0.05)).panel()


def test_the_documented_snippet(tmp_path: Path, panel: Panel) -> None:
    engine = Engine(panel)

    # Bootstrap - creates the KB directory tree and seeds default skills/prompts
    midas = create_midas(
        kb_path=tmp_path / "midas-kb",
        provider="mock",
        offline_config=OfflineLoopConfig(max_iterations=3, candidates_per_iter=3, max_tokens=2000),
    )
    assert (tmp_path / "midas-kb/skills/midas-dsl.md").is_file()
    assert (tmp_path / "midas-kb/proposer/prompts/plan.md").is_file()

    # Offline loop
    def my_data_fn() -> Any:
        return engine.compute_feature, engine.get_fwd_returns(), engine.get_regimes()

    learning = midas.offline.run(
        research_goal="Funding carry",
        existing_factors=midas.promoter.list_deployed(),
        data_fn=my_data_fn,
        regime="HIGH_VOL",
    )
    assert learning.result == "success"
    assert learning.pattern_identified
    assert learning.regime == "HIGH_VOL"

    # Promote a winning candidate to production
    winner = learning.accepted[0]
    assert winner in midas.promoter.list_candidates()
    midas.promoter.promote(winner)
    assert midas.promoter.list_deployed() == [winner]
    engine.expressions = {winner: midas.promoter.feature_status(winner).expression}

    async def online() -> Any:
        # Online loop
        monitor = midas.build_online(
            feature_names=midas.promoter.list_deployed(),
            on_kill=lambda name: engine.disable_feature(name),
            alert_thresholds={"slippage_warning": 1.2},
        )
        assert monitor.alert_engine.thresholds.slippage_warning == 1.2
        assert monitor.alert_engine.thresholds.slippage_critical == 2.0  # a partial override
        async for bar in engine.live_feed():
            await monitor.process_update(
                timestamp=bar.ts,
                feature_values=bar.signals,
                forward_return=bar.ret_1h,
                fills={"slippage_bps": 1.1},
                regime=bar.regime,
                market_context={"btc_vol": bar.btc_vol},
            )
        metrics = monitor.metrics(winner)
        assert metrics.bars == 47
        assert metrics.expected_score == midas.promoter.feature_status(winner).expected_score
        await monitor.kill(winner, reason="the test says so")
        await monitor.kills.settle()

        # End of day
        day = panel.timestamps[-2].astype("datetime64[D]").item()
        report = monitor.generate_daily_report(str(day))
        assert winner in report.markdown
        await monitor.close()
        return report

    report = asyncio.run(online())
    assert (tmp_path / "midas-kb" / report.path).is_file()
    assert engine.disabled == [winner]
    assert midas.promoter.list_archived() == [winner]
    assert midas.promoter.feature_status(winner).killed
    midas.close()


def test_the_guide_shows_the_same_usage() -> None:
    guide = (ROOT / "docs" / "guide" / "python.md").read_text(encoding="utf-8")
    code = "\n".join(re.findall(r"```python\n(.*?)```", guide, flags=re.DOTALL))
    for call in (
        "create_midas(",
        "midas.offline.run(",
        "research_goal=",
        "existing_factors=midas.promoter.list_deployed()",
        "data_fn=",
        "midas.promoter.promote(",
        "midas.build_online(",
        "on_kill=",
        "monitor.process_update(",
        "monitor.generate_daily_report(",
        "OfflineLoopConfig(",
    ):
        assert call in code, call
    compile(code, "python.md", "exec", flags=0x2000)  # top-level await is allowed, as in a notebook


async def test_everything_can_be_awaited(tmp_path: Path, panel: Panel) -> None:
    engine = Engine(panel)
    config = OfflineLoopConfig(max_iterations=1, candidates_per_iter=1, refinements=0)
    async with create_midas(tmp_path / "kb", offline_config=config) as midas:
        learning = await midas.offline.run_async(
            "carry", data_fn=lambda: (engine.compute_feature, engine.get_fwd_returns(), engine.get_regimes())
        )
        assert learning.result in ("success", "failed")
        events = [event async for event in midas.discover("carry", panel)]
        assert isinstance(events[-1], ev.SessionEnded)
        assert len(midas.kb.learnings()) == 2
        assert [row.body["goal"] for row in midas.promoter.journal.sessions()] == ["carry", "carry"]


def test_assumptions_reach_the_evaluator(tmp_path: Path, panel: Panel) -> None:
    engine = Engine(panel)
    deployed = pd.DataFrame({"old": engine.compute_feature("cs_rank(-funding_rate)")})
    with create_midas(tmp_path / "kb", existing_features=deployed, spread_cost_bps=3.0) as midas:
        feature = engine.compute_feature("cs_zscore(-funding_rate)")
        found = midas.evaluator.evaluate(feature, engine.get_fwd_returns(), engine.get_regimes(), trials=1)
        assert found.evaluation.cost_bps == 3.0
        assert found.evaluation.most_correlated == "old"
        assert "diversification" in found.failed_agents
        config = OfflineLoopConfig(max_iterations=1, candidates_per_iter=3, refinements=0)
        midas.offline.config = config
        learning = midas.offline.run("funding carry", {}, lambda: (engine.compute_feature, engine.get_fwd_returns()))
        assert "diversification" in learning.what_failed + learning.body


SCRIPT = """
import sys
from midas import create_midas
from midas.loops import OfflineLoopConfig
if __name__ == "__main__":
    config = OfflineLoopConfig(max_iterations=500, verbose=True)
    create_midas(sys.argv[1], data="synthetic:3", offline_config=config).offline.run("funding carry")
"""


def test_ctrl_c_in_a_plain_script_leaves_its_learning(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    process = subprocess.Popen(
        [sys.executable, "-u", str(script), str(tmp_path / "kb")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        # A suite behind `&` ignores it, and so would the script: Python hears Ctrl-C only where it is not ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith(("refused", "accepted")):
            process.send_signal(signal.SIGINT)
            break
    _, error = process.communicate(timeout=110)
    assert error.rstrip().endswith("KeyboardInterrupt")
    learnings = list((tmp_path / "kb/knowledge/learnings/offline").glob("*.md"))
    assert len(learnings) == 1
    assert "cancelled by the operator" in learnings[0].read_text()


def test_names_without_a_record_are_watched_uncalibrated(tmp_path: Path) -> None:
    async def watch() -> Any:
        with create_midas(tmp_path / "kb") as midas:
            monitor = midas.build_online(feature_names=["signal_a", "signal_b"])
            rng = np.random.default_rng(0)
            for hour in range(30):
                await monitor.process_update(
                    timestamp=f"2025-01-{1 + hour // 24:02d}T{hour % 24:02d}:00",
                    feature_values={"signal_a": rng.normal(), "signal_b": rng.normal()},
                    forward_return=0.003 * rng.normal(),
                    fills={"slippage_bps": 3.2},
                    regime="HIGH_VOL",
                    market_context={},
                )
            await monitor.close()
            return monitor

    monitor = asyncio.run(watch())
    assert monitor.metrics("signal_a").expected_score is None
    assert monitor.metrics("signal_a").bars == 29


def test_state_is_kept_over_a_restart_unless_told_otherwise(tmp_path: Path) -> None:
    async def run(hours: range, **more: Any) -> int:
        with create_midas(tmp_path / "kb") as midas:
            async with midas.build_online(["a"], **more) as monitor:
                for hour in hours:
                    await monitor.process_update(f"2025-01-01T{hour:02d}:00", {"a": hour % 7}, 0.001 * (hour % 3))
                return int(monitor.metrics("a").bars)

    assert asyncio.run(run(range(10))) == 9
    assert asyncio.run(run(range(10, 15))) == 14
    assert asyncio.run(run(range(10), keep_state=False)) == 9


async def test_what_a_diagnosis_costs_is_charged_to_the_day(
    tmp_path: Path, llmock: LLMock, monkeypatch: pytest.MonkeyPatch
) -> None:
    from midas_engine.clock import WallClock
    from midas_engine.proposer import DiagnosisBrief
    from tests.helpers_llm import block

    llmock.reply(block(root_cause="it died [F1]", kill=True))
    async with create_midas(tmp_path / "kb", provider="openai") as midas:
        monitor = midas.build_online(["a"])
        assert monitor.diagnostics is not None
        researcher = monitor.diagnostics._researcher
        assert researcher is not None
        draft = await researcher.diagnose(DiagnosisBrief("a", "", "alert", "noise", 0.5, ("[F1] x 1",)), lambda _: None)
        assert draft.kill is True  # a proposal, read as what it is
        await monitor.close()
        since = WallClock().now().replace(hour=0, minute=0, second=0, microsecond=0)
        for _ in range(200):  # it is written beside the loop
            calls, spent = midas.promoter.journal.model_spend(since=since)
            if calls:
                break
            await asyncio.sleep(0.02)
        assert calls == 1
        assert spent > 0


def test_deployed_features_are_what_is_watched_by_default(tmp_path: Path) -> None:
    with create_midas(tmp_path / "kb") as midas:
        with pytest.raises(MonitorError, match="no feature to watch"):
            midas.build_online()
        midas.kb.write_feature(dataclasses.replace(record("carry"), state=FeatureState.DEPLOYED))
        monitor = midas.build_online()
        assert monitor.fleet.names == ["carry"]
        assert monitor.expressions["carry"] == record("carry").expression
        assert midas.build_online("carry").fleet.names == ["carry"]


# -- where settings come from, and what is refused -------------------------------------------------


def test_arguments_win_over_environment_and_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "midas.toml").write_text('kb = "from-file"\nseed = 3\n[costs]\nfee_bps = 1.5\n')
    monkeypatch.setenv("MIDAS_SEED", "4")
    with create_midas() as midas:
        assert midas.kb.path == tmp_path / "from-file"
        assert (midas.settings.seed, midas.settings.costs.fee_bps) == (4, 1.5)
    with create_midas(kb_path="mine", seed=5, model="m") as midas:
        assert midas.kb.path == tmp_path / "mine"
        assert (midas.settings.seed, midas.settings.model.model) == (5, "m")
    with create_midas(settings=Settings(kb="given", seed=9), provider="mock") as midas:
        assert midas.kb.path == tmp_path / "given"
        assert (midas.settings.seed, midas.settings.model.provider) == (9, "mock")


def test_the_configs_model_is_the_sessions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test-000000")
    config = OfflineLoopConfig(max_iterations=10, candidates_per_iter=3, model="gpt-4.1-mini", max_tokens=2000)
    with create_midas(tmp_path / "kb", provider="openai", offline_config=config) as midas:
        assert midas.make_researcher().name == "openai:gpt-4.1-mini"
        assert "sk-test" not in f"{midas!r} {vars(midas.offline)!r}"


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
def test_a_missing_key_is_said_before_anything_is_made(tmp_path: Path, provider: str) -> None:
    with pytest.raises(ModelKeyError, match=f"no API key for {provider}"):
        create_midas(tmp_path / "kb", provider=provider)
    assert not (tmp_path / "kb").exists()
    with create_midas(tmp_path / "kb", provider=provider, api_key="given") as midas:
        assert midas.make_researcher().name.startswith(f"{provider}:")


def test_what_cannot_be_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"model\.provider"):
        create_midas(tmp_path / "kb", provider="gpt")
    (tmp_path / "file").write_text("x")
    with pytest.raises(KnowledgeBaseError):
        create_midas(tmp_path / "file")
    with create_midas(tmp_path / "kb") as midas, pytest.raises(SettingsError, match="slipage_warning"):
        midas.build_online(["a"], alert_thresholds={"slipage_warning": 1.2})


def test_a_read_only_base_watches_and_does_not_write(tmp_path: Path) -> None:
    create_midas(tmp_path / "kb").close()

    def documents() -> list[str]:
        # SQLite may lay its own shared memory beside a journal that is only read.
        return sorted(p.name for p in (tmp_path / "kb").rglob("*") if not p.name.startswith("journal.sqlite-"))

    before = documents()

    async def watch() -> None:
        with create_midas(settings=Settings(kb=str(tmp_path / "kb"), read_only=True)) as midas:
            async with midas.build_online(["a"]) as monitor:
                for hour in range(5):
                    await monitor.process_update(f"2025-01-01T{hour:02d}:00", {"a": hour % 3}, 0.001)
                monitor.generate_daily_report("2025-01-01")
            with pytest.raises(ReadOnlyError, match="read-only"):
                _ = [event async for event in midas.discover("carry")]

    asyncio.run(watch())
    assert documents() == before
