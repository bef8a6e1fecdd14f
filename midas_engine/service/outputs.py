"""What leaves the process: the one list of outputs that the settings turn on."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from midas_engine.runtime import Runtime
    from midas_engine.settings import Settings

# "module:function" of each maker: `(Settings) -> Output | None`, None where its settings leave it off. Named, not
# imported: a service without outputs loads none of them.
MAKERS: tuple[str, ...] = ()


@runtime_checkable
class Output(Protocol):
    """One thing that goes out: kills, signals, notifications; or comes in: fills."""

    @property
    def name(self) -> str:
        """One or two words, for status and faults."""
        ...

    def plan(self) -> str:
        """What it will do and to whom, in one line, for `midas run --check`; no key in it."""
        ...

    async def start(self, runtime: Runtime) -> None:
        """Begin, before the first bar: subscribe to `runtime.bus`, take up what an earlier run left.

        The base is opened after this; what is sent on record before that belongs into files of the output's own.
        """
        ...

    async def close(self) -> None:
        """End well within a few seconds; what was not delivered stays on record."""
        ...


def make_outputs(settings: Settings) -> Sequence[Output]:
    """The outputs that the settings turn on.

    Raises:
        SettingsError: One of them is set wrongly.
    """
    found = []
    for maker in MAKERS:
        module, _, function = maker.partition(":")
        output = getattr(importlib.import_module(module), function)(settings)
        if output is not None:
            found.append(output)
    return found
