"""What holds for every test: a clean environment, no network but loopback, the same random numbers every time."""

from __future__ import annotations

import asyncio
import atexit
import os
import shutil
import socket
import tempfile
from pathlib import Path
from time import process_time
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent


def _isolate_environment() -> None:
    """Before anything is imported: no keys, no settings, no proxies, a home of our own.

    Child processes inherit it. Caches that are dear to rebuild (matplotlib's fonts) stay with the project.
    """
    for name in list(os.environ):
        upper = name.upper()
        if upper.startswith(("MIDAS_", "OPENAI_", "ANTHROPIC_", "XDG_")) or upper.endswith(("_PROXY", "_API_KEY")):
            del os.environ[name]
    home = tempfile.mkdtemp(prefix="midas-tests-home-")
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    os.environ["HOME"] = home
    os.environ["MPLCONFIGDIR"] = str(ROOT / ".pytest_cache" / "matplotlib")
    os.environ["MPLBACKEND"] = "Agg"
    os.environ["NO_COLOR"] = "1"
    os.environ["MIDAS_EVALUATION_SCREENED"] = "0"  # a session that screens says so: it takes many seconds


_isolate_environment()

from hypothesis import HealthCheck, settings  # noqa: E402

settings.register_profile(
    "midas", derandomize=True, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("midas")


class NetworkRefusedError(RuntimeError):
    """A test tried to leave this machine."""


def _is_local(family: int, address: Any) -> bool:
    if family == getattr(socket, "AF_UNIX", -1):
        return True
    host = address[0] if isinstance(address, tuple) and address else ""
    return host in ("localhost", "::1", "") or str(host).startswith("127.")


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sockets reach loopback and Unix addresses only; names other than localhost are not even resolved."""
    connect, connect_ex, resolve = socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo

    def guarded_connect(self: socket.socket, address: Any) -> None:
        if not _is_local(self.family, address):
            raise NetworkRefusedError(f"a test tried to connect to {address!r}; only loopback is allowed")
        connect(self, address)

    def guarded_connect_ex(self: socket.socket, address: Any) -> int:
        if not _is_local(self.family, address):
            raise NetworkRefusedError(f"a test tried to connect to {address!r}; only loopback is allowed")
        return connect_ex(self, address)

    def guarded_resolve(host: Any, *args: Any, **kwargs: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        if name is not None and not _is_local(socket.AF_INET, (name,)):
            raise NetworkRefusedError(f"a test tried to look up {name!r}; only loopback is allowed")
        return resolve(host, *args, **kwargs)

    monkeypatch.setattr(socket.socket, "connect", guarded_connect)
    monkeypatch.setattr(socket.socket, "connect_ex", guarded_connect_ex)
    monkeypatch.setattr(socket, "getaddrinfo", guarded_resolve)


@pytest.fixture
def root() -> Path:
    """The project's folder."""
    return ROOT


@pytest.fixture(scope="module")
def market(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small panel on disk, of as many days as the module's MARKET_DAYS says; five without."""
    from helpers_tui_base import write_market

    return write_market(tmp_path_factory.mktemp("market"), days=getattr(request.module, "MARKET_DAYS", 5))


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base with features in every state, made once; nobody writes into it."""
    from helpers_tui_base import fill_base

    path = tmp_path_factory.mktemp("filled") / "kb"
    fill_base(path)
    return path


@pytest.fixture
def kb(tmp_path: Path, filled: Path) -> Path:
    """A filled base of its own for each test."""
    return shutil.copytree(filled, tmp_path / "kb")


@pytest.fixture
def field() -> Path:
    """Files as people have them, one folder a case."""
    return ROOT / "tests" / "data" / "field"


@pytest.fixture(autouse=True)
def _no_secret_of_another_test() -> Iterator[None]:
    """A key that one test makes up is no secret in the next one's texts: keys hold words, such as a provider's name."""
    from midas_engine.redaction import REDACTOR

    before = set(REDACTOR._registered)
    yield
    if REDACTOR._registered != before:
        REDACTOR._registered.intersection_update(before)
        REDACTOR._seen = (-1, {})


@pytest.fixture(autouse=True, scope="session")
def _short_pauses() -> None:
    """Pilot's pause ends once the process rests, not once it is all but still.

    Textual wants less than 1 ms of work in 20 ms. A terminal with live gauges does more than that on a slow machine, so
    that every key would cost the full second after which the pause gives up. And it looks at the wall's clock: where
    other processes have the machine, a program that is not served looks like one that rests, and a second passes in
    which it did nothing. So work is held against the turn that was asked for, and the pause gives up by work done.
    """
    import textual.app
    import textual.pilot

    turn = 0.005

    async def rested(min_sleep: float = turn, max_sleep: float = 1.0) -> None:
        clock = asyncio.get_running_loop().time
        begun, before = clock(), process_time()
        while True:
            worked = process_time()
            await asyncio.sleep(turn)
            work = process_time()
            if work - before >= max_sleep or (work - worked < 0.25 * turn and clock() - begun > min_sleep):
                return

    textual.app.wait_for_idle = rested  # type: ignore[attr-defined]
    textual.pilot.wait_for_idle = rested  # type: ignore[attr-defined]
