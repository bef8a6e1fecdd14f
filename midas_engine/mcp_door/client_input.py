"""Standard input that can be ended from here: a read that waits for a client cannot be taken back."""

from __future__ import annotations

import os
import select
import threading

_PIECE = 65_536


class ClientInput:
    """Stands between the client and whoever reads standard input from now on.

    What waits for the client is a thread of its own, which nobody waits for.
    """

    def __init__(self) -> None:
        self._client = os.dup(0)
        reader, self._out = os.pipe()
        os.dup2(reader, 0)
        os.close(reader)
        self._woken, self._wake = os.pipe()
        threading.Thread(target=self._hand_on, name="midas-client-input", daemon=True).start()

    def end(self) -> bool:
        """The reader finds the end, as when the client has closed; gives True."""
        os.write(self._wake, b"!")
        return True

    def _hand_on(self) -> None:
        try:
            while True:
                ready, _, _ = select.select([self._client, self._woken], [], [])
                if self._woken in ready or not (piece := os.read(self._client, _PIECE)):
                    return
                while piece:
                    piece = piece[os.write(self._out, piece) :]
        except OSError:
            return  # a terminal that closed cannot be read any more, nor can a reader that has gone
        finally:
            os.close(self._out)
