"""The online loop from end to end on the synthetic market: a decay that is mended, and a flip that is killed.

    python benchmarks/statistics/e2e_online.py [--seed 7]

Two features are live on 30 symbols: a composite of funding carry and volume reversal, whose second leg dies at three
quarters of the year, and the range position, whose sign turns on the same bar. Nobody tells the monitor. The bars come
one by one; everything that follows is the engine's own doing, on a real knowledge base and journal in a temporary
folder. The operator's part is played by fixed rules: let a fix that passed its gates run in shadow, redeploy it
when its forward record beats the incumbent's. The kill is the e-detector's, under the policy "auto".
"""

from __future__ import annotations

import argparse
import asyncio
import math
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from midas_engine.bus import EventBus
from midas_engine.clock import ManualClock
from midas_engine.dsl import FeatureEngine
from midas_engine.evaluator.metrics.reference_score import measure_reference, stored_reference
from midas_engine.events import AlertRaised, DiagnosisFinished, Event, FeatureMoved, KillProposed
from midas_engine.journal import Journal
from midas_engine.kb import KnowledgeBase
from midas_engine.market.regimes import regime_labels
from midas_engine.market.synthetic import SyntheticMarket
from midas_engine.models import FeatureRecord, FeatureState
from midas_engine.monitor import DiagnoseAgent, OnlineMonitor
from midas_engine.monitor.diagnosis.fixes import FixTrial, PanelMender
from midas_engine.promoter import FeaturePromoter
from midas_engine.settings import MonitorSettings, Settings

BOOK = {
    "carry_reversal": "-0.5 * cs_zscore(funding_rate) - cs_zscore(returns(close, 1) * ts_zscore(log(volume), 48))",
    "range_position": "cs_zscore((close - low) / (high - low))",
}
BEFORE = 24 * 40
SHADOW_BARS = 240
BEATS_T = 1.2816
KEPT = Path(__file__).resolve().parents[2] / "demo_artifacts" / "ONLINE_STORY.md"
CHAPTERS = ("alert carry_reversal", "shadow", "redeployed", "rolled", "alert range_position", "killed")


