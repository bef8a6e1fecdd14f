"""What the terminal needs of discovery: sessions started, continued, repeated, cancelled and remembered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from midas_engine.events import Event
    from midas_engine.models import SessionSummary


class OrderField(Protocol):
    """One thing that a session's form asks for: `choices` is empty where anything fits."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def label(self) -> str: ...  # noqa: D102
    @property
    def value(self) -> str: ...  # noqa: D102
    @property
    def hint(self) -> str: ...  # noqa: D102
    @property
    def choices(self) -> Sequence[str]: ...  # noqa: D102


class Reach(Protocol):
    """What is wrong with the answers by field; where nothing is, what could be reached, and the command's twin."""

    @property
    def errors(self) -> Mapping[str, str]: ...  # noqa: D102
    @property
    def lines(self) -> Sequence[str]: ...  # noqa: D102
    @property
    def command(self) -> str: ...  # noqa: D102
    @property
    def again(self) -> bool: ...  # noqa: D102


class SessionsPort(Protocol):
    """Discovery."""

    def list(self) -> Sequence[SessionSummary]: ...  # noqa: D102
    def providers(self) -> Sequence[str]: ...  # noqa: D102
    async def start(self, goal: str, provider: str = "") -> str: ...  # noqa: D102
    async def form(self, session_id: str = "") -> Sequence[OrderField]: ...  # noqa: D102
    async def check(self, answers: Mapping[str, Any], reach: bool = True) -> Reach: ...  # noqa: D102
    async def begin(self, answers: Mapping[str, Any]) -> str: ...  # noqa: D102
    async def resume(self, session_id: str) -> str: ...  # noqa: D102
    async def replay(self, session_id: str) -> str: ...  # noqa: D102
    async def cancel(self, session_id: str = "") -> str: ...  # noqa: D102
    async def earlier(self) -> Sequence[SessionSummary]: ...  # noqa: D102
    async def recall(self, session_id: str) -> Sequence[Event]: ...  # noqa: D102
