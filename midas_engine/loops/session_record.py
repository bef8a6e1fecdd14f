"""What a session asks of anybody but its own program: kept as it happens, and given again at a replay or a resume."""

from __future__ import annotations

import asyncio
import dataclasses
import math
import types
import typing
from collections import deque
from typing import TYPE_CHECKING, Any, TypeVar

from midas_engine.errors import JournalError, SessionError
from midas_engine.journal.transcript import PREFIX, Transcripts
from midas_engine.jsonable import plain

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from midas_engine.journal.journal import Journal
    from midas_engine.journal.schema import Row

T = TypeVar("T")


class SessionRecord:
    """The calls, answers and end of one session, in order.

    Args:
        session_id: Whose; empty for a session without a record.
        rows: What is known already: it is given again before anything new is asked.
        journal: Where new rows go; None keeps none.
    """

    def __init__(self, session_id: str = "", rows: Iterable[Row] = (), journal: Journal | None = None) -> None:
        self.session_id = session_id
        self.kept = list(rows)
        self._calls = deque((_kind(row), row.body) for row in self.kept if _kind(row) in ("call", "failed"))
        self._answers = deque(row.body for row in self.kept if _kind(row) == "answer")
        self._transcripts = Transcripts(journal) if journal is not None else None
        self.incomplete = ""
        self.calls = 0

    @property
    def resumed(self) -> bool:
        """Whether there was something before this run of it."""
        return bool(self.kept)

    @property
    def end(self) -> Mapping[str, Any] | None:
        """The last end; None for a session that was killed."""
        return next((row.body for row in reversed(self.kept) if _kind(row) == "end"), None)

    @property
    def inputs(self) -> Mapping[str, Any] | None:
        """What the session was given; None when it left no transcript."""
        first = next((row.body for row in self.kept if _kind(row) == "answer"), None)
        return first["value"] if first is not None and first.get("what") == "inputs" else None

    def next_call(self) -> tuple[str, Mapping[str, Any]] | None:
        """See `llm.recorded.CallRecord`."""
        self.calls += 1
        return self._calls.popleft() if self._calls else None

    async def keep(self, kind: str, body: Mapping[str, Any]) -> None:
        """Append a row. A journal that cannot take it never stops a session: its transcript is then incomplete."""
        if self._transcripts is not None:
            await asyncio.to_thread(self._append, kind, body)

    async def answer(self, what: str, kind: type[T], ask: Callable[[], Awaitable[T]]) -> T:
        """What `ask` gives, or what it gave the first time.

        Args:
            what: The question, in a word.
            kind: The answer's type: str, bool, dict, or a dataclass of plain fields.
            ask: Asks.

        Raises:
            SessionError: The record is of another question.
        """
        if self._answers:
            return revived(kind, self._next_answer(what))
        found = await ask()
        await self.keep("answer", {"what": what, "value": plain(found)})
        return found

    async def answer_if(self, what: str, mark: str, kind: type[T], ask: Callable[[], Awaitable[T | None]]) -> T | None:
        """What `ask` gives, kept only when it is something; or what it gave the first time.

        Args:
            what: The question, in a word.
            mark: Which of many such questions; it is the value's field `key`.
            kind: The answer's type, a dataclass with a field `key`.
            ask: Asks.
        """
        if self._answers:
            kept = self._answers[0]
            if kept.get("what") != what or kept["value"].get("key") != mark:
                return None
            return revived(kind, self._next_answer(what))
        found = await ask()
        if found is not None:
            await self.keep("answer", {"what": what, "value": plain(found)})
        return found

    def answer_now(self, what: str, ask: Callable[[], str]) -> str:
        """`answer` with a text, for a thread that may wait for the disk."""
        if self._answers:
            return str(self._next_answer(what))
        found = ask()
        self._append("answer", {"what": what, "value": found})
        return found

    def _next_answer(self, what: str) -> Any:
        kept = self._answers.popleft()
        if kept.get("what") != what:
            raise SessionError(
                f"the session does not repeat: it asks for {what}, its record holds {kept.get('what')!r}",
                hint="the program, its settings or the data differ from those of the recorded session",
            )
        return kept["value"]

    def _append(self, kind: str, body: Mapping[str, Any]) -> None:
        if self._transcripts is None or self.incomplete:
            return
        try:
            self._transcripts.append(self.session_id, kind, body)
        except JournalError as error:
            self.incomplete = error.message


def _kind(row: Row) -> str:
    return row.kind.removeprefix(PREFIX)


def revived(kind: type[T], value: Any) -> T:
    """A value from its JSON form (`jsonable.plain`).

    Example:
        >>> revived(str, "a")
        'a'
    """
    return typing.cast("T", _typed(kind, value))


def _typed(kind: Any, value: Any) -> Any:
    if kind is float:
        return math.nan if value is None else float(value)
    if dataclasses.is_dataclass(kind) and isinstance(value, dict):
        hints = typing.get_type_hints(typing.cast("type", kind))
        fields = {f.name for f in dataclasses.fields(kind)}
        return typing.cast("Any", kind)(**{k: _typed(hints[k], v) for k, v in value.items() if k in fields})
    origin, of = typing.get_origin(kind), typing.get_args(kind)
    if origin is tuple and isinstance(value, list):
        return tuple(_typed(of[0], v) for v in value)
    if origin is dict and isinstance(value, dict):
        return {str(k): _typed(of[1], v) for k, v in value.items()}
    if origin in (typing.Union, types.UnionType) and value is not None:
        return _typed(next(a for a in of if a is not type(None)), value)
    if isinstance(kind, type) and kind.__name__ == "datetime" and isinstance(value, str):
        return typing.cast("Any", kind).fromisoformat(value)
    return value
