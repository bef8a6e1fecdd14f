"""`OpenBase`: the knowledge base as the runtime opened it, and what it refuses."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from midas_engine.errors import MidasError, ReadOnlyError
from midas_engine.models import FeatureState

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from midas_engine.clock import Clock
    from midas_engine.events import Event
    from midas_engine.journal import Journal
    from midas_engine.kb import KnowledgeBase
    from midas_engine.market import Panel
    from midas_engine.models import FeatureRecord
    from midas_engine.promoter import FeaturePromoter
    from midas_engine.runtime.watched import Watched
    from midas_engine.settings import Settings
    from midas_engine.workspace import Workspace


# No folder can ever be there.
NO_BASE = "/dev/null/no-base"


class OpenBase:
    """The base with its journal and pipeline, once `open` was called.

    Args:
        settings: Where it is, and whether it may be written.
        clock: The wall's.
        watched: Today's data for pre-flights; a replay changes nothing.
        own: Watched in place of what a base has live; then no base is opened.

    Attributes:
        read_only: Nothing may be changed: asked for, or forced by the folder.
        had_base: The folder was there when it was opened.
    """

    def __init__(
        self, settings: Settings, clock: Clock, watched: Watched, *, own: Sequence[FeatureRecord] = ()
    ) -> None:
        if own:
            settings = dataclasses.replace(settings, kb=NO_BASE, read_only=True)
        self._settings, self._clock, self._watched, self._own = settings, clock, watched, list(own)
        self.read_only = settings.read_only
        self.had_base = False
        self._workspace: Workspace | None = None
        self._ready = False

    def open(self, fault: Callable[[str, str, str, str], None], on_event: Callable[[Event], None]) -> None:
        """Open everything there is; call it in a thread.

        Args:
            fault: Told of what is wrong and was survived.
            on_event: Told of every move made here, from any thread.

        Raises:
            MidasError: The folder or the journal cannot be used.
        """
        from midas_engine.workspace import Workspace

        workspace = Workspace(
            self._settings,
            clock=self._clock,
            via="terminal",
            on_event=on_event,
            data=self.todays_data,
        )
        self._workspace = workspace
        kb = workspace.kb
        if kb.read_only and not self.read_only:
            self.read_only = True
            fault("knowledge base", f"opened read-only: {kb.read_only_reason}", "actions are refused", "warning")
        if kb.path.is_dir():
            self.had_base = True
            for notice in workspace.journal.fresh_notices():
                fault("journal", notice, "see `midas kb check`", "critical")
            workspace.promoter  # noqa: B018 - a pipeline that cannot be opened is told now
            if not self.read_only and (left := workspace.commands.go_on_pausing()) is not None:
                names = ", ".join(left.features) or "nobody is left"
                fault(
                    "pipeline",
                    f"a pause of everything was stopped in the middle and is gone on with: {names}",
                    "",
                    "warning",
                )
            self._ready = True

    def todays_data(self) -> tuple[Panel | None, str]:
        """Today's data for pre-flights, or None and why not."""
        panel = self._watched.panel
        return panel, "" if panel is not None else "the data is not loaded yet"

    def close(self) -> None:
        """Close the journal; safe before `open`."""
        if self._workspace is not None:
            self._workspace.close()

    @property
    def opened(self) -> Workspace:
        """The workspace, whether its base is there or not; MidasError before `open`."""
        if self._workspace is None:
            raise MidasError("Midas is still starting")
        return self._workspace

    @property
    def workspace(self) -> Workspace:
        """The base and what works on it; ReadOnlyError where there is no base."""
        if not self._ready:
            raise ReadOnlyError("there is no knowledge base to change", hint="start without --read-only to make one")
        return self.opened

    @property
    def kb(self) -> KnowledgeBase:
        """The knowledge base; MidasError before `open`."""
        return self.opened.kb

    @property
    def promoter(self) -> FeaturePromoter | None:
        """The pipeline; None where there is no base."""
        return self.opened.promoter if self._ready else None

    @property
    def journal(self) -> Journal | None:
        """The journal; None where there is no base."""
        return self.opened.journal if self.had_base else None

    def lost(self) -> str:
        """Why the folder that was opened is not there any more; empty while it is."""
        return self.kb.lost() if self.had_base else ""

    @property
    def alone(self) -> bool:
        """Whether what is watched was given, and no base is opened for it."""
        return bool(self._own)

    def live_records(self) -> list[FeatureRecord]:
        """Deployed and shadow features, read from the base. Call it in a thread."""
        if self._own or not self.kb.path.is_dir():
            return list(self._own)
        return [r for state in (FeatureState.DEPLOYED, FeatureState.SHADOW) for r in self.kb.features(state)]

    def refuse_changes(self) -> None:
        """Raise when the pipeline may not be changed from here."""
        if self._watched.replaying:
            raise ReadOnlyError("a replay changes nothing", hint="start midas-tui without --replay")
        if self.read_only:
            raise ReadOnlyError("opened read-only", hint="start without --read-only")
        self.refuse_without_base()

    def refuse_without_base(self) -> None:
        """Raise when the folder that was opened is not there any more."""
        if lost := self.lost():
            raise ReadOnlyError(f"the knowledge base is gone: {lost}", hint="put the folder back, or restart Midas")
