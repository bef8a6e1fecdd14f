"""`outputs_of`: from settings to the outputs they name, for whoever runs an engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from midas_engine.errors import SettingsError
from midas_engine.outbound.command_line import CommandLine
from midas_engine.outbound.destination import addresses_of
from midas_engine.outbound.freqtrade import Freqtrade
from midas_engine.outbound.hummingbot import Hummingbot
from midas_engine.outbound.kill_output import KillOutput
from midas_engine.outbound.order_file import OrderFile
from midas_engine.outbound.outputs import Outputs
from midas_engine.outbound.webhook import Webhook
from midas_engine.text import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable

    from midas_engine.clock import Clock
    from midas_engine.outbound.destination import Address, Destination
    from midas_engine.outbound.outputs import Output, Source
    from midas_engine.outbound_settings import OutboundSettings

KILL_KINDS: dict[str, Callable[[Address, Clock], Destination]] = {
    "webhook": Webhook,
    "command": lambda address, clock: CommandLine(address),
    "file": lambda address, clock: OrderFile(address),
    "freqtrade": lambda address, clock: Freqtrade(address),
    "hummingbot": lambda address, clock: Hummingbot(address),
}


def outputs_of(settings: OutboundSettings, source: Source) -> Outputs:
    """The outputs that `settings` name; none where nothing is set. Start and close what this gives.

    Raises:
        SettingsError: An address, an option or a secret cannot be used.
    """
    found: list[Output] = []
    kills = addresses_of("kills", settings.kills, settings.options)
    if kills:
        made = [(address, _destination(address, source.clock)) for address in kills]
        found.append(KillOutput(source, made, settings.lease_seconds))
    return Outputs(found)


def _destination(address: Address, clock: Clock) -> Destination:
    make = KILL_KINDS.get(address.kind)
    if make is None:
        known = ", ".join(KILL_KINDS)
        raise SettingsError(
            f"outbound.kills.{address.name}: {address.kind!r} is no kind of far side",
            hint=did_you_mean(address.kind, KILL_KINDS, otherwise=f"one of: {known}"),
        )
    return make(address, clock)
