"""Tamperings with a proof, rebuilt chains among them, against heads that left the machine; and a year of bars verified.

python benchmarks/torture/torture_proof.py --tamperings 10000 --seed 7
python benchmarks/torture/torture_proof.py --year

A tampering is one of: a value, an outcome, a time, a bar changed; entries dropped, doubled, exchanged, cut off; an
expression exchanged; signals moved to another bar; a better expression put in from the start, with honest digests. Each
comes as it is and rebuilt: every digest behind it made anew, so that the chain is consistent. Found: `verify` says
NOT VERIFIED.
"""

from __future__ import annotations

import argparse
import copy
import random
import sys
from collections import Counter
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from midas_engine.clock import WallClock
from midas_engine.market import SyntheticMarket
from midas_engine.market.instants import as_utc
from midas_engine.outbound.proof import Head, values_digest
from midas_engine.outbound.signal_log import START, digest_of
from midas_engine.outbound.verify import Truth, verify

if TYPE_CHECKING:
    from collections.abc import Callable

    from midas_engine.market import Panel

    Chain = list[dict[str, Any]]

SPECS = {"carry": "cs_rank(ts_mean(funding_rate, 24))", "fast": "cs_zscore(ts_mean(returns(close, 1), 12))"}
BETTER = "cs_rank(-1 * returns(close, 1))"


def chain_of(truth: Truth, first: int, bars: int, specs: dict[str, str]) -> Chain:
    """An honest chain over rows of a panel."""
    panel = truth.panel
    symbols = tuple(panel.symbols)
    bodies: Chain = []
    length = timedelta(seconds=panel.bar_seconds)
    for row in range(first, first + bars):
        bar = as_utc(panel.timestamps[row])
        at = (bar + length + timedelta(seconds=3)).isoformat()
        if row == first:
            given = [{"feature": n, "version": 1, "expression": e} for n, e in specs.items()]
            bodies += [{"kind": "spec", "at": at, **spec} for spec in given]
        else:
            outcome = {"bar": bodies[-1]["bar"], "until": bar.isoformat(), "returns": truth.digest("", row, symbols)}
            bodies.append({"kind": "label", "at": at, **outcome})
        digests = {name: truth.digest(text, row, symbols) for name, text in specs.items()}
        body = {"bar": bar.isoformat(), "bar_seconds": panel.bar_seconds, "symbols": list(symbols)}
        bodies.append({"kind": "signals", "at": at, **body, "features": digests, "late": False})
    return rebuilt(bodies)


def rebuilt(entries: Chain) -> Chain:
    """The entries with numbers and digests made anew."""
    previous, found = START, []
    for number, entry in enumerate(entries, 1):
        body = {k: v for k, v in entry.items() if k not in ("n", "previous", "digest")}
        made = {**body, "n": number, "previous": previous}
        made["digest"] = digest_of(made)
        previous = made["digest"]
        found.append(made)
    return found


def _pick(chain: Chain, rng: random.Random, *kinds: str) -> int:
    places = [i for i, entry in enumerate(chain) if entry["kind"] in (kinds or ("spec", "signals", "label"))]
    return rng.choice(places)


def _value(chain: Chain, rng: random.Random) -> None:
    entry = chain[_pick(chain, rng, "signals")]
    entry["features"][rng.choice(list(entry["features"]))] = values_digest([rng.random()])


def _label(chain: Chain, rng: random.Random) -> None:
    chain[_pick(chain, rng, "label")]["returns"] = values_digest([rng.random()])


def _time(chain: Chain, rng: random.Random) -> None:
    entry = chain[_pick(chain, rng)]
    moved = datetime.fromisoformat(entry["at"]) + timedelta(seconds=rng.choice((-1, 1)) * rng.randint(1, 10_000))
    entry["at"] = moved.isoformat()


def _bar(chain: Chain, rng: random.Random) -> None:
    entry = chain[_pick(chain, rng, "signals", "label")]
    moved = datetime.fromisoformat(entry["bar"]) + timedelta(hours=rng.choice((-5, -1, 1, 5)))
    entry["bar"] = moved.isoformat()


def _drop(chain: Chain, rng: random.Random) -> None:
    place = _pick(chain, rng)
    del chain[place : place + rng.randint(1, 3)]


