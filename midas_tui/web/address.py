"""Where the door stands: the host names it answers to, and the origins its own pages have."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from midas_engine.errors import SettingsError

LOOPBACK = "127.0.0.1"
_LOCAL_NAMES = (LOOPBACK, "localhost", "[::1]")
_DEFAULT_PORTS = {"http": 80, "https": 443}
_EXAMPLE = "give a tunnel's address alone, as in https://midas.example.org"


@dataclass(frozen=True, slots=True)
class Address:
    """The door's addresses.

    Attributes:
        port: The port it listens on, on loopback.
        public: Origin of a tunnel that leads to it (`https://name`), or empty.
    """

    port: int
    public: str = ""

    @property
    def local(self) -> str:
        """Origin of the printed address."""
        return f"http://{LOOPBACK}:{self.port}"

    def origins_for(self, host: str) -> frozenset[str]:
        """Origins that pages reached under the Host header `host` may have; empty when it is not ours.

        A tunnel may hand its own Host on or rewrite it to ours; the browser's Origin is the tunnel's in both cases.

        Example:
            >>> sorted(Address(8000).origins_for("localhost:8000"))
            ['http://localhost:8000']
            >>> sorted(Address(8000).origins_for("evil.example:8000"))
            []
        """
        name = host.lower()
        if name in self._local_hosts():
            own = f"http://{name.removesuffix(':80')}"
            return frozenset({own, self.public} - {""})
        return frozenset({self.public}) if self.public and name in _spellings(self.public) else frozenset()

    def _local_hosts(self) -> set[str]:
        named = {f"{name}:{self.port}" for name in _LOCAL_NAMES}
        return named | set(_LOCAL_NAMES) if self.port == _DEFAULT_PORTS["http"] else named


def _spellings(origin: str) -> set[str]:
    """How a Host header may spell an origin: the default port is left out or not."""
    scheme, _, host = origin.partition("://")
    has_port = not host.endswith("]") and ":" in host.rpartition("]")[2]
    return {host} if has_port else {host, f"{host}:{_DEFAULT_PORTS[scheme]}"}


def read_public_url(url: str) -> str:
    """The origin that `--public-url` names.

    Raises:
        SettingsError: It is no address of a tunnel, or would carry the token over an open network.

    Example:
        >>> read_public_url("https://Midas.example.org:443/")
        'https://midas.example.org'
    """
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError as error:
        raise SettingsError(f"--public-url {url!r} is no address: {error}", hint=_EXAMPLE) from None
    host = (parts.hostname or "").lower()
    if parts.scheme not in _DEFAULT_PORTS or not host or any(c.isspace() or ord(c) < 33 for c in host):
        raise SettingsError(f"--public-url {url!r} is no address of a web server", hint=_EXAMPLE)
    if parts.username is not None or parts.path not in ("", "/") or parts.query or parts.fragment:
        raise SettingsError(f"--public-url {url!r} holds more than scheme, host and port", hint=_EXAMPLE)
    if not host.isascii():
        host = host.encode("idna").decode("ascii")
    name = f"[{host}]" if ":" in host else host
    if parts.scheme == "http" and name not in _LOCAL_NAMES:
        raise SettingsError(f"--public-url {url!r} would carry the token in clear text", hint="use https")
    return f"{parts.scheme}://{name}" + ("" if port in (None, _DEFAULT_PORTS[parts.scheme]) else f":{port}")
