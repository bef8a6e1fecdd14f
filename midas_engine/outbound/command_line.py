"""Orders to a program of the user's own: the order on its standard input, its exit code is the answer."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shlex
import shutil
import signal
from typing import TYPE_CHECKING

from midas_engine.errors import SettingsError
from midas_engine.outbound.http_post import DeliveryError
from midas_engine.outbound.order import Receipt
from midas_engine.redaction import redact

if TYPE_CHECKING:
    from collections.abc import Mapping

    from midas_engine.outbound.destination import Address
    from midas_engine.outbound.order import Order

SECONDS = 10.0
_PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR")


class CommandLine:
    """A program that is started for each order, without a shell. Exit code 0 acknowledges.

    It gets the order as JSON on standard input, and MIDAS_ORDER_KEY, _ACTION and _FEATURE in an environment that
    holds nothing else but paths and language: no key of this process reaches it.
    """

    can = "what the program does, per feature; it must pass over a key that it has seen"
    leased = False
    most_pause = 30.0

    def __init__(self, address: Address) -> None:
        address.take(("features",))
        self._name = address.name
        try:
            self._words = shlex.split(address.reach())
        except ValueError as error:
            raise SettingsError(f"{address} cannot be read: {error}", hint="quote it as in a shell") from error
        if not self._words or shutil.which(self._words[0]) is None:
            raise SettingsError(f"{address} names no program that can be run", hint="give its whole path")

    async def deliver(self, order: Order, stopped: tuple[str, ...]) -> Receipt:
        """Run it with the order."""
        environ = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        environ |= {f"MIDAS_ORDER_{n.upper()}": str(getattr(order, n)) for n in ("key", "action", "feature")}
        try:
            process = await asyncio.create_subprocess_exec(
                *self._words,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
                env=environ,
                start_new_session=True,
            )
        except OSError as error:
            raise DeliveryError(f"it cannot be run: {error.strerror}") from error
        told = json.dumps(order.document(self._name, stopped)).encode() + b"\n"
        try:
            async with asyncio.timeout(SECONDS):
                _, said = await process.communicate(told)
        except TimeoutError:
            raise DeliveryError(f"it did not end within {SECONDS:g} s and was killed") from None
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
        if process.returncode:
            words = redact(said[-200:].decode("utf-8", "replace")).strip()
            raise DeliveryError(f"exit code {process.returncode}" + (f": {words}" if words else ""))
        return Receipt(True, "exit code 0")

    async def beat(self, beat: Mapping[str, object]) -> None:
        """A program takes no heartbeats."""
