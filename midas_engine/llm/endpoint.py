"""Where a model is asked, and which key goes there. A provider's own key goes to the provider alone.

| the address | the key it gets |
| --- | --- |
| the provider's own | `OPENAI_API_KEY`, `ANTHROPIC_API_KEY` |
| `OPENAI_BASE_URL`, `ANTHROPIC_BASE_URL` in the environment | the same: they are set beside each other |
| any other `model.base_url` | `MIDAS_API_KEY` |

Each is looked for as `secret_sources` says: environment, key file, keyring. An `api_key` that is given by hand goes
wherever the settings point. No key leaves this machine over plain http, follows a redirect, or stands in an address.
`HTTPS_PROXY` and `NO_PROXY` are obeyed: a proxy of an https address sees no key.
"""

from __future__ import annotations

import ipaddress
import os
import string
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urlsplit

from midas_engine.errors import ModelKeyError, SettingsError
from midas_engine.llm.client import Secret
from midas_engine.llm.keys import checked_key
from midas_engine.providers import PROVIDERS
from midas_engine.secret_sources import find_secret

if TYPE_CHECKING:
    from collections.abc import Mapping

    from midas_engine.settings import ModelSettings

KEYS = {name: provider.key_name for name, provider in PROVIDERS.items() if provider.client}
_HOST_CHARACTERS = frozenset(string.ascii_letters + string.digits + "-._:[]")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One address and the key for it.

    Attributes:
        url: The base address.
        host: Host, and port where one is named.
        key: What is sent there; empty for none.
        key_name: Where the key came from.
        own: Whether the address is the provider's own or was set beside its key.
        secure: Whether it is https.
        loopback: Whether it is on this machine.
    """

    url: str
    host: str
    key: Secret
    key_name: str
    own: bool
    secure: bool
    loopback: bool

    @property
    def description(self) -> str:
        """The host and the key's name, for a person: said before the first call."""
        return f"{self.host}, with {'the key in ' + self.key_name if self.key else 'no key'}"

    def http_options(self) -> dict[str, Any]:
        """What the SDK's transport is built with: no redirects, and no proxy where it would see a key."""
        return {"follow_redirects": False, "trust_env": self.secure or not self.loopback}


def find_endpoint(
    settings: ModelSettings, api_key: str | None = None, environ: Mapping[str, str] | None = None
) -> Endpoint:
    """The address and the key of `settings.provider`, checked.

    Raises:
        ModelKeyError: There is no key for a provider's own address, or the key can be none.
        SettingsError: The address is none, holds a key, or would carry one in plain text.
    """
    env = os.environ if environ is None else environ
    provider = settings.provider
    known = PROVIDERS[provider]
    url, named = settings.base_url.strip(), "model.base_url"
    own = not url
    if not url and known.address:
        url, named = env.get(known.address_variable, "").strip(), known.address_variable
        url, named = (url, named) if url else (known.address, "the provider's address")
    if not url:
        raise SettingsError("provider compatible needs model.base_url", hint="e.g. http://127.0.0.1:8000/v1")
    parts = _address(url, named)
    host = parts.netloc.lower()
    own = own or (parts.scheme == "https" and host == urlsplit(known.address).netloc)
    key_name = known.key_name if own else KEYS["compatible"]
    key = checked_key(api_key, "api_key") if api_key else Secret("")
    if key:
        key_name = "api_key"
    else:
        found_key = find_secret(key_name, env)
        key = checked_key(found_key.value, found_key.where)
        key_name = found_key.where
    if not key and own and provider != "compatible":
        raise ModelKeyError(
            f"there is no API key for {provider}",
            hint=f"export {key_name}=..., or midas keys {key_name} --set, or use --provider local",
        )
    found = Endpoint(url, host, key, key_name, own, parts.scheme == "https", _is_loopback(parts.hostname or ""))
    if key and not found.secure and not found.loopback:
        raise SettingsError(
            f"the key in {key_name} is not sent to {host}: {named} is plain http, which anybody on the way can read",
            hint="use https, or http on this machine only (127.0.0.1)",
        )
    return found


def _address(url: str, named: str) -> SplitResult:
    """The parts of an address; its text is in no message before it is known to hold no key."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise SettingsError(f"{named} is no address", hint="e.g. https://api.example.com/v1") from None
    if parts.username is not None or parts.password is not None or "@" in parts.netloc:
        raise SettingsError(
            f"{named} holds a name or a key before its host; an address is printed and logged, a key must not be",
            hint="take it out, and put the key in MIDAS_API_KEY",
        )
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise SettingsError(f"{named} is no http or https address", hint="e.g. https://api.example.com/v1")
    if not set(parts.netloc) <= _HOST_CHARACTERS or any(not " " < c < "\x7f" or c == "\\" for c in url):
        raise SettingsError(
            f"{named} holds a character that no address takes", hint="write the host in ASCII (xn--...), without blanks"
        )
    return parts


def _is_loopback(host: str) -> bool:
    if host.rstrip(".").lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def sending_only(endpoint: Endpoint, header: str, environ: Mapping[str, str] | None = None) -> Any:
    """A hook for the transport: an address that is not the provider's own gets this endpoint's key and no other.

    The SDKs add headers of their own from the environment (`OPENAI_CUSTOM_HEADERS`, an organisation's name), which
    were meant for the provider.
    """
    env = os.environ if environ is None else environ
    meant = {"openai-organization", "openai-project"}
    for name in ("OPENAI_CUSTOM_HEADERS", "ANTHROPIC_CUSTOM_HEADERS"):
        meant |= {line.partition(":")[0].strip().lower() for line in env.get(name, "").splitlines() if ":" in line}
    value = endpoint.key.reveal() or "none"
    wanted = {"authorization": f"Bearer {value}", "x-api-key": value}[header]

    async def clean(request: Any) -> None:
        if endpoint.own:
            return
        for name in meant | ({"authorization", "x-api-key"} - {header}):
            if name in request.headers and name != "content-type":
                del request.headers[name]
        request.headers[header] = wanted

    return clean
