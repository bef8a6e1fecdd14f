"""What hangs has a time: a worker that never opens its data, a scheduler or a worker elsewhere that answers no more."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from midas_engine.errors import WorkersGoneError
from midas_engine.executor import DaskExecutor, ProcessExecutor, Scheduler, ThreadExecutor, Workshop
from tests import helpers_executor as work
from tests.helpers_cli import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def test_a_process_that_hangs_while_it_opens_its_data_is_replaced(tmp_path: Path) -> None:
    """It had no time limit: its task, and who waited for that, waited for ever."""
    with ProcessExecutor(1, Workshop(work.hanging_shop, (str(tmp_path), 1)), opening_seconds=5) as executor:
        assert executor.submit(work.Shop.say, 3).result(60) == ("open at last", 9)
    assert len(list(tmp_path.glob("hung-*"))) == 1


def test_where_no_process_ever_opens_its_data_that_is_said(tmp_path: Path) -> None:
    workshop = Workshop(work.hanging_shop, (str(tmp_path), 99))
    with ProcessExecutor(1, workshop, tries=2, opening_seconds=5) as executor:
        waiting = [executor.submit(work.Shop.say, k) for k in range(3)]
        for future in waiting:
            with pytest.raises(WorkersGoneError, match="each of 2 workers in a row did not open its data within 5 s"):
                future.result(60)
    assert executor.processes == ()


def test_a_thread_that_hangs_while_it_opens_its_data_keeps_nobody_waiting(tmp_path: Path) -> None:
    executor = ThreadExecutor(1, Workshop(work.hanging_shop, (str(tmp_path), 99)), opening_seconds=0.2)
    for future in [executor.submit(work.Shop.say, k) for k in range(3)]:
        with pytest.raises(WorkersGoneError, match=r"a worker did not open its data within 0\.2 s") as told:
            future.result(10)
    assert "executor.opening_seconds" in told.value.hint
    with pytest.raises(WorkersGoneError, match="did not open"):
        executor.submit(work.Shop.say, 4)
    executor.close()


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[tuple[Scheduler, subprocess.Popen[bytes], subprocess.Popen[bytes]]]:
    """A scheduler and a worker of one's own, each a process that can be stopped."""
    where, started = tmp_path / "scheduler.json", list[subprocess.Popen[bytes]]()

    def start(*words: str) -> None:
        command = [sys.executable, "-m", *words, "--no-dashboard"]
        started.append(subprocess.Popen(command, stderr=subprocess.DEVNULL, cwd=ROOT))

    start("distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--scheduler-file", str(where))
    try:
        while not where.exists() or not where.read_text().endswith("}"):
            assert started[0].poll() is None
            time.sleep(0.02)
        address = json.loads(where.read_text())["address"]
        start("distributed.cli.dask_worker", address, "--nthreads", "1", "--no-nanny")
        yield Scheduler(address), started[0], started[1]
    finally:
        for process in started:
            process.kill()
            process.wait()


def test_a_worker_of_dask_that_never_opens_its_data_is_said(
    tmp_path: Path, cluster: tuple[Scheduler, subprocess.Popen[bytes], subprocess.Popen[bytes]]
) -> None:
    scheduler, _, worker = cluster
    workshop = Workshop(work.hanging_shop, (str(tmp_path), 99))
    with DaskExecutor(1, workshop, scheduler=scheduler, opening_seconds=10) as executor:
        with pytest.raises(WorkersGoneError, match="did not open its data within 10 s"):
            executor.submit(work.Shop.say, 1).result(60)
        worker.wait(30)  # what it does cannot be stopped


def test_a_scheduler_that_hangs_is_said_and_keeps_nobody_from_leaving(
    monkeypatch: pytest.MonkeyPatch, cluster: tuple[Scheduler, subprocess.Popen[bytes], subprocess.Popen[bytes]]
) -> None:
    """Stopped, it takes what it is sent and answers nothing: no line breaks, and everybody waited for ever."""
    monkeypatch.setattr("midas_engine.executor.dask_executor._PARTING", 0.3)
    scheduler, hangs, _ = cluster
    executor = DaskExecutor(1, Workshop(work.Shop, ("hello",)), scheduler=scheduler, patience=10)
    assert executor.submit(work.Shop.say, 2).result(60) == ("hello", 4)
    executor._patience = 1.0
    hangs.send_signal(signal.SIGSTOP)
    with pytest.raises(WorkersGoneError, match=r"the scheduler tcp://.* has not answered for 1 s") as told:
        executor.submit(work.Shop.say, 3).result(60)
    assert "does it hang?" in told.value.hint
    executor.close()
    late = DaskExecutor(1, Workshop(work.Shop, ("hello",)), scheduler=scheduler, opening_seconds=1)
    with pytest.raises(WorkersGoneError, match="has not answered for 1 s"):
        late.submit(work.Shop.say, 3)
    late.close()


def test_a_worker_elsewhere_that_hangs_at_the_start_is_said(
    monkeypatch: pytest.MonkeyPatch, cluster: tuple[Scheduler, subprocess.Popen[bytes], subprocess.Popen[bytes]]
) -> None:
    monkeypatch.setattr("midas_engine.executor.dask_executor._PARTING", 0.3)
    scheduler, _, hangs = cluster
    with DaskExecutor(1, Workshop(work.Shop, ("hello",)), scheduler=scheduler) as executor:
        assert executor.submit(work.Shop.say, 2).result(60) == ("hello", 4)
    hangs.send_signal(signal.SIGSTOP)
    executor = DaskExecutor(1, Workshop(work.Shop, ("hello",)), scheduler=scheduler, opening_seconds=3)
    with pytest.raises(WorkersGoneError, match="workers of the scheduler .* were not ready within 3 s"):
        executor.submit(work.Shop.say, 3)
    executor.close()