class Story:
    """Runs the loop, plays the operator and says what happened when."""

    def __init__(self, seed: int, folder: Path) -> None:
        self.market = SyntheticMarket(seed, symbols=30)
        self.panel = self.market.panel()
        self.broken = int(self.panel.T * 0.75)
        self.first = self.broken - BEFORE
        self.clock = ManualClock(self.opens(self.first))
        self.bus = EventBus()
        self.kb = KnowledgeBase(folder, clock=self.clock)
        self.journal = Journal(self.kb.journal_path, clock=self.clock)
        self.promoter = FeaturePromoter(self.kb, self.journal, clock=self.clock, on_event=self.bus.publish)
        self.engine = FeatureEngine(self.panel)
        self.regimes = regime_labels(self.panel)
        self.bar = self.first
        self.told: list[str] = []
        self.lines: list[str] = []
        self.record: dict[str, list[tuple[int, float]]] = {}
        self.shadowed_at = 0
        self.done: dict[str, int] = {}
        self.seconds: list[float] = []
        settings = Settings()
        mender = PanelMender(
            lambda: self.panel, settings, self.clock, promoter=self.promoter, ledger=self.kb.journal_path
        )
        self.agent = DiagnoseAgent(
            bus=self.bus, clock=self.clock, kb=self.kb, mender=mender, columns=tuple(self.panel.fields)
        )

    def opens(self, bar: int) -> datetime:
        """Open time of a bar."""
        return datetime.fromtimestamp(int(self.panel.timestamps[bar].astype("datetime64[s]").astype(np.int64)), UTC)

    def say(self, what: str) -> None:
        """One line of the story, with the time since the break."""
        days = (self.bar - self.broken) / 24
        self.lines.append(f"{self.opens(self.bar):%Y-%m-%d %H:%M}  {days:+7.1f} d  {what}")
        print(self.lines[-1])

    def values(self, name: str) -> Any:
        """Values of a feature over the panel."""
        return self.engine.values(self.kb.feature(name).expression)

    async def deploy(self) -> None:
        """Put the two features live with what they promised on the bars before."""
        for name, text in BOOK.items():
            reference, t = measure_reference(self.panel, self.engine.values(text), slice(0, self.first))
            assert reference is not None
            self.promoter.save_candidate(FeatureRecord(name, text, FeatureState.CANDIDATE))
            self.promoter.promote(
                name,
                "measured on the bars before",
                force=True,
                expected_score=reference.score,
                breadth=1 / reference.variance,
            )
            self.say(f"deployed  {name}: promised score {reference.score:.4f} (t {t:.1f} on {self.first} bars)")

    def monitor(self) -> OnlineMonitor:
        """The monitor of what is deployed."""
        names = self.promoter.list_deployed()
        references = {n: stored_reference(self.kb.feature(n)) for n in names}
        return OnlineMonitor(
            names, references={n: r for n, r in references.items() if r is not None}, symbols=self.panel.S,
            settings=MonitorSettings(kill_policy="auto"), on_kill=self.told.append, kb=self.kb, journal=self.journal,
            promoter=self.promoter, diagnostics=self.agent, bus=self.bus, clock=self.clock,
            expressions={n: self.kb.feature(n).expression for n in names},
        )  # fmt: skip

    async def run(self) -> None:
        """Bar by bar to the end of the year, or until everything has happened."""
        await self.deploy()
        heard = self.bus.subscribe("story", AlertRaised, DiagnosisFinished, KillProposed, FeatureMoved)
        heard.take()
        returns = self.panel.values("returns")
        values = {name: self.values(name) for name in BOOK}
        async with self.monitor() as monitor:
            for bar in range(self.first, self.panel.T):
                self.bar = bar
                if self.bar == self.broken:
                    self.say("(the second leg of carry_reversal dies, range_position turns; nobody is told)")
                at = self.opens(self.bar)
                self.clock.set(at + timedelta(hours=1))
                for name in monitor.fleet.names:
                    if name not in values:
                        values[name] = self.values(name)
                began = time.perf_counter()
                await monitor.process_bar(
                    at, {n: values[n][self.bar] for n in monitor.fleet.names}, returns[self.bar],
                    fills={"slippage_bps": 1.0}, regime=str(self.regimes[self.bar]),
                )  # fmt: skip
                self.seconds.append(time.perf_counter() - began)
                if self.agent.running:
                    await self.agent.settle()  # a live bar never waits; the story should be the same every time
                self.note(monitor)
                for event in heard.take():
                    await self.follow(monitor, event)
                await self.operate(monitor)
                if {"redeployed", "killed", "rolled"} <= self.done.keys():
                    break
            await monitor.kills.settle()

    def note(self, monitor: OnlineMonitor) -> None:
        """Forward record: the newest score of every feature."""
        for row, name in enumerate(monitor.fleet.names):
            score = float(monitor.fleet.engine.scorer.u[row])
            if math.isfinite(score):
                self.record.setdefault(name, []).append((self.bar, score))

    async def follow(self, monitor: OnlineMonitor, event: Event) -> None:
        """Tell an event, and let the operator answer it."""
        if isinstance(event, AlertRaised) and event.alert.rule == "detector":
            self.done.setdefault(f"alert {event.alert.feature}", self.bar)
            self.say(f"alert     {event.alert.feature}: {event.alert.message}")
        elif isinstance(event, KillProposed):
            self.say(f"kill      proposed by the {event.source} for {event.feature}: {event.reason}")
        elif isinstance(event, FeatureMoved) and event.action == "kill":
            self.done["killed"] = self.bar
            self.say(f"killed    {event.feature}: archived with its record")
        elif isinstance(event, DiagnosisFinished) and event.result is not None:
            found = event.result
            self.say(f"diagnosis {found.feature}: {found.cause}, chance {found.confidence:.0%}; {found.root_cause}")
            if found.fix_verdict:
                self.say(f"fix       {found.fix_name or 'none'} {found.fix_expression}\n{'':29}{found.fix_verdict}")
            self.say(f"papers    {found.report_path}, {found.learning_path}")
            if found.fix_name:
                self.promoter.shadow(found.fix_name, "it beats the incumbent after the break")
                self.shadowed_at = self.bar
                self.done["shadow"] = self.bar
                await self.rebook(monitor)
                self.say(f"shadow    {found.fix_name} runs beside {found.feature}")

    async def rebook(self, monitor: OnlineMonitor) -> None:
        """Watch what is live and in shadow now."""
        shadow = self.promoter.list_shadow()
        names = [*self.promoter.list_deployed(), *shadow]
        monitor.expressions.update({n: self.kb.feature(n).expression for n in names})
        references = {n: stored_reference(self.kb.feature(n)) for n in names}
        await monitor.watch(names, {n: r for n, r in references.items() if r is not None}, shadow=shadow)

    async def operate(self, monitor: OnlineMonitor) -> None:
        """Redeploy a fix whose forward record beats the incumbent's; roll back and forth once, to show it."""
        shadow = [n for n in self.promoter.list_shadow() if "@" in n]
        if shadow and self.bar - self.shadowed_at >= SHADOW_BARS and self.bar % 24 == 0:
            await self.decide(monitor, shadow[0])
        elif "redeployed" in self.done and "rolled" not in self.done and self.bar >= self.done["redeployed"] + 24:
            live = next(n for n in self.promoter.list_deployed() if "@" in n)
            back = self.promoter.rollback(live, "to show it")
            self.say(f"rollback  {back.name} is live again")
            self.promoter.undo()
            await self.rebook(monitor)
            self.done["rolled"] = self.bar
            self.say(f"undo      {', '.join(self.promoter.list_deployed())} live")

    async def decide(self, monitor: OnlineMonitor, fix: str) -> None:
        """Swap when the forward record is better and every gate holds on all bars since the break."""
        incumbent = fix.partition("@")[0]
        gain, t = self.gain(fix, incumbent)
        record, old = self.kb.feature(fix), self.kb.feature(incumbent)
        since = datetime.fromisoformat(str(record.metrics["evaluated_from"]))
        trial = FixTrial(self.panel.slice(None, self.bar + 1), Settings(), since, {})
        _, (now,) = trial.run(old.expression, [record.expression], fix)
        gates = "every gate holds" if now.verdict.overall_pass else f"refused by {', '.join(now.verdict.failed_agents)}"
        self.say(f"forward   {fix} against {incumbent}: {gain:+.4f} a bar (paired t {t:+.2f}); since the break {gates}")
        if t >= BEATS_T and now.verdict.overall_pass:
            self.promoter.redeploy(fix, f"forward record: paired t {t:+.2f}", force=True)
            await self.rebook(monitor)
            self.done["redeployed"] = self.bar
            self.say(f"redeploy  {fix} is live in one swap; archived: {', '.join(self.promoter.list_archived())}")

    def gain(self, fix: str, incumbent: str) -> tuple[float, float]:
        """Mean difference of their scores since the shadow began, and its t."""
        ours, theirs = (dict(self.record.get(n, [])) for n in (fix, incumbent))
        both = [ours[b] - theirs[b] for b in ours if b > self.shadowed_at and b in theirs]
        if len(both) < SHADOW_BARS // 2:
            return math.nan, math.nan
        return float(np.mean(both)), float(np.mean(both) / (np.std(both, ddof=1) / math.sqrt(len(both))))


