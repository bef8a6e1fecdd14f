"""Hostile text through the parser and both engines: random, grammatical, mutated, and guided by coverage.

Run: `python benchmarks/torture/fuzz_dsl.py [--examples 20000] [--runs 200000]`.
Hypothesis draws text, token soup, mutations
and whole expressions; atheris follows the coverage of the parser from a corpus of valid texts. What is refused
must be refused with an `ExpressionError`, quickly; what is accepted must give finite values or none, the same from
both engines. Last come the costliest expressions that the limits allow. Prints counts; exits 1 on any fault.
"""

from __future__ import annotations

import argparse
import contextlib
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np

from midas_engine.dsl import OPERATORS, FeatureEngine, StreamEngine, canonical, explain, parse, random_expression
from midas_engine.dsl.units import units_warnings
from midas_engine.errors import ExpressionError
from midas_engine.market import SyntheticMarket
from midas_engine.market.panel import Panel

COLUMNS = ("close", "volume", "high", "low")
SLOW_MS = 50.0
_MARK = "-- tally"
TOKENS = [
    *OPERATORS, *COLUMNS, "and", "or", "not", "nan", "inf", "__import__", "lambda", "None", "True", "returns", "target",
    *"()+-*/,<>=!.:;[]{}'\"\\%&|^~@#$`\n\t ", "**", "==", "<=", ">=", "!=", "//", ":=", "0", "1", "24", "168", "169",
    "-1", "1e308", "1e999", "1e-320", "0x10", "1_0", "1j", "9" * 400, "0.5", ".5", "5.",
    "\u0661", "\uff11", "\x00", "\u202e",
    "\ud800", "\U0001f600",
]  # fmt: skip


def hostile_panel(bars: int = 48, symbols: int = 3) -> Panel:
    """Every value that arithmetic stumbles over."""
    rng = np.random.default_rng(0)
    values = np.array([0.0, -0.0, 1.0, -1.0, 1e308, -1e308, 1e-320, np.inf, -np.inf, np.nan, 7.0, 1e-9])
    fields = {name: rng.choice(values, (bars, symbols)) for name in COLUMNS}
    times = np.datetime64("2026-01-01", "ns") + np.arange(bars) * np.timedelta64(3600, "s")
    return Panel(times, [f"S{i}" for i in range(symbols)], fields, 3600)


PANEL = hostile_panel()
ENGINE = FeatureEngine(PANEL, cache_bytes=0)


class Fault(Exception):
    """What must never happen."""


