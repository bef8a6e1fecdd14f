"""Kills on their way out under faults: real files, real sockets, a far side that counts distinct effects.

python benchmarks/torture/torture_kills_out.py --faults 10000 --seed 7 [--workers 3]

Each fault is one kill. A third of them dies by SIGKILL in a process of its own at one of the steps (the kill on disk
and nothing else, half an outbox line, the order on disk, sent and not answered, answered and not on disk), and the next
process goes on. The others meet a far side that is down, drops the request or its answer, gets it twice, gets an older
order late, or lies: 200 without an acknowledgement, one of another order, one that is not signed. Or it obeys and then
forgets all it knew, as one that was restarted on an empty disk: every kill so far has to come to it again.

Lost: a kill that holds and had no effect. Doubled: a key with two effects on a far side that knew it. Unlatched: a
feature whose far side does not hold it stopped at the end, or whose order is not acknowledged on disk. The time is from
the kill on disk to its acknowledgement on disk, of kills without a fault, with the far side on loopback.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import shutil
import signal
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from midas_engine.clock import WallClock
from midas_engine.executor import ProcessExecutor
from midas_engine.outbound import outbox as outbox_module
from midas_engine.outbound import outputs_of
from midas_engine.outbound.kill_output import KillOutput
from midas_engine.outbound.order import Order
from midas_engine.outbound.outbox import Outbox
from midas_engine.outbound.signing import headers
from midas_engine.outbound.webhook import Webhook
from midas_engine.outbound_settings import OutboundSettings

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from tests.helpers_outbound import SECRET, FarSide, source_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from midas_engine.outbound import Outputs
    from midas_engine.outbound.order import Receipt

CRASHES = ("kill on disk", "half a line", "order on disk", "sent", "answered", "acknowledged on disk")
FAULTS = ("down", "drop", "silent", "double", "late", "empty", "wrong", "forged", "forgets")
LEASE_SECONDS = 1.5
"""Three heartbeats in it: whether the far side holds its orders is asked every half second."""
BATCH = 100


@dataclass
class Tally:
    """What became of the kills."""

    by_fault: Counter[str] = field(default_factory=Counter)
    lost: int = 0
    doubled: int = 0
    unlatched: int = 0
    late_taken: int = 0
    seconds: list[float] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        """Take in another's."""
        self.by_fault += other.by_fault
        self.seconds += other.seconds
        self.lost, self.doubled = self.lost + other.lost, self.doubled + other.doubled
        self.unlatched, self.late_taken = self.unlatched + other.unlatched, self.late_taken + other.late_taken


def run(faults: int, seed: int, quiet: bool = False, workers: int = 1) -> Tally:
    """So many faults, in rounds of a hundred; each round has its own desk and far side, and waits most of its time."""
    sizes = [min(BATCH, faults - begun) for begun in range(0, faults, BATCH)]
    tally, done = Tally(), 0
    seeds = [f"{seed} {number}" for number in range(len(sizes))]
    with contextlib.ExitStack() as stack:
        over: Callable[..., Iterable[Tally]] = map
        if workers > 1:
            over = stack.enter_context(ProcessExecutor(workers)).map
        for number, part in enumerate(over(_drill, sizes, seeds), 1):
            tally.add(part)
            done += sizes[number - 1]
            if not quiet and number % 10 == 0:
                print(
                    f"{done} faults: lost {tally.lost}, doubled {tally.doubled}, unlatched {tally.unlatched}",
                    flush=True,
                )
    return tally


def _drill(size: int, seed: str) -> Tally:
    """One round."""
    os.environ["MIDAS_SECRET_DESK"] = SECRET
    rng, tally, crashes = random.Random(seed), Tally(), size // 3
    folder = Path(tempfile.mkdtemp(prefix="midas-kills-out-"))
    try:
        _round(folder, rng, crashes, size - crashes, tally)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return tally


def _round(folder: Path, rng: random.Random, crashes: int, others: int, tally: Tally) -> None:
    far = FarSide(folder)
    settings = OutboundSettings(kills={"desk": f"webhook:{far.server.url}"}, lease_seconds=LEASE_SECONDS)
    keys: dict[str, str] = {}
    try:
        for number in range(crashes):
            step = rng.choice(CRASHES)
            tally.by_fault[f"crash: {step}"] += 1
            name = f"crash_{number}"
            _dying_process(folder, settings, name, step)
            keys[name] = source_of(folder / "kb").kb.kill_file.read().kills[name].id
        asyncio.run(_living_process(folder, settings, far, keys, rng, others, tally))
    finally:
        far.server.close()
    held = source_of(folder / "kb").kb.kill_file.read().kills
    box = Outbox(folder / "kb" / "outbound" / "desk.log")
    box.load()
    effects = Counter[str]()
    for life in (*far.past, far.effects):
        now = Counter(key for key, action, _ in life if action == "kill")
        tally.doubled += sum(count > 1 for count in now.values())
        effects += now
    tally.lost += sum(effects[kill.id] == 0 for kill in held.values())
    acknowledged = {p.order.key for p in box.posted.values() if p.state == "acknowledged"}
    tally.unlatched += sum(
        name not in far.receiver.stopped or kill.id not in acknowledged for name, kill in held.items()
    )
    tally.lost += len(set(keys) - set(held))
    every = [effect for life in (*far.past, far.effects) for effect in life]
    tally.late_taken += sum(action == "resume" for _, action, _ in every)


# -- crashes: a process of its own, which dies at the step ---------------------------------------------


