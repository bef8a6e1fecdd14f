"""A client of an exchange through ccxt: public data only, with the environment's proxy and an address one may set."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from midas_engine.errors import FeedError

if TYPE_CHECKING:
    from collections.abc import Mapping

REQUEST_SECONDS = 20.0
# What a person writes -> the ccxt class that speaks of its perpetuals; any other ccxt id is taken as it is.
EXCHANGES = {
    "binance": "binanceusdm",
    "bybit": "bybit",
    "okx": "okx",
    "hyperliquid": "hyperliquid",
    "bitget": "bitget",
    "gate": "gate",
}
BAR_SECONDS = {
    "1m": 60,
    "3m": 180,
    "5m": 300,
    "15m": 900,
    "30m": 1800,
    "1h": 3600,
    "2h": 7200,
    "4h": 14_400,
    "1d": 86_400,
}
# Only what is asked for: the lists of spot and options are long, and options ask once a coin.
_LISTS = {
    "bybit": {"fetchMarkets": {"types": ["linear", "inverse"]}},
    "okx": {"fetchMarkets": {"types": ["swap"]}},
    "hyperliquid": {"fetchMarkets": {"types": ["swap"]}},
}


class HttpRefusal(Exception):
    """An exchange answered with a status that says no.

    Args:
        status: HTTP status.
        words: What it said, short.
        retry_after: Seconds after which it may be asked again, where it says so.
    """

    def __init__(self, status: int, words: str, retry_after: float | None) -> None:
        wait = f", to be asked again in {retry_after:g} s" if retry_after is not None else ""
        super().__init__(f"HTTP {status}{wait}" + (f": {words}" if words else ""))
        self.status, self.retry_after = status, retry_after


def open_client(exchange: str, *, base_url: str = "", urls: Mapping[str, str] | None = None) -> Any:
    """A ccxt client of `exchange` that needs no key.

    Args:
        exchange: A name of `EXCHANGES`, or any ccxt exchange id.
        base_url: Another host for all its addresses, such as a regional host, a gateway or a test.
        urls: Replaces single addresses, by ccxt's names.

    Raises:
        FeedError: ccxt is not installed, knows no such exchange, or the address is none.
    """
    try:
        import ccxt.async_support as ccxt
    except ImportError as error:
        raise FeedError("market data of an exchange needs ccxt", hint="pip install 'midas-alpha[live]'") from error
    name = EXCHANGES.get(exchange, exchange)
    kind = getattr(ccxt, name, None) if name in ccxt.exchanges else None
    if kind is None:
        raise FeedError(f"ccxt knows no exchange {exchange!r}", hint="e.g. " + ", ".join(EXCHANGES))
    client: Any = kind({"enableRateLimit": True, "timeout": int(REQUEST_SECONDS * 1000)})
    client.options = {**client.options, **_LISTS.get(name, {})}
    client.has = {**client.has, "fetchCurrencies": False}  # nothing here needs what a coin's network costs
    if base_url:
        client.urls["api"] = _moved(client.urls["api"], _checked(base_url))
    if urls:
        client.urls["api"] = {**client.urls["api"], **urls}
    _hear_refusals(client)
    _obey_proxy(client)
    return client


def _checked(base_url: str) -> str:
    parts = urlsplit(base_url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise FeedError(f"{base_url!r} is no address of a venue", hint="write e.g. https://api.bytick.com")
    return base_url.rstrip("/")


def _moved(addresses: Any, base: str) -> Any:
    """The same paths on another host."""
    if isinstance(addresses, dict):
        return {name: _moved(address, base) for name, address in addresses.items()}
    return base + urlsplit(str(addresses).replace("{hostname}", "host")).path


def _hear_refusals(client: Any) -> None:
    """Let statuses that say no come out as such, with the time to wait; ccxt keeps neither."""
    own = client.handle_errors

    def handle(code: Any, reason: Any, url: Any, method: Any, headers: Any, body: Any, *rest: Any) -> Any:
        if code in (403, 418, 429, 451) or code >= 500:
            raise HttpRefusal(int(code), " ".join(str(body or reason or "").split())[:120], _retry_after(headers))
        return own(code, reason, url, method, headers, body, *rest)

    client.handle_errors = handle


def _retry_after(headers: Any) -> float | None:
    for name, value in (headers or {}).items():
        if str(name).lower() == "retry-after":
            try:
                seconds = float(value)
            except ValueError:
                return None  # a date: no venue writes one, and back-off serves as well
            return seconds if 0 <= seconds < 1e6 else None
    return None


def _obey_proxy(client: Any) -> None:
    """HTTPS_PROXY, HTTP_PROXY and NO_PROXY, address by address; ccxt reads none, and aiohttp would read .netrc too."""
    own = client.check_proxy_settings

    def settings(url: Any = None, *rest: Any) -> Any:
        said = own(url, *rest)
        parts = urlsplit(str(url))
        host = parts.hostname or ""
        proxies = getproxies()
        proxy = proxies.get(parts.scheme) or proxies.get("all")
        if any(said) or not proxy or host in ("127.0.0.1", "::1", "localhost") or proxy_bypass(host):
            return said
        return [None, None, proxy] if proxy.startswith("socks") else [proxy, None, None]

    client.check_proxy_settings = settings
