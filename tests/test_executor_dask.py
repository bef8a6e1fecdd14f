"""The same interface over a real Dask cluster: one made here, and one that runs already and asks for certificates."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import dask
import distributed
import numpy as np
import psutil
import pytest

from midas_engine.campaign import base_digest
from midas_engine.errors import SettingsError, TimeLimitError, WorkersGoneError
from midas_engine.executor import DaskExecutor, Scheduler, Task, Workshop, open_executor
from midas_engine.settings import EvaluationSettings, ExecutorSettings, Settings
from tests import helpers_executor as work
from tests.helpers_campaign import run_campaign

if TYPE_CHECKING:
    from pathlib import Path

    from midas_engine.campaign import Campaign, Progress


def test_a_cluster_of_this_machine_does_what_processes_do(tmp_path: Path) -> None:
    settings = Settings(executor=ExecutorSettings("dask"), evaluation=EvaluationSettings(workers=1))
    executor = open_executor(settings, Workshop(work.Shop, ("hello",)))
    assert isinstance(executor, DaskExecutor)
    with executor:
        assert list(executor.map(work.Shop.say, range(5))) == [("hello", k * k) for k in range(5)]
        (before,) = executor.processes
        # Loopback alone: the scheduler, the worker, and what watches over it.
        doors = [
            c.laddr.ip for pid in (os.getpid(), before) for c in psutil.Process(pid).net_connections("inet")
            if c.status == psutil.CONN_LISTEN
        ]  # fmt: skip
        assert set(doors) == {"127.0.0.1"}
        os.kill(before, signal.SIGKILL)
        assert executor.submit(work.Shop.say, 9).result(60) == ("hello", 81)
        assert executor.processes != (before,)
        with pytest.raises(TimeLimitError, match=r"the endless one took longer than 0\.2 s"):
            executor.start(Task(work.Shop.spin, name="the endless one", seconds=0.2)).result(60)
        stuck = executor.submit(work.Shop.spin)
        executor.close()
        with pytest.raises(WorkersGoneError, match="ended before"):
            stuck.result(10)
    assert executor.processes == ()
    with pytest.raises(RuntimeError, match="shut down"):
        executor.submit(work.Shop.say, 1)


def test_a_worker_lets_tasks_compute_and_what_is_mapped_counts_against_no_limit(tmp_path: Path) -> None:
    """Heaps were given back at every small array, a clock ticked 50 times a second, and a panel larger than the limit
    got its workers killed one after the other."""
    np.save(tmp_path / "panel.npy", np.ones(40_000_000))
    with DaskExecutor(1, Workshop(work.Mapped, (str(tmp_path / "panel.npy"),)), memory_mb=300, patience=60) as executor:
        totals = [executor.submit(work.Mapped.total) for _ in range(2)]
        assert [total.result(60) for total in totals] == [40_000_000.0] * 2
    with DaskExecutor(1, memory_mb=300) as executor:
        assert executor.submit(work.faults_of_sorting, 100).result(60) < 1000
        assert min(executor.submit(work.wakes_of_dask).result(60).values()) >= 500
        with pytest.raises(MemoryError):
            executor.submit(work.allocate, 600).result(60)
        assert executor.submit(work.allocate, 1).result(60) == 125_000


def test_a_worker_that_stays_is_slowed_once_however_many_runs_it_serves() -> None:
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, host="127.0.0.1", protocol="tcp://", dashboard_address="127.0.0.1:0",
        silence_logs=50,
    ) as cluster:  # fmt: skip
        seen = list[int]()
        with distributed.Client(cluster) as client:
            for _ in range(2):
                with DaskExecutor(1, scheduler=Scheduler(cluster.scheduler_address)) as executor:
                    executor.submit(work.process).result(60)
                seen += client.run(work.niceness).values()  # in its loop, where it is settled
    assert seen[0] == seen[1]


def test_a_worker_that_dies_before_it_has_its_workshop_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    executor = DaskExecutor(1, Workshop(work.Shop, ("hello",)))
    plain, killed = distributed.Client.register_plugin, list[int]()

    def register(client: distributed.Client, *args: object, **kwargs: object) -> object:
        if not killed:
            killed.extend(executor.processes)
            os.kill(killed[0], signal.SIGKILL)
        return plain(client, *args, **kwargs)

    monkeypatch.setattr(distributed.Client, "register_plugin", register)
    with executor:
        assert executor.submit(work.Shop.say, 3).result(60) == ("hello", 9)


def test_a_campaign_on_a_scheduler_elsewhere_concludes_the_same_though_a_worker_is_killed(tmp_path: Path) -> None:
    security = distributed.Security.temporary()
    for name in ("tls_ca_file", "tls_client_cert", "tls_client_key"):
        (tmp_path / name).write_text(getattr(security, name))
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, host="127.0.0.1", protocol="tls://", security=security,
        dashboard_address="127.0.0.1:0", silence_logs=50,
    ) as cluster:  # fmt: skip
        there = ExecutorSettings(
            "dask", 0, cluster.scheduler_address,
            *(str(tmp_path / name) for name in ("tls_ca_file", "tls_client_cert", "tls_client_key")),
        )  # fmt: skip
        started, killed = list["Campaign"](), list[int]()

        def kill(progress: Progress) -> None:
            if not killed:
                killed.append(next(iter(cluster.workers.values())).pid)
                os.kill(killed[0], signal.SIGKILL)

        run_campaign(tmp_path / "there", workers=1, executor=there, started=started, progress=kill)
    assert killed
    run_campaign(tmp_path / "here")
    assert base_digest(tmp_path / "there") == base_digest(tmp_path / "here")


def test_no_task_leaves_without_certificates() -> None:
    for scheduler, message in (
        (Scheduler("tls://far:8786"), "no certificates for the scheduler tls://far:8786"),
        (Scheduler("tcp://far:8786"), "takes tasks from anyone who reaches it"),
        (Scheduler("far:8786"), "executor.scheduler = 'far:8786'"),
    ):
        with pytest.raises(SettingsError, match=message):
            DaskExecutor(1, scheduler=scheduler)
    Scheduler("tcp://127.0.0.1:8786").check()


def test_a_scheduler_without_workers_and_one_that_goes_away_are_said(tmp_path: Path) -> None:
    """Else their tasks would wait for ever. Nothing is concluded of the tasks."""
    where = tmp_path / "scheduler.json"
    process = subprocess.Popen(
        [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0",
         "--no-dashboard", "--scheduler-file", str(where)], stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        while not where.exists() or not where.read_text().endswith("}"):
            assert process.poll() is None
            time.sleep(0.02)
        there = Scheduler(json.loads(where.read_text())["address"])
        with DaskExecutor(1, scheduler=there, patience=0.3) as nobody:
            waits = nobody.submit(work.Shop.say, 1)
            with pytest.raises(WorkersGoneError, match=r"the scheduler tcp://.* had no worker for 0\.3 s"):
                waits.result(30)
        executor = DaskExecutor(1, scheduler=there)
        waits = executor.submit(work.Shop.say, 1)
        process.kill()
        with pytest.raises(WorkersGoneError, match=r"the scheduler tcp://.* went away"):
            waits.result(30)
        with pytest.raises(WorkersGoneError, match="went away"):
            executor.submit(work.Shop.say, 2)
        assert not logging.getLogger("distributed.client").isEnabledFor(logging.ERROR)  # a page of calls hid the words
        executor.close()
    finally:
        process.kill()
        process.wait()
    with dask.config.set({"distributed.comm.timeouts.connect": "0.3s"}):
        executor = DaskExecutor(1, scheduler=there)
        with pytest.raises(WorkersGoneError, match=r"the scheduler tcp://.* does not answer"):
            executor.submit(work.Shop.say, 1)
        executor.close()


def test_a_worker_with_another_program_computes_nothing() -> None:
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, host="127.0.0.1", protocol="tcp://",
        dashboard_address="127.0.0.1:0", silence_logs=50,
    ) as cluster:  # fmt: skip
        executor = DaskExecutor(1, Workshop(work.Shop, ("hello",)), scheduler=Scheduler(cluster.scheduler_address))
        executor._workshop._program |= {"Midas": "0.0.1, source 00000000"}
        with executor, pytest.raises(WorkersGoneError, match=r"has Midas .* and not 0\.0\.1, source 00000000: it may"):
            executor.submit(work.Shop.say, 1).result(30)
