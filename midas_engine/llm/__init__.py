"""Language models behind one async protocol. SDKs are imported only when a call is made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from midas_engine.lazy import lazy_face

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

__getattr__, __dir__ = lazy_face(
    __name__,
    {
        "Budget": ".budget",
        "ModelClient": ".client",
        "ModelReply": ".client",
        "ModelRequest": ".client",
        "ScriptedClient": ".scripted",
        "Secret": ".client",
        "make_client": ".factory",
        "parse_reply": ".replies",
    },
)
