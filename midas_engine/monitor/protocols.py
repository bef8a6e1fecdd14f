"""What the monitor asks of its neighbours; any object with these methods will do, and all are optional.

`StateStore`, `DocumentStore` and `Retirer` are the least. What a neighbour can do beyond that has a protocol of its
own, and is asked for with `isinstance`: the journal and the base of Midas can do it all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from midas_engine.journal import Action, Journal
    from midas_engine.models import LearningDocument


class StateStore(Protocol):
    """The part of the journal the monitor needs to survive a restart."""

    def put_state(self, key: str, blob: bytes, *, durable: bool = False) -> None:
        """Keep `blob` under `key` before returning: through a crash, with `durable` through a power cut."""
        ...

    def get_state(self, key: str) -> bytes | None:
        """What was kept under `key`, or None."""
        ...


@runtime_checkable
class KeptJournal(StateStore, Protocol):
    """A journal on disk: it knows its damage and what moved in the pipeline."""

    @property
    def path(self) -> Path:
        """The journal's file."""
        ...

    @property
    def notices(self) -> Sequence[str]:
        """What it lost."""
        ...

    def fresh_notices(self) -> list[str]:
        """What of `notices` nobody has shouted yet."""
        ...

    def actions(self, *, feature: str | None = None, limit: int | None = None) -> Sequence[Action]:
        """The newest moves in the pipeline."""
        ...


class DocumentStore(Protocol):
    """The part of the knowledge base the monitor writes to."""

    def save_learning(self, document: LearningDocument) -> Path:
        """Write a learning document and give its path."""
        ...

    def save_text(self, relpath: str, text: str) -> Any:
        """Write `text` at `relpath` inside the base."""
        ...


@runtime_checkable
class PlotStore(DocumentStore, Protocol):
    """A store that takes pictures too."""

    def save_bytes(self, path: str, data: bytes) -> Any:
        """Write `data` at `path` inside the base."""
        ...


@runtime_checkable
class RawStore(Protocol):
    """A store whose files can be read."""

    def read_raw(self, path: str) -> bytes:
        """The bytes of a document; FileNotFoundError when there is none."""
        ...


@runtime_checkable
class Library(DocumentStore, Protocol):
    """A store that knows prompts and what was learnt before."""

    def prompt(self, name: str) -> str:
        """The text of a prompt template."""
        ...

    def related_learnings(self, goal: str, n: int = 5) -> Sequence[LearningDocument]:
        """The learnings that speak to `goal`, best first."""
        ...


class Retirer(Protocol):
    """The part of the promoter a kill needs."""

    def kill(self, name: str, reason: str) -> Any:
        """Archive `name` for good, with its record."""
        ...


@runtime_checkable
class JournalledRetirer(Retirer, Protocol):
    """A pipeline that journals its moves."""

    @property
    def journal(self) -> Journal:
        """Where they are."""
        ...
