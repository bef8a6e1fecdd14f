"""What other processes did to the pipeline: seen by a few `stat`s before a bar, told with who did it and where."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from midas_engine.errors import MidasError
from midas_engine.events import FeatureMoved
from midas_engine.models import FeatureState
from midas_engine.monitor.worker import within

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime

    from midas_engine.journal import Action, Journal
    from midas_engine.kb import KnowledgeBase
    from midas_engine.models import FeatureRecord
    from midas_engine.monitor.worker import Worker

LIVE = frozenset({FeatureState.DEPLOYED, FeatureState.SHADOW})
_GONE = "gone"
_READ_BACK = 8
_READ_SECONDS = 0.3
_TOLD = ("action", "actor", "via", "reason")


@dataclass(frozen=True, slots=True)
class Move:
    """A feature that is not as it was at the last look; None: it was, or is, not there."""

    before: FeatureRecord | None
    after: FeatureRecord | None

    @property
    def name(self) -> str:
        """The feature."""
        record = self.after or self.before
        assert record is not None
        return record.name

    @property
    def live(self) -> bool:
        """It is live now."""
        return self.after is not None and self.after.state in LIVE

    @property
    def explains_itself(self) -> bool:
        """The feature's own history says who moved it; else (undo, redo) the journal does."""
        past = self.before.history if self.before is not None else ()
        return self.after is not None and len(self.after.history) > len(past)

    @property
    def concerns_the_book(self) -> bool:
        """It was live or is: who watches must obey."""
        return self.live or (self.before is not None and self.before.state in LIVE)


class BaseFollower:
    """Compares the pipeline with how it was when it was last looked at.

    Reading the features is left out while the base's mark stays the same. The mark changes a moment before the files
    do and has the resolution of the file system's clock, so the look after a change reads once more.

    Args:
        kb: The base.
        ours: Whether what lies at a path was written, and told, by this process.
    """

    def __init__(self, kb: KnowledgeBase, ours: Callable[[str], bool] = lambda _: False) -> None:
        self._kb, self._ours = kb, ours
        self._mark: object = None
        self._again = True
        self._known: dict[str, FeatureRecord] = {}

    def learn(self) -> None:
        """Take the pipeline as it is now for known. Blocking."""
        self._mark = self._kb.pipeline_mark()
        self._known = {record.name: record for record in self._kb.features()}

    def in_shadow(self, name: str) -> bool | None:
        """Whether a live feature runs in shadow; None where it is not live, or not known."""
        record = self._known.get(name)
        return None if record is None or record.state not in LIVE else record.state is FeatureState.SHADOW

    @property
    def changed(self) -> bool:
        """Something may have moved; cheap."""
        return self._again or self._kb.pipeline_mark() != self._mark

    def look(self) -> list[Move]:
        """What moved since the last look. Blocking; cheap when nothing did."""
        mark = self._kb.pipeline_mark()
        if mark == self._mark and not self._again:
            return []
        self._again, self._mark = mark != self._mark, mark
        now = {record.name: record for record in self._kb.features()}
        damaged = {record.name for record in self._kb.damaged_features()}
        moves = []
        for name in sorted({*self._known, *now}):
            before, after = self._known.get(name), now.get(name)
            if after is None and name in damaged:
                now[name] = before  # type: ignore[assignment]  # known, for it is in one of the two
                continue  # a file that cannot be read moves nothing
            if _shape(before) != _shape(after):
                moves.append(Move(before, after))
        self._known = now
        return moves

    async def deeds(self, journal: Journal | None, worker: Worker, moves: Iterable[Move]) -> list[Mapping[str, Any]]:
        """The newest changes of the pipeline, oldest first, where `moves` need them.

        Those that wait for the journal are read too, and first: a change is seen a moment before the journal has it,
        and somebody may sit on the journal.
        """
        if all(move.explains_itself for move in moves):
            return []
        waiting = await worker.submit(self._waiting)
        if journal is None:
            return waiting
        read = journal.actions
        try:
            found: list[Action] = await within(worker.submit(lambda: list(read(limit=_READ_BACK))), _READ_SECONDS)
        except (TimeoutError, MidasError):
            return waiting
        past = [{**a.body, "action": a.action, "actor": a.actor, "reason": a.reason} for a in found]
        return [*past, *waiting]

    def _waiting(self) -> list[Mapping[str, Any]]:
        changes = self._kb.transactions.unjournalled()
        with contextlib.suppress(MidasError):
            decided = self._kb.transactions.pending()
            changes += [] if decided is None else [decided]
        return [change.note for change in changes]

    def tell(self, move: Move, deeds: Sequence[Mapping[str, Any]], at: datetime) -> FeatureMoved | None:
        """The event of a move, with who did it and where; None when this process has told it itself.

        Args:
            move: From `look`.
            deeds: From `deeds`, for what a feature's own history does not say (undo, redo).
            at: Engine time.
        """
        if move.after is not None and self._ours(move.after.path):
            return None
        action, actor, via, reason = _doing(move, deeds)
        return FeatureMoved(
            at=at,
            feature=move.name,
            action=action,
            before=move.before.state.value if move.before is not None else "",
            after=move.after.state.value if move.after is not None else _GONE,
            reason=reason,
            actor=by(actor, via),
        )


def by(actor: str, via: str) -> str:
    """Who and where, in words.

    Example:
        >>> by("operator", "command line"), by("detector", "")
        ('operator (command line)', 'detector')
    """
    return f"{actor} ({via})" if via else actor


def _shape(record: FeatureRecord | None) -> tuple[object, ...]:
    return () if record is None else (record.state, record.paused, record.killed, record.expression)


def _doing(move: Move, deeds: Sequence[Mapping[str, Any]]) -> tuple[str, str, str, str]:
    """Action, actor, where, reason."""
    if move.after is not None and move.explains_itself:
        last = move.after.history[-1]
        return tuple(str(last.get(key, "")) for key in _TOLD)  # type: ignore[return-value]
    for deed in reversed(deeds):
        if move.name in {m[0] for m in deed.get("moves", [])}:
            return tuple(str(deed.get(key, "")) for key in _TOLD)  # type: ignore[return-value]
    return "changed", "somebody", "another process", ""
