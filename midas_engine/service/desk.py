"""`Desk`: what calls are carried out on: the runtime, how it is, and the command line's own way to `commands.py`."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from midas_engine.commands import AllDone, Commands, Done
    from midas_engine.events import FeatureMoved
    from midas_engine.promoter import Preview
    from midas_engine.runtime import Runtime
    from midas_engine.service.vitals import Vitals
    from midas_engine.workspace import Workspace


class CommandLine:
    """Commands that came from the command line, by its own door, in this process; the watch follows at once.

    Args:
        runtime: Whose base it is, and whose watch follows.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._workspace: Workspace | None = None
        self._opening = threading.Lock()

    def _commands(self) -> Commands:
        with self._opening:
            if self._workspace is None:
                from midas_engine.workspace import Workspace

                runtime = self._runtime
                self._workspace = Workspace(
                    runtime.settings, clock=runtime.clock, via="command line", data=runtime.base.todays_data
                )
            return self._workspace.commands

    async def preview(self, action: str, name: str) -> Preview:
        """See `Commands.preview`."""
        return await asyncio.to_thread(lambda: self._commands().preview(action, name))

    async def act(self, action: str, name: str, reason: str, force: bool) -> Done:
        """See `Commands.act`."""
        self._runtime.base.refuse_changes()
        done = await asyncio.to_thread(lambda: self._commands().act(action, name, reason, force=force))
        self._follow()
        return done

    async def check_kill(self, name: str, reason: str) -> None:
        """See `Commands.check_kill`."""
        await asyncio.to_thread(lambda: self._commands().check_kill(name, reason))

    async def kill(self, name: str, reason: str) -> Done:
        """See `Commands.kill`."""
        self._runtime.base.refuse_changes()
        latched = self._runtime.pipeline.obey_from_thread()
        done = await asyncio.to_thread(lambda: self._commands().kill(name, reason, latched=latched))
        self._follow()
        return done

    async def book_words(self) -> tuple[str, ...]:
        """See `Commands.book_words`."""
        return await asyncio.to_thread(lambda: self._commands().book_words())

    async def live(self) -> tuple[str, ...]:
        """See `Commands.live`."""
        return await asyncio.to_thread(lambda: self._commands().live())

    async def kill_all(self, reason: str) -> AllDone:
        """See `Commands.kill_all`."""
        self._runtime.base.refuse_changes()
        latched = self._runtime.pipeline.obey_from_thread()
        done = await asyncio.to_thread(lambda: self._commands().kill_all(reason, latched=latched))
        self._follow()
        return done

    async def pause_all(self, reason: str) -> AllDone:
        """See `Commands.pause_all`."""
        self._runtime.base.refuse_changes()
        done = await asyncio.to_thread(lambda: self._commands().pause_all(reason))
        self._follow()
        return done

    async def turn(self, which: Literal["undo", "redo"], name: str) -> FeatureMoved:
        """Undo or redo, of one feature or of whatever was last."""
        self._runtime.base.refuse_changes()

        def turned() -> FeatureMoved:
            commands = self._commands()
            return (commands.undo if which == "undo" else commands.redo)(name or None)

        moved = await asyncio.to_thread(turned)
        self._follow()
        return moved

    def _follow(self) -> None:
        self._runtime.supervisor.background(self._runtime.pipeline.obey(), "watch")

    def close(self) -> None:
        """Close its journal."""
        if self._workspace is not None:
            self._workspace.close()


@dataclass(frozen=True, slots=True)
class Desk:
    """What calls are carried out on."""

    runtime: Runtime
    vitals: Vitals
    commands: CommandLine