async def main() -> int:
    """Run the story; 1 when a chapter is missing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--write", action="store_true", help="keep the story in demo_artifacts/ONLINE_STORY.md")
    given = parser.parse_args()
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        story = Story(given.seed, Path(folder) / "kb")
        await story.run()
        papers = sorted(p.name for p in story.kb.path.rglob("reports/**/*.md"))
        story.journal.close()
    missing = [c for c in CHAPTERS if c not in story.done]
    reached = [f"{c} {(story.done[c] - story.broken) / 24:.1f}" for c in CHAPTERS if c in story.done]
    end = [
        "", f"on_kill was told: {', '.join(story.told) or 'nobody'}",
        f"days from the break: {', '.join(reached)}" + (f"; missing: {', '.join(missing)}" if missing else ""),
        f"papers: {', '.join(papers)}",
        f"{len(story.seconds)} bars, {1e3 * float(np.median(story.seconds)):.2f} ms a bar",
    ]  # fmt: skip
    print("\n".join(end), f"\n{time.perf_counter() - began:.0f} s")
    if given.write:
        command = f"python benchmarks/statistics/e2e_online.py --seed {given.seed}"
        head = f"# The online loop, end to end\n\n`{command}`\n\n```\n"
        KEPT.write_text(head + "\n".join([*story.lines, *end[:-1]]) + "\n```\n", encoding="utf-8")
    return 1 if missing else 0


if __name__ == "__main__":
    raise SystemExit(asyncio.run(main()))