class Tally:
    """Counts, and the slowest refusal."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.slowest = 0.0

    def one(self, text: str) -> None:
        """One text, all the way down."""
        self.counts["inputs"] += 1
        start = time.process_time()
        try:
            parsed = parse(text, columns=COLUMNS)
        except ExpressionError as error:
            spent = (time.process_time() - start) * 1e3
            self.counts[f"refused: {type(error).__name__}"] += 1
            str(error)
            if spent > 5.0:  # a pause of the interpreter is not the parser's: once more, the better of three
                spent = min(spent, *(_refusal(text) for _ in range(3)))
            self.slowest = max(self.slowest, spent)
            if spent > SLOW_MS:
                raise Fault(f"{spent:.0f} ms to refuse {text[:80]!r}") from None
            return
        self.counts["accepted"] += 1
        units_warnings(parsed)
        explain(parsed, COLUMNS)
        if parse(text, columns=COLUMNS).hash != parsed.hash or canonical(parsed.standalone) != parsed.canonical:
            raise Fault(f"two identities of {text!r}")
        values = ENGINE.values(text)
        if values.shape != PANEL.shape or np.isinf(values).any():
            raise Fault(f"infinite or misshapen: {text!r}")
        if self.counts["accepted"] % 7 == 0:
            self.stream(text, values)

    def stream(self, text: str, values: np.ndarray) -> None:
        """The same bars one by one."""
        engine = StreamEngine({"f": text}, COLUMNS, PANEL.symbols)
        rows = [engine.update({c: v[t] for c, v in PANEL.fields.items()})["f"] for t in range(PANEL.T)]
        self.counts["streamed"] += 1
        if not np.array_equal(np.array(rows), values, equal_nan=True):
            raise Fault(f"stream differs from batch: {text!r}")

    def lines(self) -> list[str]:
        """The counts, for a person."""
        found = [f"  {name:<34} {count:>10,}" for name, count in sorted(self.counts.items())]
        return [*found, f"  {'slowest refusal':<34} {self.slowest:>9.1f} ms"]


def _refusal(text: str) -> float:
    start = time.process_time()
    with contextlib.suppress(ExpressionError):
        parse(text, columns=COLUMNS)
    return (time.process_time() - start) * 1e3


def by_hypothesis(examples: int) -> Tally:
    """Four kinds of text, `examples` of each."""
    from hypothesis import HealthCheck, Phase, given, settings
    from hypothesis import strategies as st

    tally = Tally()
    valid = st.integers(0, 2**32 - 1).map(lambda seed: random_expression(np.random.default_rng(seed), COLUMNS, 4))

    @st.composite
    def mutated(draw: st.DrawFn) -> str:
        text = draw(valid)
        for _ in range(draw(st.integers(1, 4))):
            at = draw(st.integers(0, len(text)))
            gone = draw(st.integers(0, 3))
            text = text[:at] + draw(st.sampled_from(TOKENS)) + text[at + gone :]
        return text

    kinds = {
        "text": st.text(max_size=300),
        "soup": st.lists(st.sampled_from(TOKENS), max_size=60).map("".join),
        "mutated": mutated(),
        "grammar": valid,
    }
    for strategy in kinds.values():
        check = settings(
            max_examples=examples, deadline=None, database=None, derandomize=True, phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )(given(strategy)(tally.one))  # fmt: skip
        check()
    return tally


def by_coverage(runs: int) -> tuple[list[str], bool]:
    """Atheris in a process of its own: it ends the process itself."""
    with tempfile.TemporaryDirectory() as folder:
        corpus = Path(folder) / "corpus"
        corpus.mkdir()
        for i in range(200):
            text = random_expression(np.random.default_rng(i), COLUMNS, 4)
            (corpus / f"{i}").write_text(text, encoding="utf-8")
        words = Path(folder) / "words.dict"
        words.write_text(
            "\n".join(f'"{w}"' for w in [*OPERATORS, *COLUMNS] if w.isidentifier()) + "\n", encoding="utf-8"
        )
        line = [
            sys.executable, __file__, "--atheris", str(corpus), f"-dict={words}", f"-runs={runs}", "-max_len=400",
            "-timeout=5", "-rss_limit_mb=2048", "-seed=7", f"-artifact_prefix={folder}/",
        ]  # fmt: skip
        done = subprocess.run(line, capture_output=True, text=True, errors="replace")
    found = re.findall(r"#(\d+)\s+(DONE|INITED)\s+cov: (\d+) ft: (\d+) corp: (\d+)", done.stderr)
    lines = [
        f"  {kind.lower():<10} {int(n):>10,} runs, coverage {cov}, corpus {size}" for n, kind, cov, _, size in found
    ]
    lines += done.stdout.rpartition(_MARK)[2].strip("\n").splitlines()
    if done.returncode:
        lines += ["  FAULT " + line for line in done.stderr.splitlines()[-30:]]
    return lines, done.returncode == 0


def atheris_child(arguments: list[str]) -> None:
    import atheris

    # The corpus decides which branches of these are worth following.
    import midas_engine.dsl.build as build
    import midas_engine.dsl.canonical_form as form
    import midas_engine.dsl.parser as parser
    import midas_engine.dsl.tokens as tokens

    for module in (tokens, parser, build, form):
        for name, thing in list(vars(module).items()):
            if hasattr(thing, "__code__") and thing.__module__ == module.__name__:
                setattr(module, name, atheris.instrument_func(thing))
            elif isinstance(thing, type) and thing.__module__ == module.__name__:
                for key, method in list(vars(thing).items()):
                    if hasattr(method, "__code__"):
                        setattr(thing, key, atheris.instrument_func(method))
    tally = Tally()
    step = next(int(a.partition("=")[2]) for a in arguments if a.startswith("-runs=")) // 10

    def one(data: bytes) -> None:
        tally.one(data.decode("utf-8", "surrogateescape"))
        if tally.counts["inputs"] % step == 0:  # the fuzzer ends the process without a word
            print(_MARK, *tally.lines(), sep="\n", flush=True)

    atheris.Setup([sys.argv[0], *arguments], one)
    atheris.Fuzz()


def costliest() -> list[str]:
    """The dearest expressions that the limits allow, at 8,760 x 20."""
    nested = "close"
    for _ in range(7):
        nested = f"ts_rank({nested}, 168)"
    medians = " + ".join(f"ts_quantile({c} * {k}, 168, 0.3)" for k in range(1, 8) for c in COLUMNS[:2])
    wide = " + ".join(
        f"ts_corr({a} * {k}, {b}, 168)" for k in range(1, 9) for a, b in (("close", "volume"), ("high", "low"))
    )
    texts = {
        "7 ranks of 168 inside one another": nested,
        "14 quantiles of 168": medians,
        "16 correlations of 168": wide,
    }
    panel = SyntheticMarket(0, bars=8760, symbols=20).panel()
    lines = []
    for name, text in texts.items():
        engine = FeatureEngine(panel, cache_bytes=0)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        start = time.process_time()
        engine.values(text)
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - before
        lines.append(f"  {name:<34} {time.process_time() - start:>9.2f} s CPU, peak memory +{grown:.0f} MB")
    return lines


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=20_000, help="of each of four kinds, by Hypothesis")
    parser.add_argument("--runs", type=int, default=200_000, help="by atheris; 0 leaves it out")
    options = parser.parse_args()
    tally = by_hypothesis(options.examples)
    print("Hypothesis: text, token soup, mutated expressions, expressions")
    print("\n".join(tally.lines()))
    good = True
    if options.runs:
        lines, good = by_coverage(options.runs)
        print("atheris: bytes guided by the parser's coverage")
        print("\n".join(lines))
    print("the costliest that the limits allow, 8,760 x 20")
    print("\n".join(costliest()))
    print("no fault" if good else "FAULT")
    return 0 if good else 1


if __name__ == "__main__":
    if "--atheris" in sys.argv:
        atheris_child(sys.argv[2:])
    else:
        sys.exit(main())
