"""A worker that begins before it is known what it opens: it is the first that is hired, or ends with its parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import psutil
import pytest

from midas_engine.executor import ProcessExecutor, Workshop, spare
from midas_engine.settings import EvaluationSettings, ExecutorSettings, Settings
from tests import helpers_executor as work
from tests.helpers_cli import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

SETTINGS = Settings(evaluation=EvaluationSettings(workers=2))


@pytest.fixture
def waiting() -> Iterator[int]:
    spare.prepare(SETTINGS, work.process_to_load)
    (found,) = spare._WAITING
    assert found[0].pid is not None
    yield found[0].pid
    for process, connection in spare._WAITING:
        process.kill()
        connection.close()
    spare._WAITING.clear()


def test_the_first_worker_that_is_hired_is_the_one_that_waits(waiting: int) -> None:
    spare.prepare(SETTINGS, work.process_to_load)  # there is one
    assert len(spare._WAITING) == 1
    with ProcessExecutor(1, Workshop(work.Shop, ("hello",))) as executor:
        assert executor.submit(work.Shop.say, 3).result(60) == ("hello", 9)
        assert executor.submit(work.Shop.process, 0).result(60) == waiting
        os.kill(waiting, signal.SIGKILL)
        assert executor.submit(work.Shop.process, 0).result(60) != waiting
    assert not spare._WAITING


def test_one_that_died_waiting_costs_nothing(waiting: int) -> None:
    os.kill(waiting, signal.SIGKILL)
    os.waitid(os.P_PID, waiting, os.WEXITED | os.WNOWAIT)
    with ProcessExecutor(1, Workshop(work.Shop, ("hello",))) as executor:
        assert executor.submit(work.Shop.say, 3).result(60) == ("hello", 9)


def test_a_limit_of_memory_counts_from_the_first_byte(waiting: int) -> None:
    with ProcessExecutor(1, Workshop(work.Shop, ("hello",)), memory_mb=400) as executor:
        assert executor.submit(work.Shop.process, 0).result(60) != waiting


def test_none_begins_that_nobody_will_hire() -> None:
    for settings in (
        Settings(evaluation=EvaluationSettings(workers=0)),
        Settings(evaluation=EvaluationSettings(workers=2), executor=ExecutorSettings("threads")),
        Settings(evaluation=EvaluationSettings(workers=2), executor=ExecutorSettings(memory_mb=900)),
    ):
        spare.prepare(settings, work.process_to_load)
        assert not spare._WAITING


def test_one_that_nobody_hires_ends_with_who_began_it() -> None:
    code = (
        "import os, sys; from tests import helpers_executor as work; from midas_engine.executor import spare;"
        "from midas_engine.settings import EvaluationSettings, Settings;"
        "spare.prepare(Settings(evaluation=EvaluationSettings(workers=1)), work.process_to_load);"
        "print(spare._WAITING[0][0].pid, flush=True); sys.stdin.read() if len(sys.argv) > 1 else None"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stderr == ""
    assert not psutil.pid_exists(int(done.stdout))
    killed = subprocess.Popen(
        [sys.executable, "-c", code, "wait"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert killed.stdout is not None
    number = int(killed.stdout.readline())
    killed.kill()
    killed.communicate()
    until = time.monotonic() + 30
    while psutil.pid_exists(number):
        assert time.monotonic() < until
        time.sleep(0.02)
