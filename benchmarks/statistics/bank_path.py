"""The product's own path for a bank's survivors: sealed looks, promotion, the book, and shadow through later bars."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from midas_engine.banks.keeping import keep_accepted
from midas_engine.cli.open_base import open_workspace
from midas_engine.commands import Commands
from midas_engine.dsl import FeatureEngine
from midas_engine.errors import MidasError
from midas_engine.evaluator import TrialLedger
from midas_engine.market.forward import forward_returns
from midas_engine.market.instants import as_utc
from midas_engine.market.regimes import regime_labels
from midas_engine.models import FeatureState
from midas_engine.promoter.measured import ECONOMIC

if TYPE_CHECKING:
    from bank_markets import Market

    from midas_engine.banks.result import BankResult
    from midas_engine.settings import Settings
    from midas_engine.workspace import Workspace


@dataclass(slots=True)
class Fate:
    """What became of a bank's survivors.

    Attributes:
        promoted: The door by name: "promote", "book" or "graduated".
        looks: Sealed looks that were charged.
        held: Those that reached their line with nothing against them.
        against: What stood against the others, and how often.
        refused: The operator's actions that were refused, and why.
    """

    promoted: dict[str, str] = field(default_factory=dict)
    looks: int = 0
    held: int = 0
    against: dict[str, int] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)


def promote(result: BankResult, market: Market, settings: Settings) -> Fate:
    """Everything the product lets an operator do with a bank's survivors on a fresh base, in its order."""
    fate, seen = Fate(), market.seen
    with open_workspace(settings, create=True) as workspace:
        kb = workspace.kb
        commands = Commands(kb, lambda: workspace.promoter, settings, via="Python", data=lambda: (seen, ""))
        keep_accepted(result, seen, workspace)
        _try_all("promote", commands, workspace, fate)
        _through_shadow(commands, workspace, market, fate)
        if fate.promoted:
            keep_accepted(result, seen, workspace)  # beside a book, what costs alone stood against is kept
            _try_all("book", commands, workspace, fate)
        with TrialLedger(kb.journal_path, read_only=True) as ledger:
            for look in ledger.looks():
                fate.looks, fate.held = fate.looks + 1, fate.held + bool(look["passed"])
                why = ", ".join(look["vetoes"]) or ("" if look["passed"] else "its p")
                if why:
                    fate.against[why] = fate.against.get(why, 0) + 1
                print(f"  look {look['name']}: p {look['p']:.2g}, needed {look['line']:.2g}; against it {why or '-'}")
    for name, why in fate.refused.items():
        if name not in fate.promoted:
            print(f"  not promoted, {name}: {why[:230]}")
    print(f"  promoted: {fate.promoted or 'none'}", flush=True)
    return fate


def _try_all(action: str, commands: Commands, workspace: Workspace, fate: Fate, door: str = "") -> None:
    states = (FeatureState.CANDIDATE, FeatureState.SHADOW)
    for record in [r for state in states for r in workspace.kb.features(state)]:
        failed = set(str(record.metrics.get("failed_agents", "")).split(", ")) - {""}
        if action == "book" and not failed <= set(ECONOMIC):
            continue
        try:
            commands.act(action, record.name)
        except MidasError as error:
            fate.refused[record.name] = error.message
        else:
            fate.promoted[record.name] = door or action


def _through_shadow(commands: Commands, workspace: Workspace, market: Market, fate: Fate) -> None:
    """What waits runs in shadow over the later bars of the symbols that were searched, and is asked again."""
    for record in workspace.kb.features(FeatureState.CANDIDATE):
        try:
            commands.act("shadow", record.name)
        except MidasError as error:
            fate.refused[record.name] = error.message
    waiting = workspace.kb.features(FeatureState.SHADOW)
    if not waiting:
        return
    print(
        f"  in shadow over {market.panel.T - market.cut} later bars: {', '.join(r.name for r in waiting)}", flush=True
    )
    asyncio.run(_lived(workspace, market, {r.name: r.expression for r in waiting}))
    _try_all("promote", commands, workspace, fate, "graduated")


async def _lived(workspace: Workspace, market: Market, texts: dict[str, str]) -> None:
    """Every later bar through the monitor, as it would have come."""
    panel = market.panel.select(market.symbols(others=False))
    engine = FeatureEngine(panel, limits=workspace.settings.dsl)
    values = {name: engine.values(text) for name, text in texts.items()}
    follow, regimes = forward_returns(panel, (1,))[1], regime_labels(panel)
    first = max(0, market.cut - panel.bars(24 * 30))  # what is not later than the look warms the score, and counts not
    monitor = workspace.monitor(
        list(texts), keep_state=False, symbols=panel.symbols, bar_seconds=panel.bar_seconds, alert_thresholds={}
    )
    monitor.fleet.shadow = set(texts)
    async with monitor:
        monitor.fleet.shadow = set(texts)
        monitor.fleet.apply_live()
        for row in range(first, panel.T):
            known = {name: np.asarray(v[row]) for name, v in values.items()}
            await monitor.process_update(as_utc(panel.timestamps[row]), known, follow[row], regime=str(regimes[row]))
