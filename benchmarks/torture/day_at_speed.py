"""A day through the whole service at speed, beside one that nobody disturbs: store, signals and alarms must be equal.

    python benchmarks/torture/day_at_speed.py [--bar 1m --bars 1440] [--kills 20] [--seed 13]
    python benchmarks/torture/day_at_speed.py --bar 1h --bars 240

A venue on loopback that speaks Binance serves bars in engine time, 60 times as fast as the wall's: a day of minutes is
24 minutes, a bar a second. With hours it is 600 times, ten bars a minute. (Faster, a busy machine's delays are long in
engine time, and a bar is rightly given up.) One service follows it undisturbed. The other has three attached terminals
and a webhook that fails half the time (refused, gone, or taken with the answer lost), and a venue of its own. Each part
of it is killed (SIGKILL) so many times: the service, each terminal, the webhook, the venue. Printed: what differs in
the store, the signals by bar and the alarms, what the webhook missed, how far it was behind and how long it took to be
even at the end, and the memory and the longest hold of the loop.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "benchmarks"), str(ROOT)]

from day_parts import serve_hook, serve_venue  # noqa: E402

START = datetime(2026, 1, 5, tzinfo=UTC)
FACTORS = {"1m": 60.0, "1h": 600.0}
SECONDS = {"1m": 60, "1h": 3600}
# The venue's delay on this machine is sixty times as long in engine time: a late bar of minutes is waited for.
PARTS = ("service", "terminal 1", "terminal 2", "terminal 3", "webhook", "venue")
GRACE = {"1m": "@grace=20m", "1h": ""}
SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT", "ADAUSDT", "DOGEUSDT")
EXPRESSIONS = {"carry": "cs_rank(ts_mean(funding_rate, 24))", "fast": "cs_zscore(ema(returns(close, 1), 12))"}
SECRET = "a-secret-of-the-drill-0123456789"
READER = """
import socket, sys, time
while True:
    try:
        s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])
        body = b'{"hello":1,"events":true}'
        s.sendall(len(body).to_bytes(4, "big") + body)
        while s.recv(1 << 20): pass
    except OSError: pass
    time.sleep(0.2)
"""


def memory_mb() -> int:
    """What this process holds."""
    return int(Path("/proc/self/status").read_text().split("VmRSS:")[1].split()[0]) // 1024


def note(path: Path, line: dict[str, Any]) -> None:
    """Add a line."""
    with path.open("a") as file:
        file.write(json.dumps(line) + "\n")


async def serve(folder: Path, venue: str, origin: float, hook: str, bar: str) -> None:
    """One service, until SIGTERM; its lag and memory go to a file."""
    from ccxt.async_support.base.exchange import Exchange
    from scaled_clock import ScaledClock

    from midas_engine.service.plan import make_plan
    from midas_engine.service.service import Service
    from midas_engine.settings import load_settings

    flags: dict[str, Any] = {"kb": str(folder / "kb"), "data": f"live:binance:{','.join(SYMBOLS)}@{bar}{GRACE[bar]}"}
    flags |= {"venue_url": venue, "store": str(folder / "store"), "outbound.signals": {"hook": f"webhook:{hook}"}}
    settings = load_settings(file=None, flags=flags, environ={})
    # Its own limit of requests goes by the wall's clock: sixty bars a minute are more than a venue would allow.
    Exchange.throttle = lambda self, cost=None: asyncio.sleep(0)
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    async with Service(make_plan(settings), clock=ScaledClock(START, FACTORS[bar], origin)) as service:
        loop, longest = asyncio.get_running_loop(), 0.0
        while not ended.is_set():
            for _ in range(20):
                before = loop.time()
                await asyncio.sleep(0.05)
                longest = max(longest, loop.time() - before - 0.05)
            look = await service.vitals.look()
            line = {"bars": look.bars, "newest": str(look.newest), "lag": longest, "rss": memory_mb(), "why": look.why}
            longest = 0.0
            await asyncio.to_thread(note, folder / "vitals.jsonl", line)


def made(folder: Path) -> Path:
    """A desk with two deployed features that promise too much."""
    from midas_engine.kb import KnowledgeBase
    from midas_engine.models import FeatureRecord, FeatureState
    from midas_engine.promoter import FeaturePromoter

    promoter = FeaturePromoter(KnowledgeBase(folder / "kb"))
    for name, expression in EXPRESSIONS.items():
        record = FeatureRecord(name, expression, FeatureState.CANDIDATE, expected_score=0.5, breadth=8.0)
        promoter.save_candidate(record)
        promoter.promote(name, "drill", force=True)
    promoter.close()
    return folder


def signals_of(folder: Path) -> dict[str, dict[str, Any]]:
    """What was on record of each bar, without numbers and digests; a bar that stands there twice is named."""
    from midas_engine.outbound.signal_log import FOLDER, SignalLog

    found: dict[str, dict[str, Any]] = {}
    for record in SignalLog(folder / "kb" / FOLDER).since(0):
        body = {k: v for k, v in record.items() if k not in ("sequence", "previous", "digest")}
        # when the book was measured differs; what was missed says so, and knows no regime
        body["book"] = (body["book"] or {}).get("weights")
        key = str(record["bar"])
        assert key not in found, f"bar {key} is on record twice"
        found[key] = body
    return found


def alike(one: dict[str, Any] | None, other: dict[str, Any] | None) -> bool:
    """Whether two records say the same; one that was computed later has no regime and no book."""
    if one is None or other is None:
        return False
    later = one["computed_later"] or other["computed_later"]
    left = ("regime", "book", "computed_later") if later else ()
    return all(one[k] == other[k] for k in one if k not in left)


def alarms_of(folder: Path) -> set[tuple[str, str]]:
    """Alarms without those of the feed's own silence, which is another for who was away; each is there once."""
    lines = [json.loads(line) for line in (folder / "kb" / "service" / "alarms.jsonl").read_text().splitlines()]
    silence = [(a["what"], a["id"]) for a in lines if a["feature"] == "*"]
    assert len(silence) == len(set(silence)), "a silence is told twice"
    print(f"{folder.name}: {len(silence)} lines of the feed's silence")
    keys = [
        (f"{a['what']} {a['feature']} {a['alert_type']} {a['raised_at']}", a["at"])
        for a in lines
        if a["feature"] != "*"
    ]
    assert len(keys) == len(set(keys)), "an alarm is there twice"
    return set(keys)


