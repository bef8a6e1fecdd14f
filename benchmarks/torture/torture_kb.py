"""Torture of the knowledge base beyond what the test suite has time for. Prints one table; exits 1 on the first fault.

    python benchmarks/torture/torture_kb.py [calls] [kernel] [writers] [kills]

calls    every pipeline action, the process ending before each disk call in turn (in Python)
kernel   the same with strace: SIGKILL, ENOSPC and EIO at each system call of a promotion, SQLite's included
writers  8 processes x 200 saves, promotions and learnings on one base
kills    writers killed at random moments, the base checked after each
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from crash_driver_kb import SCENARIOS, picture  # noqa: E402
from helpers_kb import record  # noqa: E402
from midas_engine.kb.store import KnowledgeBase  # noqa: E402
from midas_engine.promoter.promoter import FeaturePromoter  # noqa: E402

PROMOTE = """
import sys
from midas_engine.errors import MidasError
from midas_engine.kb.store import KnowledgeBase
from midas_engine.promoter.promoter import FeaturePromoter
try:
    FeaturePromoter(KnowledgeBase(sys.argv[1])).promote("alpha", "a drill", force=True)
except MidasError as error:
    print(error)
    raise SystemExit(3)
"""
SYSTEM_CALLS = ("write", "pwrite64", "fsync", "fdatasync", "rename", "unlink", "mkdir", "ftruncate", "openat")


def calls() -> None:
    print(f"{'action':10} {'calls':>6} {'old state':>10} {'new state':>10}")
    for scenario in SCENARIOS:
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run(
                [sys.executable, str(ROOT / "tests/crash_driver_kb.py"), scenario, folder, "1"],
                capture_output=True,
                text=True,
                cwd=ROOT,
                check=False,
            )
        if done.returncode:
            raise SystemExit(done.stderr)
        report = json.loads(done.stdout)
        print(f"{scenario:10} {report['calls']:6} {report['before']:10} {report['after']:10}")


def kernel() -> None:
    if shutil.which("strace") is None:
        print("kernel: strace is not installed; skipped")
        return
    with tempfile.TemporaryDirectory() as folder:
        start = Path(folder) / "start"
        promoter = FeaturePromoter(KnowledgeBase(start))
        promoter.save_candidate(record("alpha"))
        promoter.close()
        environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(ROOT)}
        print(f"{'fault':8} {'system call':12} {'runs':>5} {'old state':>10} {'new state':>10} {'messages':>9}")
        for fault in ("signal=KILL", "error=ENOSPC", "error=EIO"):
            for call in SYSTEM_CALLS:
                if call == "openat" and fault != "signal=KILL":
                    continue  # Python itself cannot start then
                seen = {"candidate": 0, "deployed": 0}
                messages = runs = 0
                for number in _when(call):
                    work = Path(folder) / "work"
                    shutil.copytree(start, work)
                    done = subprocess.run(
                        [
                            *("strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}"),
                            *("-e", f"inject={call}:{fault}:when={number}", sys.executable, "-c", PROMOTE, str(work)),
                        ],
                        capture_output=True,
                        text=True,
                        env=environment,
                        check=False,
                    )
                    runs += 1
                    messages += done.returncode == 3
                    if "Traceback" in done.stderr:
                        raise SystemExit(f"{fault} at {call} {number}: {done.stderr}")
                    state = _whole(work, f"{fault} at {call} {number}")
                    seen[state] += 1
                    shutil.rmtree(work)
                    if done.returncode == 0:
                        break  # the call was never reached
                name = fault.partition("=")[2]
                print(f"{name:8} {call:12} {runs:5} {seen['candidate']:10} {seen['deployed']:10} {messages:9}")


def _when(call: str) -> range:
    return range(1, 2000, 23) if call == "openat" else range(1, 200)


def _whole(folder: Path, where: str) -> str:
    """The state of alpha, after a look at everything that must hold."""
    reader = picture(KnowledgeBase(folder, read_only=True))
    kb = KnowledgeBase(folder)
    if picture(kb) != reader:
        raise SystemExit(f"{where}: reader and writer disagree")
    promoter = FeaturePromoter(kb)
    promotions = [a for a in promoter.journal.actions() if a.action == "promote"]
    state = kb.feature("alpha").state.value
    faults = promoter.journal.verify()
    if faults or len(promotions) != (state == "deployed") or list(folder.rglob("*.tmp")):
        raise SystemExit(f"{where}: {state}, {len(promotions)} promotions in the journal, {faults}")
    if state == "candidate":
        promoter.promote("alpha", "a drill", force=True)
    promoter.close()
    return state


def _writer(base: Path, number: int, rounds: int) -> subprocess.Popen[str]:
    script = str(ROOT / "tests/many_writers_kb.py")
    return subprocess.Popen(
        [sys.executable, script, str(base), str(number), str(rounds)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )


def writers(count: int = 8, rounds: int = 200) -> None:
    with tempfile.TemporaryDirectory() as folder:
        kb = KnowledgeBase(Path(folder) / "kb")
        start = time.perf_counter()
        processes = [_writer(kb.path, number, rounds) for number in range(count)]
        reports = [process.communicate() for process in processes]
        if any(process.returncode for process in processes):
            raise SystemExit(next(errors for _, errors in reports if errors))
        seconds = time.perf_counter() - start
        promoter = FeaturePromoter(kb)
        won = sum(json.loads(out)["won"] for out, _ in reports)
        doubles = sum(json.loads(out)["doubles"] for out, _ in reports)
        found = (len(promoter.list_deployed()), len(promoter.list_candidates()), len(kb.learnings()), won, doubles)
        expected = (count * rounds, rounds, count * rounds, rounds, 0)
        if found != expected or promoter.journal.verify():
            raise SystemExit(f"writers: {found} instead of {expected}")
        total = count * rounds * 3 + rounds
        print(
            f"writers: {count} x {rounds}: nothing lost, nothing doubled; {total / seconds:.0f} durable writes a second"
        )


def kills(count: int = 60) -> None:
    generator = random.Random(7)
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder) / "kb"
        KnowledgeBase(base)
        slowest = 0.0
        for attempt in range(count):
            process = _writer(base, attempt, 10_000)
            time.sleep(0.4 + generator.random() * 0.8)
            os.kill(process.pid, signal.SIGKILL)
            process.communicate()
            start = time.perf_counter()
            kb = KnowledgeBase(base)
            promoter = FeaturePromoter(kb)
            slowest = max(slowest, time.perf_counter() - start)
            picture(kb)
            promoted = {a.feature for a in promoter.journal.actions() if a.action == "promote"}
            if promoted != set(promoter.list_deployed()) or promoter.journal.verify() or list(base.rglob("*.tmp")):
                raise SystemExit(f"kill {attempt}: files and journal disagree")
            promoter.close()
        print(
            f"kills: {count} random SIGKILLs; {len(promoted)} promotions, all whole; slowest recovery {slowest:.3f} s"
        )


if __name__ == "__main__":
    parts = {"calls": calls, "kernel": kernel, "writers": writers, "kills": kills}
    for wanted in sys.argv[1:] or parts:
        parts[wanted]()
