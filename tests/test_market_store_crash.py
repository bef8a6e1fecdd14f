"""The market store after a death at every file-system call: the old content or the new one, whole, and sound."""

from __future__ import annotations

import builtins
import errno
import hashlib
import os
import shutil
import signal
import subprocess
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from midas_engine.clock import ManualClock
from midas_engine.errors import DataError
from midas_engine.market.store import MarketStore, Provenance
from tests.helpers_cli import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NOW = datetime(2026, 3, 1, tzinfo=UTC)
GIVEN = Provenance("fetched", "binance", "candles", NOW)
CALLS = ("replace", "rename", "unlink", "rmdir", "mkdir", "fsync", "open", "write")


def bars(start: str, count: int, value: float, column: str = "close") -> dict[str, Any]:
    times = np.datetime64(start, "ns") + np.arange(count) * np.timedelta64(1, "h")
    return {"timestamp": times, column: np.full(count, value)}


class Killed(BaseException):
    """The process is gone: no handler may do anything any more."""


class Fate:
    """Lets `calls` file-system calls pass, then none: what a power cut or a SIGKILL leaves is what is on the disk."""

    def __init__(self, patch: pytest.MonkeyPatch, folder: Path, calls: int, error: BaseException) -> None:
        self.left, self.error, self.folder = calls, error, str(folder)
        self.once = isinstance(error, OSError)
        for name in CALLS:
            patch.setattr(os, name, self.meeting(getattr(os, name)))
        patch.setattr(builtins, "open", self.opening(builtins.open))

    def pay(self) -> None:
        self.left -= 1
        if self.left == -1 or (self.left < 0 and not self.once):
            raise self.error

    def meeting(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def met(*args: Any, **kwargs: Any) -> Any:
            self.pay()
            return call(*args, **kwargs)

        return met

    def opening(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def opened(file: Any, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
            if not str(file).startswith(self.folder) or "w" not in mode:
                return call(file, mode, *args, **kwargs)
            self.pay()
            return Torn(call(file, mode, *args, **kwargs), self)

        return opened


class Torn:
    """A file whose writes may end half-way."""

    def __init__(self, stream: Any, fate: Fate) -> None:
        self.stream, self.fate = stream, fate

    def write(self, data: Any) -> int:
        try:
            self.fate.pay()
        except BaseException:
            self.stream.write(bytes(data)[: len(data) // 2])
            self.stream.flush()
            raise
        return int(self.stream.write(data))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    def __enter__(self) -> Torn:
        return self

    def __exit__(self, *_: object) -> None:
        self.stream.close()


def append(store: MarketStore) -> None:
    fresh = {"A": bars("2025-01-31T12", 24, 7.0), "N": bars("2025-02-01", 3, 1.0)}
    store.append("x", "1h", fresh, GIVEN)


def compact(store: MarketStore) -> None:
    store.compact()


def prune(store: MarketStore) -> None:
    store.prune("store:x", before=np.datetime64("2025-01-20"))


def seal(store: MarketStore) -> None:
    origin = store.panel("store:x").origin
    assert origin is not None
    origin.seal(np.datetime64("2025-01-25", "ns"))


def content(store: MarketStore) -> tuple[Any, ...]:
    panel = store.panel("store:x")
    held = tuple((n, np.nan_to_num(panel[n], nan=-1.0).tobytes()) for n in panel.columns)
    seals = store.series("store:x").seals
    return panel.symbols, panel.timestamps.tobytes(), held, seals, panel.snapshot_id


def on_disk(folder: Path) -> str:
    """Digest of every file below a folder: what a death leaves is this, and nothing else."""
    digest = hashlib.blake2b()
    for path in sorted(folder.rglob("*")):
        digest.update(f"{path.relative_to(folder)}|{path.is_dir()}|".encode())
        digest.update(b"" if path.is_dir() else path.read_bytes())
    return digest.hexdigest()


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = MarketStore(tmp_path_factory.mktemp("base") / "store", clock=ManualClock(NOW))
    store.append("x", "1h", {"A": bars("2025-01-10", 24 * 22, 1.0), "B": bars("2025-01-15", 24, 2.0)}, GIVEN)
    store.append("x", "1h", {"B": bars("2025-01-16", 24, 3.0)}, GIVEN)
    store.append("x", "1h", {"A": bars("2025-01-31T20", 2, 0.5, "volume")}, GIVEN)
    return store.path


@pytest.mark.parametrize("act", [append, compact, prune, seal], ids=lambda f: f.__name__)
def test_death_at_every_call_leaves_the_old_or_the_new(base: Path, tmp_path: Path, act: Callable[..., Any]) -> None:
    shutil.copytree(base, tmp_path / "whole")
    whole = MarketStore(tmp_path / "whole", clock=ManualClock(NOW))
    old = content(whole)
    act(whole)
    new = content(whole)
    seen: set[str] = set()
    left: set[str] = set()
    for calls in range(500):
        folder = tmp_path / f"at{calls}"
        shutil.copytree(base, folder)
        died = False
        with pytest.MonkeyPatch.context() as patch:
            Fate(patch, folder, calls, Killed())
            try:
                act(MarketStore(folder, clock=ManualClock(NOW)))
            except Killed:
                died = True
        state = on_disk(folder)
        if state not in left:  # many calls leave what the one before left: it was looked at
            left.add(state)
            after = MarketStore(folder, clock=ManualClock(NOW))
            found = content(after)
            assert found in (old, new), f"neither old nor new after call {calls}"
            seen.add("old" if found == old else "new")
            assert [f for f in after.verify() if f.harmful] == []
            act(MarketStore(folder, clock=ManualClock(NOW)))  # done again, it is done
            assert content(after) == new
            assert [f for f in after.verify() if "left behind" in f.what] == []
        shutil.rmtree(folder)
        if not died:
            break
    else:
        pytest.fail("it never ran to its end")
    assert calls > 10
    assert seen == ({"old", "new"} if old != new else {"old"})


@pytest.mark.parametrize("act", [append, compact, prune], ids=lambda f: f.__name__)
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_a_disk_that_refuses_once_is_said_and_nothing_is_lost(
    base: Path, tmp_path: Path, act: Callable[..., Any], code: int
) -> None:
    old = content(MarketStore(base))
    for calls in range(code, 500, 4):
        folder = tmp_path / f"at{calls}"
        shutil.copytree(base, folder)
        store = MarketStore(folder, clock=ManualClock(NOW))
        refused = ""
        with pytest.MonkeyPatch.context() as patch:
            fate = Fate(patch, folder, calls, OSError(code, os.strerror(code)))
            try:
                act(store)
            except DataError as error:
                refused = str(error)
        if refused:
            assert os.strerror(code) in refused
            assert (content(store) == old) == ("was changed, but" not in refused)
        assert [f for f in store.verify() if f.harmful] == []
        shutil.rmtree(folder)
        if fate.left >= 0:
            break


_WRITER = """
import sys
import numpy as np
from datetime import UTC, datetime
from midas_engine.market.store import MarketStore, Provenance
store, given = MarketStore(sys.argv[1]), Provenance("recorded", "x", "candles", datetime(2026, 1, 1, tzinfo=UTC))
hour = int(sys.argv[2])
print("ready", flush=True)
while True:
    at = np.datetime64("2025-01-01", "ns") + hour * np.timedelta64(1, "h")
    store.append("x", "1h", {s: {"timestamp": [at], "close": [float(hour)]} for s in "AB"}, given)
    hour += 1
    if hour % 5 == 0:
        store.compact()
"""


def test_killed_writers_and_a_reader_beside_them(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    store = MarketStore(folder)
    store.append(
        "x", "1h", {s: {"timestamp": [np.datetime64("2025-01-01", "ns")], "close": [0.0]} for s in "AB"}, GIVEN
    )
    for _ in range(2):
        start = store.panel("store:x").T
        command = [sys.executable, "-c", _WRITER, str(folder), str(start)]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout is not None
            assert writer.stdout.readline() == "ready\n"
            while start + 12 > (panel := store.panel("store:x")).T:
                close = panel["close"]
                assert close[:, 0].tolist() == close[:, 1].tolist() == list(range(panel.T))
                assert writer.poll() is None
            writer.send_signal(signal.SIGKILL)
        panel = store.panel("store:x")
        assert panel["close"][:, 0].tolist() == list(range(panel.T))
        assert [f for f in store.verify() if f.harmful] == []


def test_death_at_every_call_of_the_first_append_leaves_nothing_or_all(tmp_path: Path) -> None:
    seen, left = set(), set()
    for calls in range(100):
        folder, died = tmp_path / f"at{calls}", False
        with pytest.MonkeyPatch.context() as patch:
            Fate(patch, folder, calls, Killed())
            try:
                append(MarketStore(folder, clock=ManualClock(NOW)))
            except Killed:
                died = True
        state = on_disk(folder)
        if state not in left:
            left.add(state)
            store = MarketStore(folder, clock=ManualClock(NOW))
            seen.add(len(store.manifest().series))
            append(store)
            assert store.panel("store:x").shape == (24, 2)
            assert store.verify() == []
        if not died:
            break
    assert seen == {0, 1}
