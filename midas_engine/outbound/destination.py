"""Where an order can go: an address of the settings, its options, its secret; and what every destination does."""

from __future__ import annotations

import fnmatch
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

from midas_engine.errors import SettingsError
from midas_engine.loopback.address import read_address
from midas_engine.outbound.http_post import is_local
from midas_engine.secret_sources import find_secret
from midas_engine.text import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from midas_engine.loopback.address import Address as Door
    from midas_engine.outbound.order import Order, Receipt

_NAME = re.compile(r"[a-z][a-z0-9-]{0,31}")
_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
LEAST_SECRET = 16


class Destination(Protocol):
    """Takes orders. `deliver` may be called again with the same order, after a crash too.

    Attributes:
        can: What it can do and per what, in one sentence.
        leased: It takes heartbeats.
        most_pause: Longest pause between two tries, seconds.
    """

    can: str
    leased: bool
    most_pause: float

    async def deliver(self, order: Order, stopped: tuple[str, ...]) -> Receipt:
        """Hand an order over; `stopped` are the features that stand still here, this one included where it does.

        Raises:
            DeliveryError: It could not be handed over.
        """
        ...

    async def beat(self, beat: Mapping[str, object]) -> None:
        """Hand a heartbeat over."""
        ...

    async def lost(self, held: Mapping[str, Order]) -> Collection[str] | None:
        """Which of the features that it acknowledged to stand still do not; None: it cannot be asked.

        Args:
            held: By feature the order that stopped it.

        Raises:
            DeliveryError: It did not answer.
        """
        ...


@dataclass(frozen=True, slots=True)
class Address:
    """One line of the settings: a name, what kind of far side it is, where it is, and its options.

    Attributes:
        where: What follows the kind, as written; `${NAME}` in it stands for a secret of that name.
    """

    name: str
    kind: str
    where: str
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def features(self) -> tuple[str, ...]:
        """Patterns of the features that concern it; all, where none are given."""
        return words(self.options.get("features", "")) or ("*",)

    def concerns(self, feature: str) -> bool:
        """Whether orders about a feature go here."""
        return any(fnmatch.fnmatchcase(feature, pattern) for pattern in self.features)

    def reach(self) -> str:
        """`where` with its variables put in.

        Raises:
            SettingsError: One is not set.
        """
        return self.filled(self.where)

    def filled(self, text: str) -> str:
        """`text` with its variables put in.

        Raises:
            SettingsError: One is not set.
        """
        return _REFERENCE.sub(lambda found: self._variable(found[1]), text)

    @property
    def secret_names(self) -> tuple[str, ...]:
        """Names of the variables that its address and its options refer to."""
        return tuple(name for text in (self.where, *self.options.values()) for name in _REFERENCE.findall(text))

    def url(self) -> str:
        """`where` as the address of a web server that a secret may go to.

        Raises:
            SettingsError: It is none, or goes over an open network in clear text.
        """
        text = self.reach().rstrip("/")
        try:
            parts = urlsplit(text)
            host, _ = parts.hostname, parts.port
        except ValueError:
            host = None
        if not host or parts.scheme not in ("http", "https") or any(c.isspace() for c in text):
            raise SettingsError(
                f"{self} is no address of a web server", hint=f'as in {self.name} = "{self.kind}:https://host/path"'
            )
        if parts.username is not None:
            raise SettingsError(f"{self} holds a user name", hint="give it as an option, its password as a secret")
        if parts.scheme == "http" and not is_local(text) and self.options.get("clear-text") != "yes":
            raise SettingsError(
                f"{self} would send orders over a network in clear text",
                hint=f"use https, or a tunnel; in a network of your own set {self.name}.clear-text to yes",
            )
        return text

    def door(self) -> Door:
        """`where` as a door on loopback.

        Raises:
            SettingsError: It is none, or not on loopback.
        """
        return read_address(str(self), self.where)

    @property
    def secret_name(self) -> str:
        """The variable that holds its secret."""
        return f"MIDAS_SECRET_{self.name.upper().replace('-', '_')}"

    def secret(self) -> str:
        """Its secret.

        Raises:
            SettingsError: It is not set, or too short to sign with.
        """
        value = self._variable(self.secret_name)
        if len(value) < LEAST_SECRET:
            raise SettingsError(
                f"{self.secret_name} has fewer than {LEAST_SECRET} characters",
                hint="`python -c 'import secrets; print(secrets.token_hex(32))'` makes one",
            )
        return value

    def password(self) -> str:
        """Its secret as a far side chose it, however short."""
        return self._variable(self.secret_name)

    def _variable(self, name: str) -> str:
        found = find_secret(name)
        if not found:
            raise SettingsError(
                f"{self} needs {name}", hint=f"set it in the environment, or keep it with: midas keys {name} --set"
            )
        return found.value

    def take(self, known: Collection[str]) -> None:
        """Refuse options that this kind does not know.

        Raises:
            SettingsError: Names the nearest.
        """
        for option in self.options:
            if option not in known:
                raise SettingsError(
                    f"{self} has no option {option!r}", hint=did_you_mean(option, known, otherwise=", ".join(known))
                )

    def __str__(self) -> str:
        return f"outbound {self.name!r} ({self.kind})"


def addresses_of(section: str, table: Mapping[str, str], options: Mapping[str, str]) -> list[Address]:
    """The addresses of one table of the settings, each with its options.

    Raises:
        SettingsError: A line cannot be read.
    """
    found = []
    for name, line in table.items():
        kind, mark, where = line.partition(":")
        if not _NAME.fullmatch(name):
            raise SettingsError(f"outbound.{section}: {name!r} is no name", hint="a-z, digits and hyphens, 32 at most")
        if not mark or not where.strip():
            raise SettingsError(
                f"outbound.{section}.{name} = {line!r} is no address", hint='as in "file:./orders.jsonl"'
            )
        own = {key.partition(".")[2]: value for key, value in options.items() if key.partition(".")[0] == name}
        found.append(Address(name, kind.strip(), where.strip(), own))
    return found


def words(text: str) -> tuple[str, ...]:
    """The parts of a list written with commas."""
    return tuple(part.strip() for part in text.split(",") if part.strip())
