"""A scripted session that kills its own process before a call; started by the tests as a process of its own."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests import test_loops_replay as session


class _Killing(session._Dying):
    async def complete(self, request: Any, on_text: Any = None) -> Any:
        if len(self.requests) == self._at:
            os.kill(os.getpid(), signal.SIGKILL)
        return await super().complete(request, on_text)


if __name__ == "__main__":
    session._Dying = _Killing  # type: ignore[misc]
    asyncio.run(session.Base(Path(sys.argv[1])).run(at=int(sys.argv[2])))