def newest_signal(folder: Path) -> int:
    """Number of the newest record."""
    from midas_engine.outbound.signal_log import FOLDER, SignalLog

    return max((record["sequence"] for record in SignalLog(folder / "kb" / FOLDER).since(0)), default=0)


def newest_taken(folder: Path) -> int:
    """Number of the newest record that the webhook took."""
    lines = (folder / "taken.jsonl").read_text().splitlines() if (folder / "taken.jsonl").exists() else []
    return int(json.loads(lines[-1])["sequence"]) if lines else 0


def bars_of(folder: Path, bar: str) -> Any:
    """The store's bars."""
    from midas_engine.market import load_panel

    return load_panel(f"store:binance@{bar}", store=str(folder / "store"))


def spawned(part: str, log: Path, **given: object) -> subprocess.Popen[bytes]:
    """This program again, as one of the parts."""
    words = [word for name, value in given.items() for word in (f"--{name}", str(value))]
    with log.open("ab") as out:
        command = [sys.executable, __file__, "--part", part, *words]
        return subprocess.Popen(command, stdout=out, stderr=out, env={**os.environ, **ENVIRON})


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


ENVIRON = {"MIDAS_SECRET_HOOK": SECRET, "PYTHONPATH": str(ROOT)}


def compared(calm: Path, killed: Path, bar: str, last: int) -> int:
    """Print what differs; how much that is. The webhook had to have the records up to number `last`."""
    import numpy as np

    one, other = signals_of(calm), signals_of(killed)
    begin, end = max(min(one), min(other)), min(max(one), max(other))
    between = sorted(bar for bar in {*one, *other} if begin <= bar <= end)
    unlike = [bar for bar in between if not alike(one.get(bar), other.get(bar))]
    later = sum(record["computed_later"] for record in other.values())
    print(f"signals: {len(between)} bars ({later} computed later), {len(unlike)} differ {unlike[:3]}")
    first, second = bars_of(calm, bar), bars_of(killed, bar)
    count = min(first.T, second.T)
    same = all(
        np.array_equal(np.asarray(v)[:count], np.asarray(second.fields[k])[:count], equal_nan=True)
        for k, v in first.fields.items()
    )
    same = same and np.array_equal(first.timestamps[:count], second.timestamps[:count])
    print(f"store: {first.T} and {second.T} bars, the first {count} equal: {same}")
    raised, too = ({a for a in alarms_of(f) if a[1] <= end} for f in (calm, killed))
    print(f"alarms: {len(raised)}; only undisturbed {sorted(raised - too)[:3]}, only killed {sorted(too - raised)[:3]}")
    lines = [json.loads(line) for line in (killed / "taken.jsonl").read_text().splitlines()]
    taken, lost = [line["sequence"] for line in lines], sum(line["lost"] for line in lines)
    missing = sorted(set(range(1, last + 1)) - set(taken))
    order = "" if taken == sorted(taken) else ", NOT in their order"
    print(
        f"webhook: {last} records, {len(missing)} missing {missing[:3]}, {len(taken) - len(set(taken))} taken again "
        f"({lost} answers were lost){order}"
    )
    missing += [-1] if order else []
    return len(unlike) + (not same) + len(raised ^ too) + len(missing)


