"""SIGINT, SIGTERM and a closed terminal while something long runs: the code says which, and nothing is left behind."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import signal
import subprocess
import sys
import termios
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client

from midas_engine.cli.signals import Stopped, stoppable
from tests.helpers_cli import ROOT
from tests.helpers_holders import until
from tests.helpers_patience import PATIENCE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
CARRY = "cs_rank(neg(funding_rate))"


class Started:
    """A verb in a process and a session of its own, with a folder for temporary files of its own."""

    def __init__(self, folder: Path, *arguments: str, terminal: int | None = None, **more: Any) -> None:
        self.scratch = folder / "tmp"
        self.scratch.mkdir()
        self.said = folder / "said.txt"
        self.kb = folder / "kb"
        told = self.said.open("w")
        streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": told}
        if terminal is not None:
            streams = dict.fromkeys(streams, terminal)

        def begin() -> None:
            for number in SIGNALS:
                signal.signal(number, signal.SIG_DFL)  # one that is ignored (nohup) stays ignored
            if terminal is not None:
                fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)

        self.process = subprocess.Popen(
            [sys.executable, "-m", "midas", *arguments, "--kb", str(self.kb)], cwd=ROOT, text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(self.scratch)}, preexec_fn=begin,
            start_new_session=True, **streams, **more,
        )  # fmt: skip
        told.close()

    def works(self) -> bool:
        """Whether it has its temporary folder with something in it."""
        assert self.process.poll() is None, self.said.read_text()
        return any(os.listdir(folder) for folder in self.scratch.iterdir() if folder.is_dir())

    def workers(self) -> list[int]:
        """Processes of its session."""
        found = subprocess.run(["ps", "-o", "pid=", "-g", str(self.process.pid)], capture_output=True, text=True)
        return [int(word) for word in found.stdout.split() if int(word) != self.process.pid]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Started]]:
    made: list[Started] = []

    def begin(*arguments: str, **more: Any) -> Started:
        made.append(Started(tmp_path, *arguments, **more))
        return made[-1]

    yield begin
    for started in made:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(started.process.pid, signal.SIGKILL)
        started.process.communicate()


async def _left_nothing(started: Started, number: signal.Signals) -> None:
    assert started.process.wait(60) == 128 + number
    assert "Traceback" not in started.said.read_text()
    await until(lambda: not started.workers(), PATIENCE_SECONDS)
    assert list(started.scratch.iterdir()) == []


@pytest.mark.parametrize(
    ("verb", "number"),
    [
        (("calibrate",), signal.SIGHUP),
        (("calibrate",), signal.SIGINT),
        (("compound", "--pairs", "2", "--seed", "9"), signal.SIGTERM),
    ],
)
async def test_a_long_measurement_leaves_neither_workers_nor_folders(
    start: Callable[..., Started], verb: tuple[str, ...], number: signal.Signals
) -> None:
    started = start(*verb)
    await until(started.works, PATIENCE_SECONDS)
    os.kill(started.process.pid, number)
    await _left_nothing(started, number)
    told = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated", signal.SIGHUP: "its terminal closed"}
    assert started.said.read_text().endswith(f"error: {told[number]}\n")


@pytest.mark.parametrize("number", SIGNALS)
async def test_the_door_over_http_closes_its_desk(start: Callable[..., Started], number: signal.Signals) -> None:
    started = start("mcp", "--http")
    lines = [started.process.stdout.readline().strip() for _ in range(2)]  # type: ignore[union-attr]
    token = lines[1].partition("Authorization: ")[2]
    async with (
        httpx2.AsyncClient(headers={"Authorization": token}, trust_env=False, timeout=60) as web,
        Client(streamable_http_client(lines[0], http_client=web)) as client,
    ):
        found = await client.call_tool("evaluate", {"name": "carry", "expression": CARRY})
        assert not found.is_error
        assert started.works(), "the panel that its workers read"
    os.kill(started.process.pid, number)
    await _left_nothing(started, number)
    assert started.said.read_text() == ""


@pytest.mark.parametrize("number", SIGNALS)
async def test_the_door_over_stdio_ends_too(start: Callable[..., Started], number: signal.Signals) -> None:
    started = start("mcp")
    hello = {"protocolVersion": "2025-03-26", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
    ask = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}
    started.process.stdin.write(json.dumps(ask) + "\n")  # type: ignore[union-attr]
    started.process.stdin.flush()  # type: ignore[union-attr]
    assert "result" in json.loads(started.process.stdout.readline())  # type: ignore[union-attr]
    os.kill(started.process.pid, number)
    await _left_nothing(started, number)


@pytest.mark.parametrize(
    ("verb", "ready"),
    [
        (("discover", "what predicts", "--iterations", "500"), "1 "),
        (("calibrate",), "] 0/"),
        (("mcp", "--http"), "Authorization"),
    ],
)
async def test_a_closed_terminal_ends_it_well(start: Callable[..., Started], verb: tuple[str, ...], ready: str) -> None:
    master, slave = pty.openpty()
    started = start(*verb, terminal=slave)
    os.close(slave)
    seen = ""
    while ready not in seen:
        seen += os.read(master, 65_536).decode(errors="replace")
    await until(lambda: verb[0] == "mcp" or started.works(), PATIENCE_SECONDS)
    os.close(master)  # the kernel tells the process, and every write fails from here on
    with contextlib.suppress(ProcessLookupError):
        os.kill(started.process.pid, signal.SIGHUP)  # as the shell does too
    await _left_nothing(started, signal.SIGHUP)
    if verb[0] == "discover":
        (learning,) = (started.kb / "knowledge/learnings/offline").glob("*.md")
        assert "cancelled by the operator" in learning.read_text()


def test_a_second_term_ends_at_once_and_handlers_are_put_back() -> None:
    before = [signal.getsignal(number) for number in SIGNALS]
    with pytest.raises(Stopped) as stopped, stoppable():
        signal.raise_signal(signal.SIGTERM)
    assert stopped.value.code == 143
    assert [signal.getsignal(number) for number in SIGNALS] == before
    second = (
        "import signal; from midas_engine.cli.signals import stoppable\n"
        "with stoppable():\n    try:\n        signal.raise_signal(signal.{0})\n"
        "    finally:\n        signal.raise_signal(signal.{0}); print('closed')\n"
    )
    for name, code, out in (("SIGTERM", -signal.SIGTERM, ""), ("SIGHUP", 1, "closed\n")):
        program = [sys.executable, "-c", second.format(name)]
        done = subprocess.run(
            program, cwd=ROOT, capture_output=True, text=True, check=False,
            preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),
        )  # fmt: skip
        assert (done.returncode, done.stdout) == (code, out), done.stderr


def test_under_nohup_a_closing_terminal_means_nothing() -> None:
    program = "import signal\nfrom midas_engine.cli.signals import stoppable\nwith stoppable():\n"
    program += "    signal.raise_signal(signal.SIGHUP)\nprint('on')"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),
    )  # fmt: skip
    assert done.stdout == "on\n"


def test_a_job_behind_an_ampersand_hears_the_interrupt_that_it_is_sent() -> None:
    """A shell without job control ignores it there; `kill -INT` of a service means it all the same."""
    program = """if True:
        import asyncio, signal
        from midas_engine.cli.signals import cancelling
        async def main():
            asked = asyncio.Event()
            with cancelling(lambda: asked.set() or True) as came:
                signal.raise_signal(signal.SIGINT)
                await asyncio.wait_for(asked.wait(), 30)
            print(came, signal.getsignal(signal.SIGINT) is signal.SIG_IGN)
        asyncio.run(main())
    """
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
    )  # fmt: skip
    assert done.stdout == "[130] True\n", done.stderr
