"""The near end of a shard: starts its process, speaks with it in lines, and sees it end."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from typing import TYPE_CHECKING, Any

from midas_engine.errors import MonitorError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_CLOSING_SECONDS = 2.0


class ShardEndedError(MonitorError):
    """The process of a shard has ended, or had to be ended."""


class ShardProcess:
    """One process, from its start to its end.

    Args:
        told: What it is told first; see `process.Shard`.
        on_end: Called in a thread once the process has ended, whoever ended it.
    """

    def __init__(self, told: Mapping[str, Any], on_end: Callable[[ShardProcess], None]) -> None:
        self._error = tempfile.TemporaryFile()  # noqa: SIM115  (closed with the process)
        shared = (told["bars_fd"], told["values_fd"], *told["saved_fds"])
        self._process = subprocess.Popen(
            [sys.executable, "-m", "midas_engine.monitor.shards.process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._error,
            pass_fds=shared,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(p or os.getcwd() for p in sys.path)},
            start_new_session=True,  # a Ctrl-C is for the one that watches
        )
        self.pid = self._process.pid
        self.resident_mb = self.cpu = float("nan")
        self.unsaved = ""  # why the last saving failed
        self._hung = False
        self.waiting = 0  # answers that are still to come
        with contextlib.suppress(ShardEndedError):  # heard of where its answer does not come
            self.say(told)
        threading.Thread(target=self._see_end, args=(on_end,), name="midas-shard-end", daemon=True).start()

    def _see_end(self, on_end: Callable[[ShardProcess], None]) -> None:
        self._process.wait()
        on_end(self)

    @property
    def alive(self) -> bool:
        """It runs."""
        return self._process.poll() is None

    def say(self, command: Mapping[str, Any]) -> None:
        """Tell it to do something; ShardEndedError when it is gone."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(command).encode() + b"\n")
            self._process.stdin.flush()
        except (OSError, ValueError) as error:
            raise ShardEndedError(self.how_it_ended()) from error
        self.waiting += 1

    def hear_all(self, seconds: float) -> None:
        """Wait until it has answered all it was told; see `hear`."""
        if not self.waiting:
            raise ShardEndedError(self.how_it_ended())
        while self.waiting:
            self.hear(seconds)

    def hear(self, seconds: float) -> dict[str, Any]:
        """Its next answer.

        Raises:
            ShardEndedError: It is gone, or did not answer within `seconds` and was ended for it.
            MonitorError: It could not do what it was told.
        """
        assert self._process.stdout is not None
        timer = threading.Timer(seconds, self._give_up)
        timer.start()
        try:
            line = self._process.stdout.readline()
        except (OSError, ValueError):
            line = b""
        finally:
            timer.cancel()
        if not line.endswith(b"\n"):
            raise ShardEndedError(self.how_it_ended())
        self.waiting -= 1
        reply: dict[str, Any] = json.loads(line)
        self.resident_mb, self.cpu = reply["resident_mb"], reply["cpu"]
        self.unsaved = reply.get("unsaved", "")
        if "error" in reply:
            raise MonitorError(f"a shard cannot go on: {reply['error']}")
        return reply

    def _give_up(self) -> None:
        self._hung = True
        self._process.kill()

    def how_it_ended(self) -> str:
        """In words: by which signal, or what it said last."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_CLOSING_SECONDS)
        code = self._process.poll()
        if self._hung:
            return "it did not answer and was ended"
        if code is not None and code < 0:
            with contextlib.suppress(ValueError):
                return f"ended by {signal.Signals(-code).name}"
        last: list[str] = []
        with contextlib.suppress(ValueError, OSError):  # closed meanwhile
            self._error.seek(0)
            last = self._error.read()[-2000:].decode("utf-8", "replace").strip().splitlines()
        return f"exit {code}" + (f": {last[-1][:200]}" if last else "")

    def stop(self) -> None:
        """End it at once, whatever it does; it holds nothing that is needed."""
        self._process.kill()

    def close(self) -> None:
        """End it, and let go of what belongs to it."""
        self.stop()
        for stream in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                if stream is not None:
                    stream.close()
        self._process.wait()
        self._error.close()
