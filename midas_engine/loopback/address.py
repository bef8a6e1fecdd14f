"""A door's address on loopback, as the settings say it, and the Host names that it answers to."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from midas_engine.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Sequence

_LOCAL = ("127.0.0.1", "localhost", "[::1]")


@dataclass(frozen=True, slots=True)
class Address:
    """Host and port of a door.

    Example:
        >>> read_address("service.health", "127.0.0.1:9464")
        Address(host='127.0.0.1', port=9464)
        >>> at = Address("127.0.0.1", 9464)
        >>> at.answers_to(["localhost:9464"]), at.answers_to(["evil:9464"]), at.answers_to(["127.0.0.1:9464"] * 2)
        (True, False, False)
    """

    host: str
    port: int

    def answers_to(self, hosts: Sequence[str]) -> bool:
        """Whether a request's Host headers, one of them, name this door: another name is a page that rebinds it."""
        return len(hosts) == 1 and hosts[0].lower() in {f"{name}:{self.port}" for name in _LOCAL}

    def taken(self, key: str, error: OSError) -> SettingsError:
        """What to say when the door of setting `key` cannot be listened on."""
        return SettingsError(
            f"{key}: {self} cannot be listened on: {error.strerror or error}",
            hint="choose another port, or stop what has it",
        )

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def read_address(key: str, text: str) -> Address:
    """`host:port` of a setting.

    Raises:
        SettingsError: It is none, or not on loopback.
    """
    host, mark, port = text.rpartition(":")
    host = host.strip("[]")
    wrong = SettingsError(f"{key} = {text!r} is no address", hint="write 127.0.0.1:PORT")
    if not mark or not port.isascii() or not port.isdigit() or int(port) > 65_535:
        raise wrong
    try:
        inside = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        raise wrong from None
    if not inside:
        raise SettingsError(
            f"{key} = {text!r} is not on loopback",
            hint=f"write 127.0.0.1:{port}; from elsewhere come by SSH: ssh -L {port}:127.0.0.1:{port} HOST",
        )
    return Address(host, int(port))
