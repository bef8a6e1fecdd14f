"""The one place that commands: what moves a feature, for the terminal, the command line, Python and the service alike.

Every door calls `Commands` and reads `ACTIONS`, the one table of what can be done, from where, and what it asks for.
The same checks, the same journal entry and the same event follow, whichever door was used.

A kill has one owner, the base's kill file: it is latched there first, which waits for nobody, and whoever watches the
base reads it, calls its `on_kill` once and stops the feature. The pipeline's archive comes after.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from midas_engine.errors import KnowledgeBaseError, MidasError, TransitionError
from midas_engine.kb.kill_file import Kill
from midas_engine.kb.names import split_version
from midas_engine.models import FeatureState
from midas_engine.preflight import MEASURED, Preflight, preflight
from midas_engine.promoter.latch import check_kill, last_copy, latch_beside
from midas_engine.promoter.rules import ACTIONS, GATED, MOVES, check_force, check_reason

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from midas_engine.events import FeatureMoved
    from midas_engine.kb import KnowledgeBase
    from midas_engine.market import Panel
    from midas_engine.models import FeatureRecord
    from midas_engine.promoter import FeaturePromoter, Preview
    from midas_engine.settings import Settings

__all__ = ["ACTIONS", "MOVES", "AllDone", "Commands", "Done", "check_door"]

LIVE = (FeatureState.DEPLOYED, FeatureState.SHADOW)
_PAUSING = "commands/pause-all"


@dataclass(frozen=True, slots=True)
class Done:
    """What an action did.

    Attributes:
        action: Its name in `ACTIONS`.
        record: The feature as it is now.
        words: What was measured on the way, in a few words; empty when nothing was.
        waits: Why a killed feature's file has not moved yet; empty when it has.
        pending: A killed feature's `on_kill` has not been called yet: no monitor with one has seen it.
    """

    action: str
    record: FeatureRecord
    words: str = ""
    waits: str = ""
    pending: bool = False

    @property
    def said(self) -> str:
        """One line for a person."""
        tail = f", {self.words}" if self.words else ""
        late = ", its file moves as soon as the base is free" if self.waits else ""
        return f"{self.record.name} {ACTIONS[self.action].done}{tail}{late}"


@dataclass(frozen=True, slots=True)
class AllDone:
    """What one command on everything live did.

    Attributes:
        action: kill or pause.
        features: The features that it holds for now.
        waits: Killed features whose files move later, and why.
        failed: Features that it does not hold for, and why.
    """

    action: str
    features: tuple[str, ...] = ()
    waits: Mapping[str, str] = dataclasses.field(default_factory=dict)
    failed: Mapping[str, str] = dataclasses.field(default_factory=dict)


def check_door(action: str, via: str) -> None:
    """Refuse what the table does not allow from a door.

    Raises:
        TransitionError: There is no such action, or it is not taken from there.
    """
    if action not in ACTIONS:
        raise TransitionError(f"there is no action {action!r}", hint="one of " + ", ".join(ACTIONS))
    if via not in ACTIONS[action].doors:
        raise TransitionError(
            f"{action} is not taken from {via or 'an unnamed door'}", hint="from " + ", ".join(ACTIONS[action].doors)
        )


class Commands:
    """Everything that moves a feature. Every method blocks: in an event loop, call it in a thread.

    Args:
        kb: The base; it may be open for reading only, and still latches a kill.
        promoter: Opens the pipeline when an action needs it, and gives the same one every time.
        settings: How features are scored.
        via: The door, one of `DOORS`.
        data: Today's data, or None and why it is not there.
    """

    def __init__(
        self,
        kb: KnowledgeBase,
        promoter: Callable[[], FeaturePromoter],
        settings: Settings,
        *,
        via: str,
        data: Callable[[], tuple[Panel | None, str]],
    ) -> None:
        self._kb, self._promoter, self._settings = kb, promoter, settings
        self._via, self._data = via, data
        self._looked: tuple[tuple[object, ...], Panel | None, Preflight] | None = None

    def preview(self, action: str, name: str) -> Preview:
        """What an action would change on disk, before it is taken, with what today's data says of it.

        An action that is not possible says why in `refusal`; no data is loaded for it.

        Raises:
            TransitionError: There is no such action.
        """
        check_door(action, self._via)
        plain = self._promoter().preview(action, name)
        if not plain.possible or action not in GATED:
            return plain
        if action == "book":
            try:
                self._refuse_book_look(name)
            except TransitionError as error:
                return dataclasses.replace(plain, refusal=str(error))
        found = self.preflight(action, name)
        preview = self._promoter().preview(action, name, found.withdrawn)
        return dataclasses.replace(
            preview, figures=found.figures, data=found.data, worth=found.worth, effects=found.effects
        )

    def preflight(self, action: str, name: str) -> Preflight:
        """What today's data says; looked at once for the question and the deed, while nothing changed."""
        if action not in MEASURED:
            return Preflight()
        record, (panel, why) = self._kb.feature(name), self._data()
        book = tuple((r.name, r.expression) for r in self._kb.features(FeatureState.DEPLOYED))
        gates = repr(self._kb.last_good_thresholds())
        key = (action, name, record.expression, record.gate, record.hold_bars, record.expected_score, book, gates)
        if self._looked is None or self._looked[0] != key or self._looked[1] is not panel:
            self._looked = (key, panel, preflight(self._kb, action, name, panel, self._settings, why=why))
        return self._looked[2]

    def act(self, action: str, name: str, reason: str = "", *, force: bool = False) -> Done:
        """Move a feature. What goes live is looked at on today's data first, and what it promises is measured.

        Args:
            action: One of `MOVES`.
            name: The feature.
            reason: Kept with it; some actions need one.
            force: Go on whatever is against it; needs a reason.

        Raises:
            TransitionError: It is not possible, or something is against it and it is not forced with a reason.
        """
        check_door(action, self._via)
        if action == "kill":
            return self.kill(name, reason)
        if action == "book":
            return self._to_book(name, reason, force)
        # What is not possible at all is refused by the pipeline, before the data is read.
        looked_at = action in MEASURED and self._promoter().preview(action, name).possible
        found = self.preflight(action, name) if looked_at else Preflight()
        return Done(action, self._carry_out(action, name, reason, force, found), found.words)

    def _to_book(self, name: str, reason: str, force: bool) -> Done:
        """Look at the sealed part for the book, once everything else is settled, and promote what held."""
        from midas_engine.book_look import look_for_book

        promoter, record = self._promoter(), self._kb.feature(name)
        # What would be refused anyway must not cost a look: what is saved is asked first, then today's data.
        self._settled("book", name, (), reason, force)
        panel = self._refuse_book_look(name)
        found = self.preflight("book", name)
        self._settled("book", name, found.withdrawn, reason, force)
        look = look_for_book(self._kb, record, panel, self._settings)
        against = found.withdrawn if look.passed else (*found.withdrawn, look.words)
        done = promoter.promote(name, reason, force, withdrawn=against, book=look.figures, **found.changes)
        return Done("book", done, f"{look.words}; {found.words}".strip("; "))

    def _settled(self, action: str, name: str, withdrawn: Sequence[str], reason: str, force: bool) -> None:
        preview = self._promoter().preview(action, name, withdrawn)
        if not preview.possible:
            raise TransitionError(preview.refusal)
        check_force(self._kb.feature(name), preview.unmet, reason, force)

    def _refuse_book_look(self, name: str) -> Panel:
        from midas_engine.book_look import refuse_book_look

        return refuse_book_look(self._kb, self._kb.feature(name), *self._data())

    def _carry_out(self, action: str, name: str, reason: str, force: bool, found: Preflight) -> FeatureRecord:
        promoter = self._promoter()
        match action:
            case "promote":
                return promoter.promote(name, reason, force, withdrawn=found.withdrawn, **found.changes)
            case "redeploy":
                return promoter.redeploy(name, reason, force, withdrawn=found.withdrawn, **found.changes)
            case "shadow":
                return promoter.shadow(name, reason, **found.changes)
            case "demote":
                return promoter.demote(name, reason)
            case "reject":
                return promoter.reject(name, reason)
            case "pause":
                return promoter.pause(name, reason)
            case "resume":
                return promoter.resume(name, reason)
            case "rollback":
                return promoter.rollback(name, reason)
        raise TransitionError(f"{action} moves no feature", hint="one of " + ", ".join(MOVES))

    def book_words(self) -> tuple[str, ...]:
        """What members that were promoted for the book are worth beside those that are left, a line each; heavy."""
        from midas_engine.book.partners import for_the_book

        if not for_the_book(self._kb):
            return ()
        panel, why = self._data()
        names = ", ".join(for_the_book(self._kb))
        try:
            if panel is None:
                return (f"what {names} adds to the book is unknown: {why}",)
            from midas_engine.book.worth import worth_words

            return worth_words(self._kb, panel, self._settings)
        except MidasError as error:
            return (f"what {names} adds to the book is unknown: {error.message}",)

    # -- kill --------------------------------------------------------------------------------------

    def check_kill(self, name: str, reason: str) -> None:
        """Refuse what a kill would refuse, before anything is asked or written.

        Raises:
            TransitionError: It is not live, or there is no reason.
            ReadOnlyError: The base may not be written.
        """
        if self._settings.read_only or "opened read-only" not in self._kb.read_only_reason:
            self._kb.check_writable()
        check_kill(self._kb, name, reason, lambda wanted: last_copy(self._kb, wanted))

    def kill(self, name: str, reason: str, *, latched: Callable[[], None] | None = None) -> Done:
        """Stop a feature for good: latched before anything that might wait, then archived.

        Args:
            name: The feature.
            reason: Why; needed.
            latched: Called between the two, so that who watches the base here obeys at once.

        Raises:
            TransitionError: It is not live, or there is no reason.
            KnowledgeBaseError: Neither the kill file nor the pipeline could be written.
        """
        check_door("kill", self._via)
        self.check_kill(name, reason)
        try:
            latch_beside(self._kb, name, reason, actor="operator", via=self._via)
        except KnowledgeBaseError:  # the kill file cannot be written; the pipeline itself is tried
            record, waits = self._archive(name, reason)
            if record is None or waits:
                raise
        else:
            if latched is not None:
                latched()
            record, waits = self._archive(name, reason)
        record = record or check_kill(self._kb, name, reason, lambda wanted: last_copy(self._kb, wanted))[0]
        pending = any(held.feature == name for held in self._kb.kill_file.read().pending)
        return Done("kill", record, waits=waits, pending=pending)

    def _archive(self, name: str, reason: str) -> tuple[FeatureRecord | None, str]:
        """Move what is latched to the archive; when another process, or the disk, keeps it from that, why."""
        try:
            record = self._promoter().kill(name, reason)
        except MidasError as error:  # latched it is, whatever keeps its file where it lies
            return None, error.message
        return record, "" if record.state is FeatureState.ARCHIVED else "another process holds the base"

    # -- everything at once ------------------------------------------------------------------------

    def live(self) -> tuple[str, ...]:
        """The live features that are not killed, damaged ones among them, by name."""
        return tuple(sorted(record.name for record in self._live()))

    def _live(self) -> list[FeatureRecord]:
        killed = self._kb.kill_file.read().kills
        found = [record for state in LIVE for record in self._kb.features(state)]
        found += [record for record in self._kb.damaged_features() if record.state in LIVE]
        return [record for record in found if not record.killed and record.name not in killed]

    def kill_all(self, reason: str, *, latched: Callable[[], None] | None = None) -> AllDone:
        """Stop everything live for good: every kill latched with one write, then archived one after another.

        Raises:
            TransitionError: There is no reason, or nothing is live.
            KnowledgeBaseError: The kill file could not be written; nothing is killed then.
        """
        check_door("kill", self._via)
        if self._settings.read_only or "opened read-only" not in self._kb.read_only_reason:
            self._kb.check_writable()
        records, at = self._live(), self._kb.clock.now().isoformat()
        if not records:
            raise TransitionError("nothing is live: there is nothing to kill")
        kills = [
            Kill("", r.name, split_version(r.name)[1], check_reason("kill", reason, r), "operator", self._via, at)
            for r in records
        ]
        self._kb.kill_file.keep_all(kills)
        if latched is not None:
            latched()
        waits: dict[str, str] = {}
        for record in records:
            if why := self._archive(record.name, reason)[1]:
                waits[record.name] = why
        return AllDone("kill", tuple(sorted(r.name for r in records)), waits)

    def pause_all(self, reason: str = "") -> AllDone:
        """Set everything live aside. It is on record before the first is paused: a stop in between is gone on with.

        Raises:
            TransitionError: Nothing is live that is not paused.
        """
        check_door("pause", self._via)
        names = [record.name for record in self._live() if not record.paused and not record.damaged]
        if not names:
            raise TransitionError("nothing is live that is not paused: there is nothing to pause")
        wanted = json.dumps({"names": names, "reason": reason}).encode()
        self._promoter().journal.put_state(_PAUSING, wanted, durable=True)
        return self._pause(names, reason)

    def go_on_pausing(self) -> AllDone | None:
        """Finish a `pause_all` that was stopped in the middle; None when there is none."""
        kept = self._promoter().journal.get_state(_PAUSING)
        if not kept:
            return None
        try:
            asked = json.loads(kept)
            names, reason = [str(name) for name in asked["names"]], str(asked["reason"])
        except (ValueError, KeyError, TypeError):
            return None
        live = {record.name for record in self._live() if not record.paused}
        return self._pause([name for name in names if name in live], reason)

    def _pause(self, names: Sequence[str], reason: str) -> AllDone:
        done, failed = [], {}
        for name in names:
            try:
                self._promoter().pause(name, reason)
            except MidasError as error:
                failed[name] = error.message
            else:
                done.append(name)
        self._promoter().journal.put_state(_PAUSING, b"", durable=True)
        return AllDone("pause", tuple(sorted(done)), {}, failed)

    # -- taking back -------------------------------------------------------------------------------

    def undo(self, name: str | None = None) -> FeatureMoved:
        """Take back the last action, or the last one on `name`. A kill stays.

        Raises:
            UndoError: There is nothing to undo, it was a kill, or its files changed since.
        """
        check_door("undo", self._via)
        return self._promoter().undo(name)

    def redo(self, name: str | None = None) -> FeatureMoved:
        """Do again what `undo` took back.

        Raises:
            UndoError: There is nothing to redo, or its files changed since.
        """
        check_door("redo", self._via)
        return self._promoter().redo(name)

    def revoke_learning(self, path: str, reason: str) -> str:
        """Set a learning aside with a reason, so that no later prompt quotes it; returns where it lies now."""
        if not reason.strip():
            raise TransitionError("revoke needs a reason", hint="it is kept beside the learning")
        return self._kb.revoke_learning(path, reason=f"revoked: {reason}")