def _double(chain: Chain, rng: random.Random) -> None:
    place = _pick(chain, rng)
    chain.insert(place, copy.deepcopy(chain[place]))


def _exchange(chain: Chain, rng: random.Random) -> None:
    a = _pick(chain, rng)
    b = (a + rng.randint(1, len(chain) - 1)) % len(chain)
    chain[a], chain[b] = chain[b], chain[a]


def _cut(chain: Chain, rng: random.Random) -> None:
    del chain[rng.randint(1, len(chain) - 1) :]


def _spec(chain: Chain, rng: random.Random) -> None:
    chain[_pick(chain, rng, "spec")]["expression"] = rng.choice((BETTER, "cs_rank(close)"))


def _late(chain: Chain, rng: random.Random) -> None:
    entry = chain[_pick(chain, rng, "signals")]
    entry["late"] = not entry["late"]


def _symbols(chain: Chain, rng: random.Random) -> None:
    rng.shuffle(chain[_pick(chain, rng, "signals")]["symbols"])


def _shift(chain: Chain, rng: random.Random) -> None:
    """What was said a bar later is put a bar earlier: signals that know the future."""
    places = [i for i, entry in enumerate(chain) if entry["kind"] == "signals"]
    for here, after in zip(places, places[1:], strict=False):
        chain[here]["features"] = chain[after]["features"]


WAYS: dict[str, Callable[[Chain, random.Random], None]] = {
    "a value": _value, "an outcome": _label, "a time": _time, "a bar": _bar, "dropped": _drop, "doubled": _double,
    "exchanged": _exchange, "cut off": _cut, "an expression": _spec, "late or not": _late, "symbols": _symbols,
    "moved a bar": _shift,
}  # fmt: skip


def tamper(count: int, seed: int, bars: int = 60) -> tuple[Counter[str], Counter[str]]:
    """How often each way was tried, and how often it was not found."""
    rng, tried, missed = random.Random(seed), Counter[str](), Counter[str]()
    truth = Truth(SyntheticMarket(5).panel())
    honest = chain_of(truth, 400, bars, SPECS)
    fresh = chain_of(truth, 400, bars, {"carry": BETTER, "fast": SPECS["fast"]})
    heads = [(Head(n, honest[n - 1]["digest"]), "") for n in (len(honest) // 2, len(honest))]
    found = verify(honest, heads, truth)
    assert found.sound, found.faults
    assert verify(fresh, [], truth).words.startswith("consistent")
    names = [*WAYS, "a better past"]
    for _ in range(count):
        way, again = rng.choice(names), rng.random() < 0.5
        name = f"{way}, rebuilt" if again or way == "a better past" else way
        if way == "a better past":
            chain = fresh[: len(fresh) - rng.randint(0, 3)]
        else:
            chain = copy.deepcopy(honest)
            while chain == honest:  # some changes change nothing, such as an exchange of equals
                WAYS[way](chain, rng)
            chain = rebuilt(chain) if again else chain
        tried[name] += 1
        missed[name] += verify(chain, heads, truth).sound
    return tried, missed


def year(features: int = 20) -> tuple[int, float]:
    """Bars of a year, and the seconds that verifying them took, expressions computed anew."""
    panel: Panel = SyntheticMarket(5, bars=9_200).panel()
    specs = {f"f{n}": f"cs_rank(ts_mean(funding_rate, {n + 3}))" for n in range(features)}
    chain = chain_of(Truth(panel), 400, 8_760, specs)
    wall = WallClock()
    begun = wall.monotonic()
    found = verify(chain, [(Head(len(chain), chain[-1]["digest"]), "")], Truth(panel))
    seconds = wall.monotonic() - begun
    assert found.sound, found.faults
    assert found.recomputed == 8_760
    return found.signals, seconds


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tamperings", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--year", action="store_true")
    given = parser.parse_args()
    if given.year:
        bars, seconds = year()
        print(f"{bars} hourly bars of 20 features verified in {seconds:.1f} s")
        sys.exit(0 if seconds <= 60 else 1)
    tried, missed = tamper(given.tamperings, given.seed)
    for name, count in sorted(tried.items()):
        print(f"{name:28} {count:6} {missed[name]:6} not found")
    print(f"{sum(tried.values())} tamperings, {sum(missed.values())} not found")
    sys.exit(1 if sum(missed.values()) else 0)


if __name__ == "__main__":
    main()
