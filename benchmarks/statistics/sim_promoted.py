"""What is promoted: planted and noise features through research gates and the sealed look, on untuned worlds.

    python benchmarks/statistics/sim_promoted.py --seed 11 [--worlds 120] [--only series,real] [--out FILE]

"Promoted" is every gate but costs: the statistical gates on research at the line of 60 trials, and the sealed look at
the lifetime's line (the first look, or after so many misses). Worlds are those of `promoted_worlds.py`. With `--out`
the outcome of every world is kept in a file and a second run goes on where the first one ended (`--seconds` ends one).
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
from promoted_worlds import EMBARGO, World, daily, ragged, real, series, slow

from midas_engine.evaluator import evaluate_values, judge, sealed_vetoes, session_line
from midas_engine.evaluator.context.history_split import embargoed
from midas_engine.evaluator.metrics.significance import time_figures
from midas_engine.stats.graduation import look_line
from midas_engine.stats.intervals import share_interval
from midas_engine.stats.online_fdr import LordPlusPlus
from midas_engine.stats.ranks import sort_rows

TRIALS = 60
MEMORIES = (0.5, 0.8, 0.9, 0.95, 0.97)
MAKERS = {"series": series, "real": real, "daily": daily, "ragged": ragged}
CELLS = [
    ("series", 0.02, 0, 0.01),
    ("series", 0.03, 0, 0.18),
    ("series", 0.05, 0, 0.82),
    ("series", 0.05, 5, 0.38),
    ("real", 0.02, 0, 0.25),
    ("real", 0.03, 0, 0.67),
    ("real", 0.05, 0, 0.97),
    ("daily", 0.10, 0, 0.80),
    ("ragged", 0.05, 0, 0.90),
]
"""World, planted IC, misses before the look, the bar."""
LIFETIME_SESSIONS, LONG_SESSION = 10, 1000


def planted(kind: str, ic: float, seed: int) -> dict[str, float]:
    """One planted feature: whether research lets it through, and its sealed p (1 where something else refuses it)."""
    world: World = MAKERS[kind](seed)
    rho = MEMORIES[seed % len(MEMORIES)]
    values = slow(world.rng, rho, world.returns.shape)
    cross = kind != "series"
    contexts = world.planted(ic, values).contexts(cross)
    rows, context = contexts["research"]
    verdict = judge(evaluate_values(values[rows], context), trials=TRIALS)
    rows, context = contexts["sealed"]
    few = min(EMBARGO if world.seconds == 3600 else 1, (rows.stop - rows.start) // 10)
    sealed = judge(evaluate_values(embargoed(values, rows, few)[rows], context))
    against = [v for v in sealed_vetoes(sealed) if v != "trading_cost"]
    e = verdict.evaluation
    p = sealed.evaluation.score_p
    return {
        "research": float(verdict.statistical_pass),
        "p": 1.0 if against or p != p else p,
        "t": e.score_t,
        "ic": e.rank_ic.value,
    }


def noise(seed: int, sessions: int, trials: int) -> dict[str, float]:
    """One lifetime of sessions on pure noise: candidates tried, looks and promotions."""
    world = series(seed)
    contexts = world.contexts(False)
    rows, context = contexts["research"]
    sealed_rows, sealed = contexts["sealed"]
    stream = LordPlusPlus()
    promoted = 0
    for _ in range(sessions):
        for k in range(trials):
            values = slow(world.rng, MEMORIES[k % len(MEMORIES)], world.returns.shape)
            inside = context.lay(context.take(values[rows]))
            found = time_figures(context.score(inside, sort_rows(inside), b"all known", 1).u, 1, 0.0)
            if found.t < session_line(trials, found.dof):
                continue  # most of noise; the other gates could only refuse it again
            if not judge(evaluate_values(values[rows], context), trials=trials).statistical_pass:
                continue
            verdict = judge(evaluate_values(embargoed(values, sealed_rows, EMBARGO)[sealed_rows], sealed))
            against = [v for v in sealed_vetoes(verdict) if v != "trading_cost"]
            held = verdict.evaluation.score_p <= look_line(stream.level()) and not against
            stream.tests += 1
            if held:
                stream.discoveries.append(stream.tests)
                promoted += 1
    return {"tried": float(sessions * trials), "looks": float(stream.tests), "promoted": float(promoted)}


def jobs(worlds: int, lifetimes: int, seed: int) -> list[tuple[str, list[float]]]:
    """Every piece of work, by name and arguments, in an order that fills every row of the table evenly."""
    found: list[tuple[str, list[float]]] = []
    cells = dict.fromkeys((kind, ic) for kind, ic, _, _ in CELLS)
    for k in range(worlds):
        found += [(kind, [ic, seed + k]) for kind, ic in cells]
    found += [("lifetime", [seed + k, LIFETIME_SESSIONS, TRIALS]) for k in range(lifetimes)]
    found += [("long", [seed + 10_000 + k, 1, LONG_SESSION]) for k in range(max(1, lifetimes // 20))]
    return found


def work(name: str, arguments: list[float]) -> dict[str, float]:
    """One piece."""
    if name in MAKERS:
        return planted(name, arguments[0], int(arguments[1]))
    return noise(*(int(a) for a in arguments))


def report(done: dict[str, dict[str, float]]) -> None:
    """The table of bars, from whatever was done so far."""
    print("| world | planted | look | worlds | rank IC | research | promoted | bar | |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for kind, ic, misses, bar in CELLS:
        rows = [row for key, row in done.items() if key.startswith(f"{kind} [{ic},")]
        if not rows:
            continue
        line = look_line(LordPlusPlus(tests=misses).level())
        research = sum(row["research"] > 0 for row in rows)
        hits = sum(row["research"] > 0 and row["p"] <= line for row in rows)
        low, high = share_interval(hits, len(rows))
        look = "first" if not misses else f"after {misses} misses"
        met = "met" if hits / len(rows) >= bar else "within" if high >= bar else "missed"
        print(
            f"| {kind} | {ic:g} | {look} | {len(rows)} | {np.mean([r['ic'] for r in rows]):+.4f} "
            f"| {research / len(rows):.2f} | {hits / len(rows):.2f} [{low:.2f}, {high:.2f}] | {bar:g} | {met} |"
        )
    for name, what in (("lifetime", "lifetimes with any"), ("long", "promoted per 1,000")):
        rows = [row for key, row in done.items() if key.startswith(f"{name} [")]
        if not rows:
            continue
        tried, hits = sum(r["tried"] for r in rows), sum(r["promoted"] for r in rows)
        any_, scale = (sum(r["promoted"] > 0 for r in rows), 1.0) if name == "lifetime" else (int(hits), 1000.0)
        count = len(rows) if name == "lifetime" else int(tried)
        low, high = share_interval(any_, count)
        print(
            f"noise, {what}: {scale * any_ / count:.3f} [{scale * low:.3f}, {scale * high:.3f}] "
            f"of {count:,} ({tried:,.0f} tried, {sum(r['looks'] for r in rows):.0f} looks)"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--worlds", type=int, default=120)
    parser.add_argument("--lifetimes", type=int, default=200)
    parser.add_argument("--only", default="", help="kinds, joined by commas")
    parser.add_argument("--out", type=Path, help="keep outcomes here and go on from them")
    parser.add_argument("--seconds", type=float, default=150.0, help="CPU seconds of one run")
    options = parser.parse_args()
    done: dict[str, dict[str, float]] = {}
    if options.out is not None and options.out.is_file():
        done = dict(map(json.loads, options.out.read_text(encoding="utf-8").splitlines()))
    wanted = {name for name in options.only.split(",") if name}
    left = 0
    for name, arguments in jobs(options.worlds, options.lifetimes, options.seed):
        key = f"{name} {arguments}"
        if key in done or (wanted and name not in wanted):
            continue
        if time.process_time() > options.seconds:
            left += 1
            continue
        done[key] = work(name, arguments)
        if options.out is not None:
            with options.out.open("a", encoding="utf-8") as file:
                file.write(json.dumps([key, done[key]]) + "\n")
    report(done)
    if left:
        print(f"{left} pieces are left: run again with the same --out")


if __name__ == "__main__":
    main()