def vitals_of(folder: Path) -> None:
    """Memory and lag over the day."""
    lines = [json.loads(line) for line in (folder / "vitals.jsonl").read_text().splitlines()]
    rss = [line["rss"] for line in lines]
    lags = sorted(1000 * line["lag"] for line in lines)
    middle = rss[len(rss) // 3 :]
    p50, p99 = (lags[int(share * (len(lags) - 1))] for share in (0.5, 0.99))
    print(
        f"{folder.name}: memory {middle[0]} MB after a third, {rss[-1]} MB at the end, {max(rss)} MB at most; "
        f"longest hold of the loop in a second p50 {p50:.0f} ms, p99 {p99:.0f} ms, longest {lags[-1]:.0f} ms"
    )


def day(args: argparse.Namespace, folder: Path) -> int:
    """Run both and compare."""
    from scaled_clock import ScaledClock

    from midas_engine.service.place import Place

    calm, killed = made(folder / "calm"), made(folder / "killed")
    ports = {name: free_port() for name in ("venue", "calm venue", "webhook")}
    clock, chance = ScaledClock(START, FACTORS[args.bar]), random.Random(args.seed)
    seconds = args.bars * SECONDS[args.bar] / clock.factor
    told = {"origin": repr(clock.origin), "bar": args.bar}
    control = str(Place(killed / "kb").socket)
    reader = [sys.executable, "-c", READER, control]

    def venue(name: str) -> subprocess.Popen[bytes]:
        return spawned("venue", folder / "venue.log", port=ports[name], **told)

    def service(of: Path, name: str) -> subprocess.Popen[bytes]:
        hook = f"http://127.0.0.1:{ports['webhook']}/{of.name}"
        place = {"folder": of, "venue": f"http://127.0.0.1:{ports[name]}", "hook": hook}
        return spawned("service", of / "out.log", **place, **told)

    make: dict[str, Callable[[], subprocess.Popen[bytes]]] = {
        "service": lambda: service(killed, "venue"),
        **{name: lambda: subprocess.Popen(reader) for name in PARTS[1:4]},
        "webhook": lambda: spawned(
            "webhook", folder / "hook.log", folder=killed, port=ports["webhook"], seed=args.seed, **told
        ),
        "venue": lambda: venue("venue"),
    }
    run: dict[str, subprocess.Popen[bytes]] = {"calm venue": venue("calm venue")}
    kills = sorted(
        (seconds / (args.kills + 1) * (number + 0.5 + chance.random()), part)
        for number in range(args.kills)
        for part in PARTS
    )
    behind: list[int] = []
    try:
        for name in ("webhook", "venue"):
            run[name] = make[name]()
        time.sleep(3.0)
        run["calm service"] = service(calm, "calm venue")
        for name in ("service", *PARTS[1:4]):
            run[name] = make[name]()
        for number, (at, part) in enumerate(kills):
            time.sleep(max(0.0, clock.origin + at - time.time()))
            run[part].kill()
            run[part].wait()
            run[part] = make[part]()
            if part == "service":
                behind.append(newest_signal(killed) - newest_taken(killed))
            bar = int(clock.monotonic() / SECONDS[args.bar])
            print(f"kill {number + 1}, {part}, bar {bar}, load {os.getloadavg()[0]:.1f}", flush=True)
        time.sleep(max(0.0, clock.origin + seconds - time.time()))
        print(f"records that waited for the webhook at the kills: {sorted(behind)[len(behind) // 2]} in the middle, "
              f"{max(behind)} at most")  # fmt: skip
        last, end = newest_signal(killed), time.monotonic()  # bars go on; it is even once it has what there is now
        waits = last - newest_taken(killed)
        while newest_taken(killed) < last and time.monotonic() < end + 120:
            time.sleep(0.05)
        print(f"{max(0, waits)} waited at the end; even after {time.monotonic() - end:.1f} s", flush=True)
    finally:
        for name in ("calm service", "service", *PARTS[1:], "calm venue"):
            if name in run:
                run[name].send_signal(signal.SIGTERM)
        for process in run.values():
            process.wait(120)
    vitals_of(calm)
    vitals_of(killed)
    return min(1, compared(calm, killed, args.bar, last))


def main() -> int:
    """Run and print; 1 when something differs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bar", choices=sorted(FACTORS), default="1m")
    parser.add_argument("--bars", type=int, default=1440)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=13)
    parser.add_argument("--folder", type=Path, help="keep both desks here")
    for name in ("part", "venue", "origin", "hook", "port"):
        parser.add_argument(f"--{name}", default="", help=argparse.SUPPRESS)
    args = parser.parse_args()
    os.environ.update(ENVIRON)
    if args.part == "service":
        asyncio.run(serve(args.folder, args.venue, float(args.origin), args.hook, args.bar))
    elif args.part == "webhook":
        asyncio.run(serve_hook(args.folder / "taken.jsonl", int(args.port), args.seed))
    elif args.part == "venue":
        from scaled_clock import ScaledClock

        clock = ScaledClock(START, FACTORS[args.bar], float(args.origin))
        asyncio.run(serve_venue(SYMBOLS, clock, args.bar, int(args.port)))
    else:
        with tempfile.TemporaryDirectory() as name:
            return day(args, args.folder or Path(name))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
