"""A day through the whole service at speed, beside one that nobody disturbs: store, signals and alarms must be equal.

    python benchmarks/torture/day_at_speed.py [--bar 1m --bars 1440] [--kills 20] [--seed 13]
    python benchmarks/torture/day_at_speed.py --bar 1h --bars 240

A venue on loopback that speaks Binance serves bars in engine time, 60 times as fast as the wall's: a day of minutes is
24 minutes, a bar a second. With hours it is 600 times, ten bars a minute. (Faster, a busy machine's delays are long in
engine time, and a bar is rightly given up.) One service follows it undisturbed. The other has three attached terminals
and a webhook that fails half the time; it and its terminals are killed (SIGKILL) so many times each. Printed: what
differs in the store, the signals by bar and the alarms, and the memory and the longest hold of the loop.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "benchmarks"), str(ROOT)]
START = datetime(2026, 1, 5, tzinfo=UTC)
FACTORS = {"1m": 60.0, "1h": 600.0}
SECONDS = {"1m": 60, "1h": 3600}
# The venue's delay on this machine is sixty times as long in engine time: a late bar of minutes is waited for.
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


def bars_of(folder: Path, bar: str) -> Any:
    """The store's bars."""
    from midas_engine.market import load_panel

    return load_panel(f"store:binance@{bar}", store=str(folder / "store"))


def started(folder: Path, venue: str, origin: float, hook: str, bar: str) -> subprocess.Popen[bytes]:
    """A service in a process of its own."""
    command = [sys.executable, __file__, "--serve", str(folder), "--venue", venue, "--origin", repr(origin)]
    log = (folder / "out.log").open("ab")
    return subprocess.Popen(
        [*command, "--hook", hook, "--bar", bar], stdout=log, stderr=log, env={**os.environ, **ENVIRON}
    )


ENVIRON = {"MIDAS_SECRET_HOOK": SECRET, "PYTHONPATH": str(ROOT)}


def compared(calm: Path, killed: Path, taken: list[int], bar: str) -> int:
    """Print what differs; how much that is."""
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
    missing = sorted(set(range(min(taken), max(taken) + 1)) - set(taken)) if taken else ["all"]
    print(f"webhook: {len(taken)} taken, {len(set(taken))} of them different, {len(missing)} missing in between")
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


def main() -> int:
    """Run and print; 1 when something differs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bar", choices=sorted(FACTORS), default="1m")
    parser.add_argument("--bars", type=int, default=1440)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=13)
    parser.add_argument("--folder", type=Path, help="keep both desks here")
    for name in ("serve", "venue", "origin", "hook"):
        parser.add_argument(f"--{name}", default="", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        asyncio.run(serve(Path(args.serve), args.venue, float(args.origin), args.hook, args.bar))
        return 0
    from scaled_clock import ScaledClock

    from helpers_outbound import LoopbackServer
    from helpers_venue import HOUR, FakeVenue, InThread
    from midas_engine.service.place import Place

    class Venue(FakeVenue):
        """Shows no bar that still runs: at this speed an answer is minutes old when it is read."""

        def _answer(self, path: str, query: dict[str, str]) -> Any:
            """An hour of the venue's world is a minute here, where minutes are asked for; funding keeps its hours."""
            rows = path.endswith("lines")
            if not rows or args.bar != "1m":
                found = super()._answer(path, query)
                return [row for row in found if row[0] + HOUR <= self.now_ms()] if rows else found
            ends, now, listed = query.get("endTime"), self.now_ms, self.listed
            asked = {**query, "interval": "1h", "startTime": str(int(query["startTime"]) * 60)}
            self.now_ms, self.listed = (lambda: now() * 60), listed * 60
            try:
                found = super()._answer(path, {**asked, **({"endTime": str(int(ends) * 60)} if ends else {})})
            finally:
                self.now_ms, self.listed = now, listed
            whole = [row for row in found if row[0] + HOUR <= now() * 60]
            return [[row[0] // 60, *row[1:6], (row[6] + 1) // 60 - 1, *row[7:]] for row in whole]

    chance, taken, asked = random.Random(args.seed), [], [0]

    def hook(method: str, path: str, headers: Any, body: bytes) -> tuple[int, bytes] | None:
        asked[0] += 1
        if path == "/calm":
            return 200, b"{}"
        if asked[0] % 2:
            return 503, b""
        taken.append(json.loads(body)["sequence"])
        return 200, b"{}"

    os.environ.update(ENVIRON)
    with tempfile.TemporaryDirectory() as name, LoopbackServer(hook) as far:
        folder = args.folder or Path(name)
        calm, killed = made(folder / "calm"), made(folder / "killed")
        clock = ScaledClock(START, FACTORS[args.bar])
        seconds = args.bars * SECONDS[args.bar] / clock.factor
        listed = int((START - timedelta(days=40 if args.bar == "1h" else 2)).timestamp() * 1000)
        with InThread(Venue(SYMBOLS, lambda: int(clock.now().timestamp() * 1000), listed=listed)) as venue:
            quiet = started(calm, venue.base, clock.origin, f"{far.url}/calm", args.bar)
            run = started(killed, venue.base, clock.origin, f"{far.url}/killed", args.bar)
            socket = str(Place(killed / "kb").socket)
            terminals = [subprocess.Popen([sys.executable, "-c", READER, socket]) for _ in range(3)]
            try:
                for number in range(args.kills):
                    due = clock.origin + seconds / (args.kills + 1) * (number + 0.5 + chance.random())
                    time.sleep(max(0.0, due - time.time()))
                    run.kill()
                    run.wait()
                    one = chance.randrange(3)
                    terminals[one].kill()
                    terminals[one].wait()
                    terminals[one] = subprocess.Popen([sys.executable, "-c", READER, socket])
                    run = started(killed, venue.base, clock.origin, f"{far.url}/killed", args.bar)
                    bar = int(clock.monotonic() / SECONDS[args.bar])
                    print(f"kill {number + 1}, bar {bar}, load {os.getloadavg()[0]:.1f}", flush=True)
                time.sleep(max(0.0, clock.origin + seconds - time.time()))
                time.sleep(20)  # what waits for the webhook
            finally:
                for process in (quiet, run, *terminals):
                    process.send_signal(signal.SIGTERM)
                for process in (quiet, run, *terminals):
                    process.wait(120)
        vitals_of(calm)
        vitals_of(killed)
        return min(1, compared(calm, killed, taken, args.bar))


if __name__ == "__main__":
    raise SystemExit(main())
