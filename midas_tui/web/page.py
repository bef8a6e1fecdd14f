"""The page, its files and its headers: nothing is asked of another host, and nobody may frame it."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from importlib import resources
from typing import TYPE_CHECKING

from midas_engine.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FONT_PIXELS = 16
INSTALL = "pip install 'midas-alpha[web]'"

# Files of textual-serve, and ours. The page's own script and style stand beside them.
_FROM_TEXTUAL = {
    "textual.js": "js/textual.js",
    "xterm.css": "css/xterm.css",
    "RobotoMono-VariableFont_wght.ttf": "fonts/RobotoMono-VariableFont_wght.ttf",
    "RobotoMono-Italic-VariableFont_wght.ttf": "fonts/RobotoMono-Italic-VariableFont_wght.ttf",
}
_OWN = ("page.js", "page.css")
_TYPES = {"js": "text/javascript", "css": "text/css", "ttf": "font/ttf"}

_PAGE = """<!DOCTYPE html>
<html lang="en">
  <head>
    <meta charset="utf-8" />
    <title>Midas</title>
    <link rel="icon" href="data:," />
    <link rel="stylesheet" href="static/xterm.css" />
    <link rel="stylesheet" href="static/page.css" />
    <script src="static/textual.js"></script>
    <script src="static/page.js"></script>
  </head>
  <body data-words="words/{nonce}">
    <div class="words"><div id="words">Midas starts.</div><button type="button" id="again">Open again</button></div>
    <div class="textual-terminal" data-session-websocket-url="{socket}" data-font-size="{font}"></div>
  </body>
</html>
"""


@dataclass(frozen=True, slots=True)
class Asset:
    """One file of the page."""

    body: bytes
    content_type: str


def load_assets() -> dict[str, Asset]:
    """Every file the page may ask for, by name.

    Raises:
        SettingsError: The extra `web` is not installed, or is another version than this page knows.
    """
    try:
        theirs = resources.files("textual_serve") / "static"
        found = {name: (theirs / path).read_bytes() for name, path in _FROM_TEXTUAL.items()}
    except (ImportError, OSError) as error:
        raise SettingsError(f"--serve needs textual-serve: {error}", hint=INSTALL) from None
    ours = resources.files("midas_tui.web") / "static"
    found |= {name: (ours / name).read_bytes() for name in _OWN}
    return {name: Asset(body, _TYPES[name.rpartition(".")[2]]) for name, body in found.items()}


def page(nonce: str, socket_origin: str, path: str) -> str:
    """The page that opens one socket with `nonce`; `socket_origin` is ws or wss and the host it was reached by."""
    socket = escape(f"{socket_origin}{path}ws/{nonce}", quote=True)
    return _PAGE.format(nonce=escape(nonce, quote=True), socket=socket, font=FONT_PIXELS)


def headers(socket_origins: Sequence[str]) -> Mapping[str, str]:
    """What every answer carries.

    Styles are inline in xterm.js, which sets colours and sizes of cells; scripts never are.
    """
    policy = (
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; font-src 'self'; img-src data:; "
        f"connect-src 'self' {' '.join(socket_origins)}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return {
        "Content-Security-Policy": policy,
        "X-Frame-Options": "DENY",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Server": "midas",
    }
