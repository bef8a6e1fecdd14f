"""What tests wait with: a program that is not served does not rest, and a stopped machine's seconds do not count."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import threading
from types import SimpleNamespace
from typing import Any

import pytest
import textual.pilot

from tests.helpers_cli import ROOT

CHILD = """
import sys, time
from tests.helpers_patience import ServedClock
began = time.monotonic()
with ServedClock() as served:
    print("go", flush=True)
    sys.stdin.readline()
    print(time.monotonic() - began - served.seconds)
"""


class Machine:
    """Lets the program compute 3 ms of every 50, for as long as it has work."""

    def __init__(self, turns_of_work: int) -> None:
        self.turns, self.work = 0, turns_of_work
        self.now = self.computed = 0.0

    def process_time(self) -> float:
        return self.computed

    async def sleep(self, _: float) -> None:
        self.turns += 1
        self.now += 0.05
        self.computed += 0.003 if self.turns <= self.work else 0.0001

    def get_running_loop(self) -> Any:
        return SimpleNamespace(time=lambda: self.now)


@pytest.mark.parametrize("turns", [0, 1, 40])
async def test_a_pause_lasts_until_the_work_is_done_however_little_the_machine_gives(
    monkeypatch: pytest.MonkeyPatch, turns: int
) -> None:
    machine, rested = Machine(turns), textual.pilot.wait_for_idle  # type: ignore[attr-defined]
    monkeypatch.setitem(rested.__globals__, "asyncio", machine)
    monkeypatch.setitem(rested.__globals__, "process_time", machine.process_time)
    await rested()
    assert machine.turns == turns + 1


async def test_a_pause_gives_up_on_a_program_that_never_rests(monkeypatch: pytest.MonkeyPatch) -> None:
    machine, rested = Machine(10_000), textual.pilot.wait_for_idle  # type: ignore[attr-defined]
    monkeypatch.setitem(rested.__globals__, "asyncio", machine)
    monkeypatch.setitem(rested.__globals__, "process_time", machine.process_time)
    await rested()
    assert machine.turns == 334  # a second of its own work


def test_seconds_in_which_the_machine_stood_still_do_not_count() -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "go\n"
    child.send_signal(signal.SIGSTOP)
    threading.Event().wait(0.5)
    child.send_signal(signal.SIGCONT)
    said, _ = child.communicate("\n", timeout=110)
    assert float(said) > 0.45


@pytest.mark.parametrize("given", [False, True], ids=["starved", "given its time"])
async def test_a_pilot_waits_as_long_as_the_machine_gives_nothing(given: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Found as a timeout in a sweep of bursts: 0.4 of its 30 s had been served, and nothing was stuck."""
    from textual.pilot import WaitForScreenTimeout

    import helpers_patience
    from helpers_tui import scripted

    class Slow:
        """A machine that serves nothing in the first tries, or everything."""

        seconds = 0.0

        def __enter__(self) -> Slow:
            return self

        def __exit__(self, *_: object) -> None:
            tries.append(self.seconds)

    tries: list[float] = []
    async with scripted() as (app, pilot, _):
        held = asyncio.Event()
        app.screen.call_later(held.wait)  # a widget that does not answer
        monkeypatch.setattr(helpers_patience, "ServedClock", Slow)
        Slow.seconds = 1.0 if given else 0.0
        if given:
            with pytest.raises(WaitForScreenTimeout):
                await pilot._wait_for_screen(0.05)
            held.set()
        else:
            asyncio.get_running_loop().call_later(0.2, held.set)
            assert await pilot._wait_for_screen(0.05)
