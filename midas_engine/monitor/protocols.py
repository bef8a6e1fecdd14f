"""What the monitor asks of its neighbours; any object with these methods will do, and all are optional."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from pathlib import Path

    from midas_engine.models import LearningDocument


class StateStore(Protocol):
    """The part of the journal the monitor needs to survive a restart."""

    def put_state(self, key: str, blob: bytes, *, durable: bool = False) -> None:
        """Keep `blob` under `key` before returning: through a crash, with `durable` through a power cut."""
        ...

    def get_state(self, key: str) -> bytes | None:
        """What was kept under `key`, or None."""
        ...


class DocumentStore(Protocol):
    """The part of the knowledge base the monitor writes to."""

    def save_learning(self, document: LearningDocument) -> Path:
        """Write a learning document and give its path."""
        ...

    def save_text(self, relpath: str, text: str) -> Any:
        """Write `text` at `relpath` inside the base."""
        ...


class Retirer(Protocol):
    """The part of the promoter a kill needs."""

    def kill(self, name: str, reason: str) -> Any:
        """Archive `name` for good, with its record."""
        ...
