"""`DaskExecutor`: tasks on a Dask cluster, of this machine or of many (extra `cluster`)."""

from __future__ import annotations

import contextlib
import itertools
import logging
import secrets
import threading
from concurrent.futures import CancelledError, Future, InvalidStateError
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from midas_engine.clock import WallClock
from midas_engine.errors import SettingsError, WorkersGoneError
from midas_engine.executor.task import (
    OPENING_SECONDS,
    TRIES,
    Task,
    TaskExecutor,
    Workshop,
    ended,
    stillborn,
    worker_lost,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_CONNECTING = 60.0
"""Seconds that a scheduler elsewhere may take to answer at first; Dask itself gives up before, where nobody listens."""
_PARTING = 10.0
"""Seconds that somebody may take to hear that a run has ended; who hangs hears it never."""
_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


@dataclass(frozen=True, slots=True)
class Scheduler:
    """Where the scheduler of a cluster is that runs already.

    Attributes:
        address: As `tls://host:8786`.
        ca_file: Certificate of who signed the scheduler's and ours.
        cert_file: Our certificate.
        key_file: Its key.
    """

    address: str
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""

    def check(self) -> None:
        """Refuse what would send tasks, which are programs, over a line that anyone can write to.

        Raises:
            SettingsError: Another machine without certificates.
        """
        kind, _, rest = self.address.partition("://")
        host = rest.rpartition(":")[0]
        if kind not in ("tls", "tcp") or not host:
            raise SettingsError(f"executor.scheduler = {self.address!r}", hint="an address as tls://host:8786")
        if kind == "tls" and not (self.ca_file and self.cert_file and self.key_file):
            raise SettingsError(
                f"no certificates for the scheduler {self.address}",
                hint="set executor.ca_file, executor.cert_file and executor.key_file",
            )
        if kind == "tcp" and host not in _LOOPBACK:
            raise SettingsError(
                f"the scheduler {self.address} is on another machine and takes tasks from anyone who reaches it",
                hint="run it with certificates and give its tls:// address",
            )


class DaskExecutor(TaskExecutor):
    """Tasks on a Dask cluster: a scheduler that runs already, or one of this machine that is made here.

    The one made here listens on loopback alone, under certificates of this run, without a dashboard. What a worker that
    died had is done again elsewhere; a task that was there for `TRIES` deaths is named.

    Args:
        workers: Worker processes of a cluster made here; how many tasks the engine keeps under way elsewhere.
        workshop: What each worker makes before its first task.
        memory_mb: Megabytes of its own data that each worker made here may have; 0: no limit.
        scheduler: The cluster that runs already; None makes one.
        opening_seconds: What each may take to make its workshop, and all of them to be told of it.
        patience: Seconds that a cluster may be without any worker before its tasks are given up.

    Raises:
        SettingsError: The extra is not installed, or the scheduler may not be used so.
    """

    def __init__(
        self,
        workers: int = 1,
        workshop: Workshop | None = None,
        *,
        memory_mb: int = 0,
        scheduler: Scheduler | None = None,
        opening_seconds: float = OPENING_SECONDS,
        patience: float = 60.0,
    ) -> None:
        try:
            import distributed
        except ImportError as error:
            raise SettingsError(
                "executor.kind = 'dask' needs the package distributed", hint="pip install 'midas-alpha[cluster]'"
            ) from error
        if scheduler is not None:
            scheduler.check()
        self.workers = workers
        self._distributed: Any = distributed
        self._memory_mb, self._scheduler = memory_mb, scheduler
        self._token = f"midas-{secrets.token_hex(8)}"
        from midas_engine.executor.on_dask import DaskWorkshop, do_task

        self._do, self._workshop = do_task, DaskWorkshop(self._token, workshop, memory_mb, opening_seconds)
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self._client: Any = None
        self._cluster: Any = None
        self._left: set[Future[Any]] = set()
        self._no_more = False
        self._patience, self._over, self._opening_seconds = patience, threading.Event(), opening_seconds
        self._lost: WorkersGoneError | None = None

    @property
    def processes(self) -> tuple[int, ...]:
        """Process numbers of the workers that were made here and live now."""
        nannies = () if self._cluster is None else tuple(self._cluster.workers.values())
        return tuple(n.pid for n in nannies if n.pid is not None)

    def start(self, task: Task) -> Future[Any]:
        """See `TaskExecutor.start`. The first one waits for the cluster."""
        future: Future[Any] = Future()
        with self._lock:
            if self._no_more:
                raise RuntimeError("this executor was shut down and takes no more tasks")
            if self._lost is not None:
                raise self._lost
            if self._client is None:
                self._begin()
            key = f"{self._token}-{next(self._numbers)}"
            try:
                there = self._client.submit(self._do, self._token, task, key=key, pure=False)
            except self._distributed.client.ClosedClientError as error:
                raise self._went_away() from error
            self._left.add(future)
        future.set_running_or_notify_cancel()
        there.add_done_callback(lambda done: self._settle(done, future, task))
        return future

    def _settle(self, done: Any, future: Future[Any], task: Task) -> None:
        give: Callable[[Any], None] = future.set_exception
        try:
            value = done.result()  # gathered anew where the worker that had it died
            give = future.set_result
        except (CancelledError, self._distributed.CancelledError):
            value = ended() if self._no_more else self._went_away()
            if not self._no_more:
                self._lost = value  # what is asked of it from now on would wait for ever
        except self._distributed.KilledWorker:
            value = worker_lost(task.title, TRIES)
        except BaseException as error:
            value = error
        done.release()
        with contextlib.suppress(InvalidStateError):
            give(value)
        with self._lock:
            self._left.discard(future)

    def _begin(self) -> None:
        """Have a cluster whose workers know what they are to do, or say what does not answer.

        A process that hangs takes a connection and never answers; what asks it is left behind.
        """
        connecting = self._opening_seconds if self._scheduler is None else min(_CONNECTING, self._opening_seconds)
        client = _within(connecting, self._connect)
        if client is None:
            raise self._silent(connecting)
        self._client = client
        if _within(self._opening_seconds, self._register) is None:
            raise WorkersGoneError(
                f"the workers of the scheduler {self._address} were not ready within {self._opening_seconds:g} s",
                hint="end the one that does not answer; slow ones need a larger executor.opening_seconds",
            )
        threading.Thread(target=self._watch, args=(client,), name="midas-dask-watch", daemon=True).start()

    def _silent(self, seconds: float) -> WorkersGoneError:
        return WorkersGoneError(
            f"the scheduler {self._address} has not answered for {seconds:g} s",
            hint="does it hang? End it, start it and its workers again; then start this again",
        )

    def _connect(self) -> Any:
        import dask

        distributed, known = self._distributed, self._scheduler
        if known is None:
            security = distributed.Security.temporary()
            chosen = {
                "distributed.scheduler.worker-saturation": 1.0,  # what waits, waits where no death can touch it
                "distributed.scheduler.http.routes": [],
                "distributed.worker.http.routes": [],
                # Nobody looks at these, and tasks that compute pay for them.
                "distributed.worker.profile.enabled": False,
                "distributed.admin.tick.interval": "1s",
                "distributed.admin.tick.limit": "10s",
                "distributed.admin.system-monitor.interval": "10s",
            }
            with dask.config.set(chosen):
                self._cluster = distributed.LocalCluster(
                    n_workers=self.workers,
                    threads_per_worker=1,
                    processes=True,
                    host="127.0.0.1",
                    protocol="tls://",
                    security=security,
                    dashboard_address="127.0.0.1:0",
                    memory_limit=None,  # Dask's own counts the mapped panel too, and kills; the workshop sets ours
                    scheduler_kwargs={"allowed_failures": TRIES - 1},
                    silence_logs=logging.CRITICAL,
                )
            return distributed.Client(self._cluster, security=security, set_as_default=False)
        # What goes wrong is said by who asked; pages of Dask's own calls before that hide it.
        logging.getLogger("distributed.client").setLevel(logging.CRITICAL)
        security = None
        if known.address.startswith("tls://"):
            security = distributed.Security(
                tls_ca_file=known.ca_file,
                tls_client_cert=known.cert_file,
                tls_client_key=known.key_file,
                require_encryption=True,
            )
        try:
            return distributed.Client(known.address, security=security, set_as_default=False)
        except (OSError, ValueError) as error:
            raise WorkersGoneError(
                f"the scheduler {known.address} does not answer: {error}"[:500],
                hint="is it running, and is executor.scheduler its address?",
            ) from error

    def _register(self) -> bool:
        """Put the workshop on every worker; one that dies meanwhile comes back and is asked again."""
        for _ in range(TRIES):
            try:
                self._client.register_plugin(self._workshop, name=self._token)
                return True
            except OSError as error:  # the line to a worker broke
                broken = error
            except Exception as error:
                raise WorkersGoneError(
                    f"the workers cannot take what they are to do: {type(error).__name__}: {error}"[:500],
                    hint="is the same Midas installed there?",
                ) from error
        raise stillborn(TRIES) from broken

    def _watch(self, client: Any) -> None:
        """Give the tasks up that nobody will ever do: a cluster without workers, a scheduler that is not there."""
        clock = WallClock()
        seen = answered = clock.monotonic()
        while not self._over.wait(min(1.0, self._patience)):
            with contextlib.suppress(Exception):  # one that hangs takes the question and never answers it
                there = client.sync(client.scheduler.identity, n_workers=1, callback_timeout=self._patience)
                answered = clock.monotonic()
                if there["workers"]:
                    seen = answered
            with self._lock:
                left = tuple(self._left)
            now = clock.monotonic()
            if left and now - seen > self._patience:
                gone = self._nobody()
                if client.status != "running":
                    gone = self._went_away()
                elif now - answered > self._patience:
                    gone = self._silent(self._patience)
                self._lost = gone
                _fail(left, gone)

    def _went_away(self) -> WorkersGoneError:
        return WorkersGoneError(
            f"the scheduler {self._address} went away", hint="start it and its workers again; then start this again"
        )

    def _nobody(self) -> WorkersGoneError:
        return WorkersGoneError(
            f"the scheduler {self._address} had no worker for {self._patience:g} s", hint="start workers for it"
        )

    @property
    def _address(self) -> str:
        return "of this machine" if self._scheduler is None else self._scheduler.address

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """See `concurrent.futures.Executor.shutdown`."""
        with self._lock:
            self._no_more = True
            left = tuple(self._left)
        if cancel_futures:
            self.close()
        elif wait:
            for future in left:
                with contextlib.suppress(BaseException):
                    future.result()
            self.close()

    def close(self) -> None:
        """See `TaskExecutor.close`."""
        self._over.set()
        with self._lock:
            self._no_more = True
            client, self._client = self._client, None
            cluster, self._cluster = self._cluster, None
            left = tuple(self._left)
        if client is not None:
            if cluster is None and client.status == "running":
                with contextlib.suppress(Exception):
                    _within(_PARTING, lambda: client.unregister_worker_plugin(self._token))
            with contextlib.suppress(TimeoutError):
                _within(_PARTING, client.close)
        _fail(left, ended())
        if cluster is not None:
            _within(_PARTING, cluster.close)


def _within(seconds: float, ask: Callable[[], Any]) -> Any:
    """What `ask` gives or raises; None when it did neither in time, and is left behind."""
    future: Future[Any] = Future()

    def run() -> None:
        try:
            future.set_result(ask())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, name="midas-dask-ask", daemon=True).start()
    try:
        return future.result(seconds)
    except TimeoutError:
        if future.done():  # it is what was raised
            raise
        return None


def _fail(futures: Iterable[Future[Any]], error: Exception) -> None:
    for future in futures:
        with contextlib.suppress(InvalidStateError):
            future.set_exception(error)
