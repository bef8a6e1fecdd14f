"""`outputs_of`: from settings to the outputs they name, for whoever runs an engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from midas_engine.errors import SettingsError
from midas_engine.outbound.command_line import CommandLine
from midas_engine.outbound.destination import addresses_of
from midas_engine.outbound.fill_input import FillInput
from midas_engine.outbound.fill_sources import FillDoor, FillFile, FillTrades
from midas_engine.outbound.freqtrade import Freqtrade
from midas_engine.outbound.hummingbot import Hummingbot
from midas_engine.outbound.kill_output import KillOutput
from midas_engine.outbound.order_file import OrderFile
from midas_engine.outbound.outputs import Outputs
from midas_engine.outbound.proof_side import ProofSide
from midas_engine.outbound.signal_output import SignalOutput
from midas_engine.outbound.signal_sides import SignalFile, SignalWebhook
from midas_engine.outbound.signal_socket import SignalSocket
from midas_engine.outbound.told import Gathering, read_hours, read_time
from midas_engine.outbound.told_output import Notifier, ToldOutput
from midas_engine.outbound.webhook import Webhook
from midas_engine.text import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from midas_engine.clock import Clock
    from midas_engine.outbound.destination import Address, Destination
    from midas_engine.outbound.fill_input import FillSource
    from midas_engine.outbound.outputs import Output, Source
    from midas_engine.outbound.signal_output import SignalSide
    from midas_engine.outbound_settings import OutboundSettings

T = TypeVar("T")

KILL_KINDS: dict[str, Callable[[Address, Clock], Destination]] = {
    "webhook": Webhook,
    "command": lambda address, clock: CommandLine(address),
    "file": lambda address, clock: OrderFile(address),
    "freqtrade": lambda address, clock: Freqtrade(address),
    "hummingbot": lambda address, clock: Hummingbot(address),
}


SIGNAL_KINDS: dict[str, Callable[[Address, Source], SignalSide]] = {
    "file": SignalFile,
    "webhook": SignalWebhook,
    "websocket": SignalSocket,
}


FILL_KINDS: dict[str, Callable[[Address, Source], FillSource]] = {
    "file": FillFile,
    "webhook": FillDoor,
    "ccxt": FillTrades,
}


def outputs_of(settings: OutboundSettings, source: Source) -> Outputs:
    """The outputs that `settings` name; none where nothing is set. Start and close what this gives.

    Raises:
        SettingsError: An address, an option or a secret cannot be used.
    """
    found: list[Output] = []
    kills = addresses_of("kills", settings.kills, settings.options)
    if kills:
        made = [(address, _made(KILL_KINDS, "kills", address)(address, source.clock)) for address in kills]
        found.append(KillOutput(source, made, settings.lease_seconds, settings.again_seconds))
    signals = addresses_of("signals", settings.signals, settings.options)
    heads = addresses_of("heads", settings.heads, settings.options)
    if signals or heads:
        sides = [_made(SIGNAL_KINDS, "signals", a)(a, source) for a in signals]
        found.append(SignalOutput(source, [*sides, *([ProofSide(source, heads)] if heads else [])]))
    fills = addresses_of("fills", settings.fills, settings.options)
    if fills:
        found.append(FillInput(source, [_made(FILL_KINDS, "fills", a)(a, source) for a in fills]))
    told = addresses_of("told", settings.told, settings.options)
    gathering = Gathering(settings.told_from, read_hours(settings.quiet_hours))
    brief_at = read_time(settings.brief_at, "outbound.brief_at") if settings.brief_at else None
    if told:
        found.append(ToldOutput(source, [Notifier(address) for address in told], gathering, brief_at))
    names = sorted({*settings.kills, *settings.signals, *settings.heads, *settings.fills, *settings.told})
    for option in settings.options:
        if option.partition(".")[0] not in names:
            raise SettingsError(
                f"outbound.options: {option!r} is of nobody that is set",
                hint=did_you_mean(option.partition(".")[0], names, otherwise="set: " + (", ".join(names) or "nobody")),
            )
    return Outputs(found, source)


def _made(kinds: Mapping[str, T], section: str, address: Address) -> T:
    make = kinds.get(address.kind)
    if make is None:
        raise SettingsError(
            f"outbound.{section}.{address.name}: {address.kind!r} is no kind of far side",
            hint=did_you_mean(address.kind, kinds, otherwise="one of: " + ", ".join(kinds)),
        )
    return make
