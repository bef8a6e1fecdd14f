"""Who may come in: the checks every request passes, the token, the cookie, and the nonce of a page.

Each check closes another way in. Host: a page whose name was rebound to 127.0.0.1. Origin: any other page the
operator visits. Token and cookie: other users of this machine. The cookie's path is a random one, because cookies
know no ports: a server on another port of this host would be sent it otherwise. Nonce: a cookie alone opens nothing.
"""

from __future__ import annotations

import hmac
import secrets
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from midas_tui.web.address import Address

COOKIE = "midas-door"
TOKEN_BYTES = 32  # 256 bits
# A page opens its socket as soon as it is loaded; a minute is a slow tunnel.
NONCE_SECONDS = 60.0
NONCES = 64
_SAFE_METHODS = ("GET", "HEAD")

WRONG_HOST = "Refused: this terminal answers to its own address only, and the request named another host."
WRONG_ORIGIN = "Refused: this was not asked for by the terminal's own page."
NO_TOKEN = "Refused: open the address that midas-tui printed; it carries the token."
WRONG_NONCE = "Refused: this page was used already or waited too long. Load it again."


class Headers(Protocol):
    """Headers of a request, several of one name included."""

    def getall(self, key: str, default: Sequence[str], /) -> Sequence[str]:
        """Every value of a header."""
        ...


class Door:
    """The checks of one server, and its secrets; nothing of them is ever written down.

    Args:
        address: Where the door stands.
        now: Seconds that never go back.
    """

    def __init__(self, address: Address, now: Callable[[], float]) -> None:
        self.address = address
        self.token = secrets.token_urlsafe(TOKEN_BYTES)
        self.cookie = secrets.token_urlsafe(TOKEN_BYTES)
        self.path = f"/{secrets.token_urlsafe(16)}/"
        self._now = now
        self._nonces: dict[str, float] = {}

    def foreign(self, method: str, headers: Headers, *, upgrade: bool) -> str:
        """Why a request is not from a page of ours, as a sentence; empty when nothing speaks against it."""
        hosts = headers.getall("Host", [])
        own = self.address.origins_for(hosts[0]) if len(hosts) == 1 else frozenset()
        if not own:
            return WRONG_HOST
        origins = headers.getall("Origin", [])
        # The GET of a page carries no Origin; what does anything carries one.
        if not origins and method in _SAFE_METHODS and not upgrade:
            return ""
        return "" if len(origins) == 1 and origins[0] in own else WRONG_ORIGIN

    def knows_token(self, given: str) -> bool:
        """Whether `given` is the token of the printed address."""
        return _same(given, self.token)

    def knows_cookie(self, headers: Headers) -> bool:
        """Whether a request carries the cookie. Other cookies of its name, which any port can set, do no harm."""
        pairs = (pair.partition("=") for line in headers.getall("Cookie", []) for pair in line.split(";"))
        return any(_same(value.strip(), self.cookie) for name, _, value in pairs if name.strip() == COOKIE)

    def new_nonce(self) -> str:
        """A nonce for a page; it opens one socket, soon."""
        nonce = secrets.token_urlsafe(16)
        self._nonces[nonce] = self._now() + NONCE_SECONDS
        while len(self._nonces) > NONCES:
            del self._nonces[next(iter(self._nonces))]
        return nonce

    def use_nonce(self, nonce: str) -> bool:
        """Whether a page of ours was given `nonce`, lately, and it was not used; it is used now."""
        expires = self._nonces.pop(nonce, None)
        return expires is not None and self._now() <= expires


def _same(given: str, secret: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), secret.encode())