def _dying_process(folder: Path, settings: OutboundSettings, name: str, step: str) -> None:
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    try:  # the child never returns
        _die_at(step)
        asyncio.run(_kill_and_wait(folder, settings, name, step))
    finally:
        os.kill(os.getpid(), signal.SIGKILL)


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _die_at(step: str) -> None:
    """Put the death into the step of this process."""
    post, settle, deliver = Outbox.post, Outbox.settle, Webhook.deliver

    def half(path: Path, data: bytes) -> bool:
        with path.open("ab") as file:
            file.write(data[: len(data) // 2])
        _die()
        return True

    def posted(self: Outbox, order: Order, at: str) -> object:
        post(self, order, at)
        _die()
        return None

    async def asked(self: Webhook, order: Order, stopped: tuple[str, ...]) -> Receipt:
        if step == "sent":
            asyncio.get_running_loop().call_later(0.002, _die)
        answer = await deliver(self, order, stopped)
        if step in ("sent", "answered"):
            _die()
        return answer

    def settled(self: Outbox, *args: str) -> None:
        settle(self, *args)
        _die()

    changes: Mapping[str, Callable[[], None]] = {
        "half a line": lambda: setattr(outbox_module, "append_synced", half),
        "order on disk": lambda: setattr(Outbox, "post", posted),
        "sent": lambda: setattr(Webhook, "deliver", asked),
        "answered": lambda: setattr(Webhook, "deliver", asked),
        "acknowledged on disk": lambda: setattr(Outbox, "settle", settled),
    }
    changes.get(step, lambda: None)()


async def _kill_and_wait(folder: Path, settings: OutboundSettings, name: str, step: str) -> None:
    source = source_of(folder / "kb")
    source.kb.kill_file.latch(name, reason="drill", actor="operator", at=source.clock.now())
    if step == "kill on disk":
        _die()
    outputs = outputs_of(settings, source)
    await outputs.start()
    await asyncio.sleep(20)  # it dies before


# -- the far side's faults -------------------------------------------------------------------------------


async def _living_process(
    folder: Path,
    settings: OutboundSettings,
    far: FarSide,
    keys: dict[str, str],
    rng: random.Random,
    others: int,
    tally: Tally,
) -> None:
    source = source_of(folder / "kb")
    outputs = outputs_of(settings, source)
    await outputs.start()
    kills = source.kb.kill_file
    await _all_acknowledged(outputs, set(keys.values()))
    for number in range(others):
        fault, name = rng.choice(FAULTS), f"other_{number}"
        tally.by_fault[fault] += 1
        if fault == "late":
            _late(far, name)
        elif fault != "forgets":
            far.fault.extend([fault] * (1 if fault == "double" else rng.randint(1, 3)))
        keys[name] = kills.latch(name, reason="drill", actor="operator", at=source.clock.now()).id
        if fault in ("late", "forgets") or rng.random() < 0.3:  # else several are on their way at once
            await _all_acknowledged(outputs, set(keys.values()))
            if fault == "late":
                _late(far, name)
            elif fault == "forgets":
                far.forget()
                if rng.random() < 0.5:  # else it goes on at once, and the next kill is the first that it knows
                    await _held_again(far, set(keys))
    await _held_again(far, set(keys))
    await _all_acknowledged(outputs, set(keys.values()))
    far.fault.clear()
    wall = WallClock()
    begun = wall.monotonic()
    key = kills.latch("clean", reason="drill", actor="operator", at=source.clock.now()).id
    await _all_acknowledged(outputs, {key})
    tally.seconds.append(wall.monotonic() - begun)
    await outputs.close()


def _late(far: FarSide, name: str) -> None:
    """An order from before, held back on the way and signed all the same, comes after the kill."""
    order = Order(f"{name}:resume:1", 1, "resume", name)
    body = json.dumps(order.document("desk")).encode()
    stamp = str(WallClock().now().timestamp())
    if name in far.receiver.stopped:
        assert far.receiver.receive(headers(SECRET, stamp, os.urandom(8).hex(), order.key, body), body)[0] == 200


async def _held_again(far: FarSide, names: set[str]) -> None:
    async with asyncio.timeout(120):
        while not names <= far.receiver.stopped:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def _all_acknowledged(outputs: Outputs, keys: set[str]) -> None:
    (output,) = outputs.outputs
    assert isinstance(output, KillOutput)
    posted = output.deliveries[0].outbox.posted
    async with asyncio.timeout(120):
        while not all(key in posted and posted[key].state == "acknowledged" for key in keys):  # noqa: ASYNC110
            await asyncio.sleep(0.002)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faults", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--workers", type=int, default=1, help="rounds side by side")
    given = parser.parse_args()
    wall = WallClock()
    begun = wall.monotonic()
    tally = run(given.faults, given.seed, workers=given.workers)
    for fault, count in sorted(tally.by_fault.items()):
        print(f"{fault:32} {count:6}")
    seconds = sorted(tally.seconds)
    print(f"faults {sum(tally.by_fault.values())}, in {wall.monotonic() - begun:.0f} s")
    print(f"lost {tally.lost}, doubled {tally.doubled}, unlatched {tally.unlatched}, late taken {tally.late_taken}")
    p99 = seconds[min(len(seconds) - 1, int(0.99 * len(seconds)))]
    print(f"disk to acknowledgement: median {seconds[len(seconds) // 2]:.3f} s, p99 {p99:.3f} s ({len(seconds)} kills)")
    sys.exit(1 if tally.lost or tally.doubled or tally.unlatched or tally.late_taken or p99 > 1.0 else 0)


if __name__ == "__main__":
    main()
