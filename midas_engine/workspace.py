"""The one place that wires: a knowledge base with its journal and pipeline, and everything that works on it.

`create_midas`, the runtime and the command line take base, journal, pipeline, commands, researcher, loop, monitor and
diagnosis agent from here, so that each is put together in one way.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from midas_engine.clock import WallClock
from midas_engine.errors import MonitorError, TransitionError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from midas_engine.bus import EventBus
    from midas_engine.clock import Clock
    from midas_engine.commands import Commands
    from midas_engine.events import Event
    from midas_engine.journal import Journal
    from midas_engine.kb import KnowledgeBase
    from midas_engine.loops import OfflineCompoundLoop, OfflineLoopConfig
    from midas_engine.market import Panel
    from midas_engine.models import FeatureRecord
    from midas_engine.monitor import OnlineMonitor
    from midas_engine.monitor.diagnosis import DiagnoseAgent
    from midas_engine.monitor.diagnosis.protocols import Diagnostician, Mender
    from midas_engine.promoter import FeaturePromoter
    from midas_engine.proposer.protocol import Researcher
    from midas_engine.settings import Settings


class Workspace:
    """A base and what works on it. Journal and pipeline open when first asked for; close it at the end.

    Args:
        settings: What everything here obeys.
        clock: Engine time.
        via: The door that asks: "terminal", "command line", "Python", "service".
        actor: Who acts, for the record.
        api_key: The model provider's key; None reads the environment.
        read_only: Open nothing for writing before a command needs it: a kill must not wait for another process.
        on_event: Told of every move of a feature, after it is on disk.
        data: Today's data for pre-flights, or None and why not; None loads what the settings name.

    Attributes:
        notices: What had to be put right when the journal was opened, in words.

    Raises:
        KnowledgeBaseError: The folder cannot be used.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Clock | None = None,
        via: str = "Python",
        actor: str = "operator",
        api_key: str | None = None,
        read_only: bool = False,
        on_event: Callable[[Event], None] | None = None,
        data: Callable[[], tuple[Panel | None, str]] | None = None,
    ) -> None:
        from midas_engine.kb import KnowledgeBase

        self.settings = settings
        self.clock: Clock = clock or WallClock()
        self.via, self.actor = via, actor
        self._api_key, self._on_event, self._data = api_key, on_event, data
        self.kb: KnowledgeBase = KnowledgeBase(
            settings.kb_path, read_only=read_only or settings.read_only, clock=self.clock
        )
        self._journal: Journal | None = None
        self._promoter: FeaturePromoter | None = None
        self._commands: Commands | None = None
        self._beside = read_only and not settings.read_only
        self._writer: Workspace | None = None
        self._opening = threading.RLock()
        self.notices: list[str] = []

    def close(self) -> None:
        """Close the journal; safe to call twice."""
        if self._writer is not None:
            self._writer.close()
        if self._promoter is not None:
            self._promoter.close()
        if self._journal is not None:
            self._journal.close()

    # -- base --------------------------------------------------------------------------------------

    @property
    def journal(self) -> Journal:
        """The base's journal.

        Raises:
            JournalError: It cannot be opened.
        """
        with self._opening:
            if self._journal is None:
                from midas_engine.journal import Journal

                self._journal = Journal(self.kb.journal_path, clock=self.clock, read_only=self.kb.read_only)
                self.notices += [*self._journal.notices, *filter(None, [self._journal.renewed])]
                self.notices += self._end_interrupted(self._journal)
            return self._journal

    def _end_interrupted(self, journal: Journal) -> list[str]:
        if self.kb.read_only or not any(row.kind == "running" for row in journal.sessions()):
            return []  # the usual case loads nothing
        from midas_engine.loops.interrupted import end_interrupted

        return end_interrupted(self.kb, journal, self.clock)

    @property
    def promoter(self) -> FeaturePromoter:
        """The pipeline."""
        with self._opening:
            if self._promoter is None:
                from midas_engine.promoter import FeaturePromoter

                self._promoter = FeaturePromoter(
                    self.kb, self.journal, clock=self.clock, actor=self.actor, on_event=self._on_event, via=self.via
                )
            return self._promoter

    @property
    def commands(self) -> Commands:
        """What moves features, with the checks that every door makes."""
        with self._opening:
            if self._commands is None:
                from midas_engine.commands import Commands

                data = self._data or self._todays_data
                self._commands = Commands(self.kb, self._acting, self.settings, via=self.via, data=data)
            return self._commands

    def _acting(self) -> FeaturePromoter:
        """The pipeline that actions go to. A workspace opened beside another process opens it for writing only now."""
        if not self._beside:
            return self.promoter
        with self._opening:
            if self._writer is None:
                self._writer = Workspace(
                    self.settings, clock=self.clock, via=self.via, actor=self.actor, on_event=self._on_event
                )
            return self._writer.promoter

    def _todays_data(self) -> tuple[Panel | None, str]:
        """The settings' data, loaded once."""
        from midas_engine.preflight import todays_panel

        loaded = todays_panel(self.settings)
        self._data = lambda: loaded
        return loaded

    # -- offline -----------------------------------------------------------------------------------

    def researcher(self, provider: str = "", settings: Settings | None = None) -> Researcher:
        """A researcher of `provider` (default: the settings'), with what is left of the day's budget.

        Args:
            provider: Its name.
            settings: What it obeys, where that is not the base's.

        Raises:
            ModelKeyError: The provider has no key.
            SettingsError: There is no such provider.
        """
        from midas_engine.proposer.factory import make_researcher

        chosen = settings or self.settings
        return make_researcher(chosen, provider, api_key=self._api_key, day_spent_usd=self.day_spent())

    def day_spent(self) -> float:
        """US dollars that models cost this UTC day."""
        if not self.kb.path.is_dir():
            return 0.0
        day = self.clock.now().replace(hour=0, minute=0, second=0, microsecond=0)
        return self.journal.model_spend(since=day)[1]

    def loop(
        self,
        config: OfflineLoopConfig | None = None,
        *,
        researcher: Callable[[], Researcher] | None = None,
        **parts: Any,
    ) -> OfflineCompoundLoop:
        """A discovery loop on this base.

        Args:
            config: The budget of a session; None takes the settings' model and the defaults.
            researcher: Makes one for every session; None: `self.researcher`.
            parts: What else `OfflineCompoundLoop` takes: `ledger`, `existing_features`, `spread_cost_bps`.
        """
        from midas_engine.loops import OfflineCompoundLoop, OfflineLoopConfig

        model = self.settings.model
        return OfflineCompoundLoop(
            self.kb,
            researcher or self.researcher,
            promoter=self.promoter,
            config=config or OfflineLoopConfig(model=model.model, max_tokens=model.max_tokens),
            settings=self.settings,
            clock=self.clock,
            journal=self.journal,
            **parts,
        )

    # -- online ------------------------------------------------------------------------------------

    def explainer(self, provider: str = "") -> Diagnostician:
        """A researcher for diagnoses: made anew for each, with what is left of the day's budget then."""
        from midas_engine.monitor.diagnosis.budgeted_researcher import FreshResearcher
        from midas_engine.proposer.factory import make_researcher

        return FreshResearcher(
            lambda spent: make_researcher(self.settings, provider, api_key=self._api_key, day_spent_usd=spent),
            self.clock,
            self.journal,
        )

    def diagnostics(
        self,
        bus: EventBus,
        *,
        clock: Clock | None = None,
        researcher: Diagnostician | None = None,
        mender: Mender | None = None,
        columns: Sequence[str] = (),
        writing: bool = True,
    ) -> DiagnoseAgent:
        """What explains critical episodes.

        Args:
            bus: Where its events go.
            clock: Engine time, where it is not the base's.
            researcher: Who explains; None: the deterministic class and its templates alone.
            mender: Who proposes fixes; None: nobody.
            columns: Columns of the data.
            writing: Write documents into the base, where it may be written.
        """
        from midas_engine.monitor.diagnosis.agent import DiagnoseAgent
        from midas_engine.monitor.diagnosis.limits import DiagnosisLimits

        return DiagnoseAgent(
            bus=bus,
            clock=clock or self.clock,
            researcher=researcher,
            kb=self.kb if writing and not self.kb.read_only else None,
            mender=mender,
            columns=tuple(columns),
            limits=DiagnosisLimits(
                per_day=self.settings.monitor.diagnoses_per_day,
                seconds=self.settings.model.deadline_seconds * 1.5,
                max_tokens=self.settings.model.max_tokens,
            ),
        )

    def records(self, names: Sequence[str]) -> dict[str, FeatureRecord]:
        """The pipeline's record of each name that it knows; a feature may live in the user's engine only."""
        found = {}
        for name in names:
            try:
                found[name] = self.kb.feature(name)
            except TransitionError:
                continue
        return found

    def monitor(self, names: Sequence[str] | None = None, *, keep_state: bool = True, **parts: Any) -> OnlineMonitor:
        """A monitor of live features.

        Args:
            names: What to watch; None takes the deployed features.
            keep_state: Go on where the last monitor of this base ended.
            parts: What else `OnlineMonitor` takes: `symbols`, `bar_seconds`, `alert_thresholds`, `on_kill`,
                `mode`, `diagnostics`, `bus`, `clock`, `strict`.

        Raises:
            MonitorError: There is nothing to watch.
        """
        from midas_engine.evaluator.context.scored_as import monitor_mode, other_mode_words
        from midas_engine.evaluator.metrics.reference_score import watched_references
        from midas_engine.monitor import OnlineMonitor

        chosen = list(self.promoter.list_deployed() if names is None else names)
        if not chosen:
            raise MonitorError("there is no feature to watch", hint="promote a candidate: midas.promoter.promote(name)")
        records, writing = self.records(chosen), not self.kb.read_only
        symbols = parts.get("symbols")
        width = len(symbols) if isinstance(symbols, list | tuple) else symbols
        mode = parts.pop("mode", "") or monitor_mode(records.values(), width, self.settings.evaluation.mode)
        references, others = watched_references(records.values(), width, mode)
        monitor = OnlineMonitor(
            chosen,
            references=references,
            mode=mode,
            costs=self.settings.costs,
            settings=self.settings.monitor,
            kb=self.kb if writing else None,
            journal=self.journal if keep_state and writing else None,
            promoter=self.promoter if writing else None,
            expressions={name: record.expression for name, record in records.items()},
            daily_reports=keep_state,
            **{"clock": self.clock, **parts},
        )
        monitor.obedience.everything = names is None
        if others:
            monitor.fault(other_mode_words(others, mode))
        return monitor
