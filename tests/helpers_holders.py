"""Processes that sit on a base's journal or lock, stopped by the kernel in the middle of it, and a base to sit on."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

from midas_engine.clock import WallClock
from midas_engine.journal import Journal
from midas_engine.kb import KnowledgeBase
from midas_engine.models import FeatureRecord, FeatureState
from midas_engine.promoter import FeaturePromoter
from tests.helpers_cli import ROOT
from tests.helpers_patience import ServedClock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_JOURNAL = """
import sqlite3, sys
raw = sqlite3.connect(sys.argv[1] + "/journal.sqlite", isolation_level=None)
raw.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.read()
"""
_LOCK = """
import sys
from midas_engine.kb import KnowledgeBase
with KnowledgeBase(sys.argv[1]).lock():
    print("held", flush=True)
    sys.stdin.read()
"""


@contextlib.contextmanager
def suspended(what: str, base: Path) -> Iterator[None]:
    """Another process holds the base's "journal" or "lock" and is stopped, as by Ctrl-Z."""
    text = {"journal": _JOURNAL, "lock": _LOCK}[what]
    holder = subprocess.Popen(
        [sys.executable, "-c", text, str(base)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline().strip() == b"held"
        os.kill(holder.pid, signal.SIGSTOP)
        yield
    finally:
        holder.kill()
        holder.communicate()


_MIDAS = """
import json, sys
from midas_engine.cli.entry import run
for line in sys.stdin:
    print("\\n" + json.dumps({"code": run(json.loads(line))}), flush=True)
"""


class OtherProcess:
    """A process that runs `midas` commands one after another: its start is paid once."""

    def __init__(self, base: Path) -> None:
        self._base = base
        self._process = subprocess.Popen(
            [sys.executable, "-c", _MIDAS], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def midas(self, *words: str) -> str:
        """Run `midas WORDS` on the base and give what it printed; it must succeed."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([*words, "--kb", str(self._base)]) + "\n")
        self._process.stdin.flush()
        said = ""
        while not (line := self._process.stdout.readline()).startswith('{"code"'):
            assert line, "the other process died"
            said += line
        assert json.loads(line) == {"code": 0}, said
        return said

    def close(self) -> None:
        """End it."""
        self._process.communicate()


async def until(true: Callable[[], object], seconds: float) -> None:
    """Wait for something that another process or thread brings about, within so many served seconds."""
    wall = WallClock()
    with ServedClock() as served:
        while not true():
            assert served.seconds < seconds, "it did not happen in time"
            await wall.sleep(0.01)


def make_base(folder: Path, *names: str) -> Path:
    """A base in which `names` are deployed."""
    kb = KnowledgeBase(folder / "kb")
    with Journal(kb.journal_path) as journal:
        promoter = FeaturePromoter(kb, journal)
        for name in names:
            promoter.save_candidate(FeatureRecord(name, "close", FeatureState.CANDIDATE))
            promoter.promote(name, "a test", force=True)
    return kb.path
