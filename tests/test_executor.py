"""One interface to workers: the same answers whoever does the work, and whoever dies at it."""

from __future__ import annotations

import dataclasses
import io
import os
import re
import signal
import sys
import time
from concurrent.futures import CancelledError, Executor
from multiprocessing.reduction import ForkingPickler
from typing import TYPE_CHECKING

import numpy as np
import pytest

from midas_engine.errors import DataError, EvaluationError, TimeLimitError, WorkerLostError, WorkersGoneError
from midas_engine.evaluator import DEFAULT_THRESHOLDS
from midas_engine.executor import ProcessExecutor, Task, ThreadExecutor, Workshop, open_executor, worker_count
from midas_engine.loops.worker import PanelJudge, open_judge
from midas_engine.market import SyntheticMarket
from midas_engine.market.shared_panel import SharedPanel
from midas_engine.proposer import Proposal
from midas_engine.settings import EvaluationSettings, ExecutorSettings, Settings
from tests import helpers_executor as work
from tests.helpers_cli import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def pool() -> Iterator[ProcessExecutor]:
    with ProcessExecutor(2, Workshop(work.Shop, ("hello",))) as executor:
        yield executor


def test_threads_and_processes_say_the_same(pool: ProcessExecutor) -> None:
    with ThreadExecutor(2, Workshop(work.Shop, ("hello",))) as threads:
        for executor in (threads, pool):
            assert isinstance(executor, Executor)
            futures = [executor.submit(work.Shop.say, k) for k in range(20)]
            assert [f.result(30) for f in futures] == [("hello", k * k) for k in range(20)]
            assert list(executor.map(work.Shop.say, range(3))) == [("hello", 0), ("hello", 1), ("hello", 4)]


def test_a_worker_that_is_killed_costs_its_task_only_time(tmp_path: Path) -> None:
    with ProcessExecutor(1) as executor:
        futures = [executor.submit(work.die_first, str(tmp_path), k, 1 if k in (0, 2) else 0) for k in range(5)]
        assert [f.result(60) for f in futures] == [0, 1, 2, 3, 4]
    assert len(list(tmp_path.glob("died-*"))) == 2
    # Handed out again in its place: nothing that came later overtook it.
    assert (tmp_path / "order.txt").read_text().split() == ["0", "1", "2", "3", "4"]


def test_the_other_workers_notice_nothing(pool: ProcessExecutor, tmp_path: Path) -> None:
    first, other = (f.result(60) for f in [pool.submit(work.meet, str(tmp_path), k) for k in range(2)])
    assert {first, other} == set(pool.processes)
    os.kill(first, signal.SIGKILL)
    assert [f.result(60) for f in [pool.submit(work.Shop.say, k) for k in range(50)]][-1] == ("hello", 49 * 49)
    assert other in pool.processes
    assert first not in pool.processes


def test_a_task_that_no_worker_survives_is_named_and_the_rest_is_done(tmp_path: Path) -> None:
    with ProcessExecutor(1, tries=2) as executor:
        bad = executor.start(Task(work.die_first, (str(tmp_path), 7, 99), name="the greedy one"))
        good = executor.submit(work.die_first, str(tmp_path), 8, 0)
        with pytest.raises(WorkerLostError, match="the greedy one cost 2 workers"):
            bad.result(60)
        assert good.result(60) == 8
    assert Task(work.fail, ("x",)).title == "fail('x')"


def test_workers_that_cannot_begin_say_why() -> None:
    executor = ProcessExecutor(1, Workshop(work.broken_shop, ("glass",)))
    with executor, pytest.raises(WorkersGoneError, match="no worker can begin: ValueError: no workshop for glass"):
        executor.submit(work.Shop.say, 1).result(60)
    executor = ProcessExecutor(1, Workshop(work.deadly_shop, ("glass",)), tries=2)
    with executor, pytest.raises(WorkersGoneError, match="2 workers in a row died before they could begin"):
        executor.submit(work.Shop.say, 1).result(60)


def test_a_task_that_takes_too_long_costs_its_worker(pool: ProcessExecutor) -> None:
    pool.submit(work.Shop.say, 1).result(30)
    with ProcessExecutor(1) as executor:
        old = executor.submit(work.process).result(60)
        with pytest.raises(TimeLimitError, match=r"the endless one took longer than 0\.2 s"):
            executor.start(Task(work.forever, name="the endless one", seconds=0.2)).result(60)
        assert executor.submit(work.process).result(60) != old
    threads = ThreadExecutor(1)
    with pytest.raises(TimeLimitError):
        threads.start(Task(time.sleep, (0.5,), seconds=0.02)).result(10)
    threads.close()


@pytest.mark.skipif(sys.platform != "linux", reason="the limit on a process's own data is Linux's")
def test_a_worker_with_too_little_memory_says_how_much_it_needs() -> None:
    """In less, the first to fail was Python's parser of the task's own module: a syntax error where there is none."""
    for megabytes in (20, 100, 150):
        with ProcessExecutor(1, memory_mb=megabytes) as executor:
            future = executor.submit(work.load_blas)
            with pytest.raises(WorkersGoneError, match=f"may have {megabytes} MB and needs [0-9]+") as caught:
                future.result(30)
    enough = int(caught.value.hint.split(" at least")[0].rsplit(" ", 1)[1])
    with ProcessExecutor(1, memory_mb=enough + 1) as executor:
        assert executor.submit(work.load_blas).result(60) == 4.0


