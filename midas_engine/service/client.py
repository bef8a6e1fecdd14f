"""The command line beside a service: its changing verbs go through the service's socket, by the same `commands.py`."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from midas_engine.errors import MidasError
from midas_engine.service.attached import opened_answer
from midas_engine.service.frames import MOST_ANSWER_BYTES, PROTOCOL, framed
from midas_engine.service.peers import connected
from midas_engine.service.place import Place
from midas_engine.service.wire import WireError, packed, unpacked

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from pathlib import Path

    from midas_engine.commands import AllDone, Done
    from midas_engine.events import FeatureMoved
    from midas_engine.promoter import Preview

HELLO_SECONDS = 2.0
# A pre-flight reads a day's data and measures; a kill is latched at once, and what takes longer than this is not alive.
ANSWER_SECONDS = 300.0
KILL_SECONDS = 5.0


class GoneError(MidasError):
    """The service went away, or is stuck, before it answered."""


class Client:
    """A blocking connection for calls, without events.

    Args:
        connection: To the service's socket.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection, self._number = connection, 0
        self.base = str(self._exchange({"hello": PROTOCOL}, HELLO_SECONDS).get("base", ""))

    def call(self, name: str, kind: Any, *arguments: Any, seconds: float = ANSWER_SECONDS) -> Any:
        """Ask the service; see `attached.Connection.call`.

        Raises:
            GoneError: It did not answer.
            MidasError: It refused.
        """
        self._number += 1
        message = self._exchange({"id": self._number, "call": name, "args": list(arguments)}, seconds)
        return opened_answer(message, kind)

    def _exchange(self, request: dict[str, Any], seconds: float) -> dict[str, Any]:
        try:
            self._connection.settimeout(seconds)
            self._connection.sendall(framed(packed(request)))
            size = int.from_bytes(self._exactly(4), "big")
            if not 0 < size <= MOST_ANSWER_BYTES:
                raise WireError(f"a frame of {size:,} bytes")
            found = unpacked(self._exactly(size))
        except (OSError, WireError) as error:
            raise GoneError(
                f"the service did not answer: {str(error) or type(error).__name__}", hint="see `midas status`"
            ) from None
        if "refused" in found:
            raise GoneError(
                f"the service refuses: {found['refused']}", hint="try again, or update the older of the two"
            )
        return found

    def _exactly(self, count: int) -> bytes:
        parts = bytearray()
        while len(parts) < count:
            piece = self._connection.recv(min(count - len(parts), 1 << 20))
            if not piece:
                raise OSError("the connection was closed")
            parts += piece
        return bytes(parts)

    def close(self) -> None:
        """Hang up."""
        with contextlib.suppress(OSError):
            self._connection.close()


def reach(base: Path) -> Client | None:
    """The service that holds the base; None where none answers for that very base."""
    found = connected(Place(base).socket)
    if found is None:
        return None
    try:
        client = Client(found)
    except GoneError:
        found.close()
        return None
    if client.base != str(base.absolute().resolve()):
        client.close()
        return None
    return client


class RemoteCommands:
    """`Commands` of a service, for the command line.

    Args:
        client: Connected.
        latch: Kills beside the service, where it does not answer: a kill waits for nobody.
    """

    def __init__(self, client: Client, latch: Callable[[], Any]) -> None:
        self._client, self._latch = client, latch

    def preview(self, action: str, name: str) -> Preview:
        """See `Commands.preview`."""
        from midas_engine.promoter import Preview

        found: Preview = self._client.call("commands.preview", Preview, action, name)
        return found

    def act(self, action: str, name: str, reason: str = "", *, force: bool = False) -> Done:
        """See `Commands.act`."""
        from midas_engine.commands import Done

        found: Done = self._client.call("commands.act", Done, action, name, reason, force)
        return found

    def check_kill(self, name: str, reason: str) -> None:
        """See `Commands.check_kill`."""
        try:
            self._client.call("commands.check_kill", None, name, reason, seconds=KILL_SECONDS)
        except GoneError:
            self._latch().check_kill(name, reason)

    def kill(self, name: str, reason: str) -> Done:
        """See `Commands.kill`; a service that does not answer is not waited for."""
        from midas_engine.commands import Done

        try:
            found: Done = self._client.call("commands.kill", Done, name, reason, seconds=KILL_SECONDS)
        except GoneError:
            found = self._latch().kill(name, reason)
        return found

    def live(self) -> tuple[str, ...]:
        """See `Commands.live`."""
        try:
            return tuple(self._client.call("commands.live", tuple[str, ...], seconds=KILL_SECONDS))
        except GoneError:
            return tuple(self._latch().live())

    def kill_all(self, reason: str) -> AllDone:
        """See `Commands.kill_all`; a service that does not answer is not waited for."""
        from midas_engine.commands import AllDone

        try:
            found: AllDone = self._client.call("commands.kill_all", AllDone, reason, seconds=KILL_SECONDS)
        except GoneError:
            found = self._latch().kill_all(reason)
        return found

    def pause_all(self, reason: str = "") -> AllDone:
        """See `Commands.pause_all`."""
        from midas_engine.commands import AllDone

        found: AllDone = self._client.call("commands.pause_all", AllDone, reason)
        return found

    def book_words(self) -> tuple[str, ...]:
        """See `Commands.book_words`; nothing where the service went away after the deed."""
        try:
            return tuple(self._client.call("commands.book_words", tuple[str, ...]))
        except GoneError:
            return ()

    def undo(self, name: str | None = None) -> FeatureMoved:
        """See `Commands.undo`."""
        from midas_engine.events import FeatureMoved

        found: FeatureMoved = self._client.call("commands.undo", FeatureMoved, name or "")
        return found

    def redo(self, name: str | None = None) -> FeatureMoved:
        """See `Commands.redo`."""
        from midas_engine.events import FeatureMoved

        found: FeatureMoved = self._client.call("commands.redo", FeatureMoved, name or "")
        return found
