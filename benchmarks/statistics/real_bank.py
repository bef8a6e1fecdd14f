"""How many well-known features are promoted on a real market, and whether they went on.

    python benchmarks/statistics/real_bank.py --data perps_4h.parquet [--bank qlib158] [--target 6] [--seed 7]

The bank is judged with both signs, at one horizon fixed beforehand. Every third symbol and the last fifth of the time
are put aside as truth; the product sees the rest. Printed first, before anything is promoted: the features whose net of
costs is above zero beyond doubt in the truth (later period and other symbols together). Then the product's own path on
a fresh base: the family's test, sealed looks, promotion for itself, promotion to the book; and what became of each.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import tempfile
import time
from pathlib import Path

import numpy as np

from midas_engine.banks import Bank, judge_bank, read_bank
from midas_engine.banks.keeping import keep_accepted
from midas_engine.cli.open_base import open_workspace
from midas_engine.commands import Commands
from midas_engine.dsl import FeatureEngine
from midas_engine.errors import MidasError
from midas_engine.evaluator import EvaluationContext, ScoringOptions, TrialLedger, evaluate_values
from midas_engine.market import Panel, load_panel
from midas_engine.models import FeatureState
from midas_engine.promoter.measured import ECONOMIC
from midas_engine.settings import Settings, load_settings

LATER = 0.2
OTHERS = 3
SIGNIFICANT = 1.64


def part_of(panel: Panel, rows: slice, symbols: np.ndarray) -> Panel:
    """Some bars and symbols of a panel."""
    start, stop, _ = rows.indices(panel.T)
    return panel.slice(start, stop).select([panel.symbols[i] for i in symbols])


def truth_of(panel: Panel, rows: slice, texts: dict[str, str], settings: Settings) -> dict[str, tuple[float, ...]]:
    """Score t, net and its error of every expression on a part of a panel."""
    engine = FeatureEngine(panel, limits=settings.dsl)
    options = dataclasses.replace(ScoringOptions.from_settings(settings, "research"))
    context = EvaluationContext.from_panel(panel, rows=rows, options=options)
    found = {}
    for name, text in texts.items():
        try:
            e = evaluate_values(engine.values(text), context, name)
        except MidasError:
            continue
        net = e.extra.get("net") or {}
        found[name] = (e.score_t, net.get("value", math.nan), net.get("se", math.nan))
    return found


def pooled(*parts: tuple[float, ...]) -> tuple[float, float, float]:
    """T of two independent truths together, and their net by precision with its error."""
    t = [p[0] for p in parts if math.isfinite(p[0])]
    nets = [(p[1], p[2]) for p in parts if math.isfinite(p[1]) and p[2] > 0.0]
    weight = sum(se**-2 for _, se in nets)
    net = sum(value * se**-2 for value, se in nets) / weight if weight else math.nan
    return sum(t) / math.sqrt(len(t)) if t else math.nan, net, weight**-0.5 if weight else math.nan


def main() -> None:
    parser = argparse.ArgumentParser(description="Well-known features on a real market.")
    parser.add_argument("--data", required=True)
    parser.add_argument("--bank", default="qlib158")
    parser.add_argument("--target", type=int, default=6)
    parser.add_argument("--seed", type=int, default=7)
    args = parser.parse_args()
    began = time.process_time()
    whole = load_panel(args.data)
    cut = int(whole.T * (1.0 - LATER))
    order = np.arange(whole.S)
    ours, others = order[order % OTHERS != OTHERS - 1], order[order % OTHERS == OTHERS - 1]
    seen = part_of(whole, slice(0, cut), ours)
    with tempfile.TemporaryDirectory() as folder:
        flags = {
            "kb": f"{folder}/kb", "data": args.data, "seed": args.seed, "evaluation.target": args.target,
            "evaluation.workers": 0,
        }  # fmt: skip
        settings = load_settings(environ={}, flags=flags)
        entries = read_bank(args.bank, limits=settings.dsl.at(1.0)).entries
        file = Path(folder) / "signed.txt"
        lines = [f"{e.name}: {e.expression}\n{e.name}_neg: -({e.expression})" for e in entries]
        file.write_text("\n".join(lines) + "\n", encoding="utf-8")
        bank = read_bank(str(file), limits=settings.dsl.at(1.0))
        texts = {e.name: e.expression for e in bank.entries}
        about = f"{seen.S} symbols, {seen.T} bars; {len(others)} other symbols"
        print(f"{len(entries)} features with both signs on {about}")
        later = truth_of(part_of(whole, slice(0, whole.T), ours), slice(cut, whole.T), texts, settings)
        apart = truth_of(part_of(whole, slice(0, cut), others), slice(0, cut), texts, settings)
        empty = (math.nan,) * 3
        truth = {name: pooled(later.get(name, empty), apart.get(name, empty)) for name in texts}
        beyond = [n for n, (_, net, se) in truth.items() if net - SIGNIFICANT * se > 0.0]
        earn = sorted(beyond, key=lambda n: -truth[n][1])
        print(f"in the truth {len(earn)} earn net beyond doubt:", ", ".join(earn) or "none", flush=True)
        promote(seen, bank, settings, truth, earn)
    print(f"{time.process_time() - began:.0f} s of CPU")


def promote(seen: Panel, bank: Bank, settings: Settings, truth: dict[str, tuple[float, ...]], earn: list[str]) -> None:
    """The product's path on a fresh base, and what became of what it promoted."""
    with open_workspace(settings, create=True) as workspace:
        result = judge_bank(bank, seen, settings)
        refused: dict[str, int] = {}
        for row in result.survivors:
            for agent in row.verdict.failed_agents:
                refused[agent] = refused.get(agent, 0) + 1
        paid, unpaid = len(result.accepted), len(result.unpaid)
        print(f"research: {len(result.survivors)} survive the family's test, {paid} pass every agent, {unpaid} fail on")
        print(f"  costs alone; survivors were refused by {refused}")
        for row in result.survivors:
            e, (t, net, se) = row.verdict.evaluation, truth.get(row.name, (math.nan,) * 3)
            own = e.extra["net"]
            print(
                f"  {row.name:14} t {e.score_t:5.1f} net {own['value']:+6.2f} ±{own['se']:.2f} bps a bar, "
                f"refused by {', '.join(row.refused_by) or 'none'}; truth: t {t:+.1f} net {net:+.2f} ±{se:.2f}"
            )
        saved = keep_accepted(result, seen, workspace)
        kb = workspace.kb
        print(f"sealed looks: {len(saved)} held; candidates: {len(kb.features(FeatureState.CANDIDATE))}")
        commands = Commands(kb, lambda: workspace.promoter, settings, via="Python", data=lambda: (seen, ""))
        promoted: dict[str, str] = {}
        for action in ("promote", "book"):
            if promoted and action == "book":
                keep_accepted(result, seen, workspace)  # beside a book, what costs alone stood against is kept
            for record in kb.features(FeatureState.CANDIDATE):
                if action == "book" and set(str(record.metrics.get("failed_agents", "")).split(", ")) - {"", *ECONOMIC}:
                    continue
                try:
                    done = commands.act(action, record.name)
                    promoted[record.name] = action
                    print(f"  {action} {record.name}: {done.words}", flush=True)
                except MidasError as error:
                    print(f"  not {action} {record.name}: {error.message[:160]}", flush=True)
        with TrialLedger(kb.journal_path, read_only=True) as ledger:
            looks = len(ledger.looks())
            for look in ledger.looks():
                against = ", ".join(look["vetoes"]) or "nothing else"
                print(f"  look {look['name']}: p {look['p']:.2g}, needed {look['line']:.2g}, against it {against}")
    shadows = [r.name for r in kb.features(FeatureState.CANDIDATE) if r.metrics.get("sealed_p") is not None]
    kept = [n for n in promoted if truth.get(n, (math.nan,))[0] > 0.0]
    sure = [n for n in promoted if truth.get(n, (math.nan,))[0] > SIGNIFICANT]
    print(f"promoted {len(promoted)} ({sum(a == 'book' for a in promoted.values())} to the book), {looks} looks")
    print(f"  kept their sign in the truth: {len(kept)}; significant there: {len(sure)}; waiting for shadow: {shadows}")
    print(f"  of {len(earn)} that earn net in the truth, promoted: {sorted(set(earn) & set(promoted))}")


if __name__ == "__main__":
    main()
