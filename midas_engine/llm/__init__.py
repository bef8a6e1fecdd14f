"""Language models behind one async protocol. SDKs are imported only when a call is made."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from midas_engine.llm.budget import Budget
    from midas_engine.llm.client import ModelClient, ModelReply, ModelRequest, Secret
    from midas_engine.llm.factory import make_client
    from midas_engine.llm.replies import parse_reply
    from midas_engine.llm.scripted import ScriptedClient

__all__ = [
    "Budget",
    "ModelClient",
    "ModelReply",
    "ModelRequest",
    "ScriptedClient",
    "Secret",
    "make_client",
    "parse_reply",
]

_HOMES = {
    "Budget": "budget",
    "ModelClient": "client",
    "ModelReply": "client",
    "ModelRequest": "client",
    "ScriptedClient": "scripted",
    "Secret": "client",
    "make_client": "factory",
    "parse_reply": "replies",
}


def __getattr__(name: str) -> Any:
    """Load a public name on first use: importing this package stays instant."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
