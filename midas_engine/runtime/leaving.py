"""What leaves the process while a base is watched: the outputs of the settings, where this process may use them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from midas_engine.errors import LockTimeoutError
from midas_engine.outbound import Outputs, Source, outputs_of

if TYPE_CHECKING:
    from midas_engine.runtime.open_base import OpenBase
    from midas_engine.runtime.supervisor import Supervisor
    from midas_engine.runtime.watched import Watched
    from midas_engine.settings import Settings


class Leaving:
    """Starts and closes the outputs.

    A replay, a base that is read only and a process that only looks on send nothing.

    Args:
        settings: Name the outputs.
        base: Whose kills and features they tell.
        watched: The market and the monitor.
        supervisor: Bus and clock.
    """

    def __init__(self, settings: Settings, base: OpenBase, watched: Watched, supervisor: Supervisor) -> None:
        self._settings, self._base, self._watched, self._supervisor = settings, base, watched, supervisor
        self.outputs = Outputs(())

    async def start(self) -> None:
        """Start what the settings name.

        Raises:
            MidasError: An output cannot be used as it is set.
        """
        base, watched = self._base, self._watched
        if watched.replaying or base.read_only or not base.had_base or watched.held:
            return
        source = Source(
            base.kb,
            self._supervisor.bus,
            self._supervisor.clock,
            journal=lambda: base.journal,
            panel=lambda: watched.market,
            monitor=lambda: watched.monitor,
            settings=self._settings,
            live=lambda: watched.live,
        )
        outputs = outputs_of(self._settings.outbound, source)
        try:
            await outputs.start()
        except LockTimeoutError as error:
            self._supervisor.fault("outputs", f"not started here: {error.message}", error.hint)
            return
        self.outputs = outputs

    async def close(self) -> None:
        """Close them; twice is fine."""
        await self.outputs.close()

    def status(self) -> dict[str, Any]:
        """How each stands."""
        return self.outputs.status()
