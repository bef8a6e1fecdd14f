"""Where a door stands: on loopback, and the Host names it answers to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from midas_engine.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from midas_engine.outbound.destination import Address

LOOPBACK = "127.0.0.1"
_NAMES = (LOOPBACK, "localhost")


@dataclass
class Door:
    """Host and port; port 0 takes a free one."""

    name: str
    host: str
    port: int

    @classmethod
    def of(cls, address: Address) -> Door:
        """The door of an address such as `websocket:127.0.0.1:8766`.

        Raises:
            SettingsError: It is none, or not on loopback.
        """
        host, _, port = address.where.rpartition(":")
        if host not in _NAMES or not port.isdecimal() or int(port) > 65_535:
            raise SettingsError(
                f"{address}: {address.where!r} is no door on loopback",
                hint=f'as in {address.name} = "{address.kind}:127.0.0.1:8766"; SSH or a tunnel does the rest',
            )
        return cls(str(address), LOOPBACK, int(port))

    def answers_to(self, hosts: Sequence[str]) -> bool:
        """Whether a request's Host headers name this door: one, with its port."""
        return len(hosts) == 1 and hosts[0].lower() in {f"{name}:{self.port}" for name in _NAMES}

    def taken(self, error: OSError) -> SettingsError:
        """What to say when it cannot be listened on."""
        why = error.strerror or error
        return SettingsError(f"{self.name}: {self} cannot be listened on: {why}", hint="choose another port")

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"