@pytest.mark.skipif(sys.platform != "linux", reason="the limit on a process's own data is Linux's")
def test_what_fails_in_a_full_worker_is_said_to_be_memory() -> None:
    with ProcessExecutor(1, memory_mb=400) as executor:
        with pytest.raises(MemoryError, match="SyntaxError: expected ':'"):
            executor.submit(work.fail_full).result(60)
        with pytest.raises(SyntaxError):
            executor.submit(work.fail_parsing).result(60)


@pytest.mark.skipif(sys.platform != "linux", reason="the limit on a process's own data is Linux's")
def test_memory_beyond_the_limit_is_an_error_of_its_task() -> None:
    with ProcessExecutor(1, memory_mb=400) as executor:
        with pytest.raises(MemoryError):
            executor.submit(work.allocate, 600).result(60)
        assert executor.submit(work.allocate, 8).result(60) == 1_000_000


def test_errors_come_back_with_where_they_were_raised(pool: ProcessExecutor) -> None:
    with ProcessExecutor(1) as executor:
        with pytest.raises(KeyError) as caught:
            executor.submit(work.fail, "word").result(60)
        assert "helpers_executor.py" in "".join(caught.value.__notes__)
        with pytest.raises(EvaluationError, match="what it gave back cannot leave the worker"):
            executor.submit(work.give_lambda).result(60)
        with pytest.raises(Exception, match="pickle"):
            executor.submit(lambda: 1).result(60)
        assert executor.submit(work.process).result(60)


def test_the_end_leaves_no_process_and_no_future_waiting() -> None:
    executor = ProcessExecutor(1)
    stuck, later = executor.submit(work.forever), executor.submit(work.process)
    executor.submit(work.process).cancel()
    executor.close()
    for future in (stuck, later):
        with pytest.raises((WorkerLostError, CancelledError)):
            future.result(10)
    assert executor.processes == ()
    with pytest.raises(RuntimeError, match="shut down"):
        executor.submit(work.process)


def test_an_error_ends_what_runs_and_does_not_wait_for_it() -> None:
    executor = ProcessExecutor(1)

    def fall_over() -> None:
        with executor:
            executor.submit(work.forever)
            raise ValueError("on purpose")

    with pytest.raises(ValueError, match="on purpose"):
        fall_over()
    assert executor.processes == ()


def test_a_task_is_a_few_words_whatever_the_panel(tmp_path: Path) -> None:
    panel = SyntheticMarket(3, bars=4000, symbols=14).panel()
    shared = SharedPanel.write(panel, tmp_path, source="synthetic:3")
    settings = Settings()
    tasks = (
        Task(PanelJudge.judge, (Proposal("carry", "-cs_zscore(funding_rate)"), "research", 10, DEFAULT_THRESHOLDS, {})),
        Task(PanelJudge.screened, (["cs_rank(ts_mean(close, 24))"] * 30,)),
        Workshop(open_judge, (shared, settings, {"carry": "-cs_zscore(funding_rate)"})),
    )
    for task in tasks:
        sent = io.BytesIO()
        ForkingPickler(sent).dump(task)
        assert len(sent.getvalue()) < 6000, task
    copy = shared.open()
    assert isinstance(copy.values("close").base, np.memmap) or copy.values("close").base is not None
    assert copy.snapshot_id == panel.snapshot_id


def test_a_worker_refuses_other_data_than_it_was_started_on(tmp_path: Path) -> None:
    panel = SyntheticMarket(3, bars=4000, symbols=14).panel()
    shared = SharedPanel.write(panel, tmp_path)
    with pytest.raises(DataError, match="is not the data this was started on"):
        dataclasses.replace(shared, snapshot="0" * 16).open()
    with pytest.raises(DataError, match="no panel at .* on this machine"):
        dataclasses.replace(shared, folder=str(tmp_path / "gone")).open()
    with pytest.raises(DataError, match="sample-1m is not the data"):
        dataclasses.replace(shared, folder=str(tmp_path / "gone"), source="sample-1m").open()


def test_the_settings_choose() -> None:
    def chosen(kind: str, workers: int) -> object:
        settings = Settings(
            executor=ExecutorSettings(kind, memory_mb=900), evaluation=EvaluationSettings(workers=workers)
        )
        return open_executor(settings)

    assert isinstance(chosen("processes", 2), ProcessExecutor)
    assert isinstance(chosen("threads", 2), ThreadExecutor)
    assert isinstance(chosen("processes", 0), ThreadExecutor)
    assert 1 <= worker_count() <= (os.cpu_count() or 1)


def test_nothing_goes_past_the_executor() -> None:
    """Processes that do work are started in one way: simulations and drills of ours too."""
    files = [p for folder in ("midas_engine", "midas_tui", "benchmarks") for p in (ROOT / folder).rglob("*.py")]
    assert len(files) > 500
    past = [p.name for p in files if re.search(r"ProcessPoolExecutor|multiprocessing import .*\bPool\b", p.read_text())]
    assert past == []
