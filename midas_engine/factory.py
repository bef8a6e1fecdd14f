"""`create_midas()`: one knowledge base with its pipeline, its two loops and its journal, for Python."""

from __future__ import annotations

import asyncio
import dataclasses
import warnings
from contextlib import aclosing
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from midas_engine.errors import SettingsError
from midas_engine.online_options import OnlineKeywords, OnlineOptions, heard_alerts
from midas_engine.providers import PROVIDERS, Provider, inferred
from midas_engine.settings import Settings, load_settings

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

    import pandas as pd

    from midas_engine.clock import Clock
    from midas_engine.commands import Commands
    from midas_engine.evaluator import MultiAgentEvaluator
    from midas_engine.evaluator.trials.ledger import TrialLedger
    from midas_engine.events import Event
    from midas_engine.kb import KnowledgeBase
    from midas_engine.loops import OfflineCompoundLoop, OfflineLoopConfig
    from midas_engine.loops.assessors import Assessor
    from midas_engine.market.panel import Panel
    from midas_engine.monitor import OnlineMonitor
    from midas_engine.monitor.diagnosis.protocols import Diagnostician
    from midas_engine.promoter import FeaturePromoter
    from midas_engine.proposer.protocol import Researcher


class MidasKeywords(TypedDict, total=False):
    """The keywords of `create_midas` beside the original's, for type checkers."""

    model: str | None
    data: str | None
    seed: int | None
    settings: Settings | None
    clock: Clock | None
    llm_client: Any


class Midas:
    """A knowledge base and everything that works on it. Build it with `create_midas`.

    It holds an open journal: close it, or use it in a `with` or `async with` block. Without that the process's end
    closes it, and nothing is lost.

    Attributes:
        settings: What everything here obeys.
        kb: The knowledge base.
        promoter: The pipeline as it is: `promote`, `demote`, `reject`, `kill`, `undo`, `list_deployed`, ... It runs no
            pre-flight; `commands` does.
        offline: The discovery loop: `run` blocks, `run_async` is awaited, `stream` yields events.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        api_key: str | None = None,
        existing_features: pd.DataFrame | None = None,
        spread_cost_bps: float | None = None,
        offline_config: OfflineLoopConfig | None = None,
        clock: Clock | None = None,
        ledger: TrialLedger | None = None,
        llm_client: Any = None,
    ) -> None:
        from midas_engine.llm.given import given_client
        from midas_engine.proposer import make_researcher
        from midas_engine.workspace import Workspace

        self._client = None if llm_client is None else given_client(llm_client, settings.model)
        if self._client is None:
            make_researcher(settings, api_key=api_key)  # a missing key is said before anything is made
        self.settings = settings
        self.workspace = Workspace(settings, clock=clock, via="Python", api_key=api_key)
        self.clock: Clock = self.workspace.clock
        self._existing_features, self._spread = existing_features, spread_cost_bps
        self.kb: KnowledgeBase = self.workspace.kb
        self.promoter: FeaturePromoter = self.workspace.promoter
        self.offline: OfflineCompoundLoop = self.workspace.loop(
            offline_config,
            researcher=self.make_researcher,
            ledger=ledger,
            existing_features=existing_features,
            spread_cost_bps=spread_cost_bps,
        )

    # -- life ------------------------------------------------------------------------------------

    def close(self) -> None:
        """Close the journal; safe to call twice."""
        self.workspace.close()

    def __enter__(self) -> Midas:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Midas:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self.close)

    def __repr__(self) -> str:
        return f"Midas(kb={str(self.kb.path)!r}, provider={self.settings.model.provider!r})"

    # -- offline ---------------------------------------------------------------------------------

    def make_researcher(self) -> Researcher:
        """A researcher of the settings' provider, with what is left of the day's budget.

        Raises:
            ModelKeyError: The provider has no key.
        """
        if self._client is not None:
            return self._asking_given(self.workspace.day_spent())
        return self.workspace.researcher()

    def _asking_given(self, spent: float) -> Researcher:
        """A researcher that asks `llm_client`."""
        from midas_engine.llm import Budget
        from midas_engine.proposer import LLMResearcher

        assert self._client is not None
        return LLMResearcher(self._client, Budget.from_settings(self.settings.model, spent))

    def _explainer(self) -> Diagnostician:
        if self._client is None:
            return self.workspace.explainer()
        from midas_engine.monitor.diagnosis.budgeted_researcher import FreshResearcher

        return FreshResearcher(self._asking_given, self.clock, self.workspace.journal)

    @property
    def commands(self) -> Commands:
        """What moves features as terminal and command line do it: with a look at today's data before one goes live.

        `midas.commands.act("promote", name)`; `midas.promoter` moves them as they are, for features of your own engine.
        """
        return self.workspace.commands

    async def discover(
        self,
        goal: str,
        data: Panel | Assessor | None = None,
        *,
        regime: str = "",
        resume: str = "",
    ) -> AsyncGenerator[Event, None]:
        """One discovery session as a stream of events; ends with `SessionEnded`, whatever happens.

        Args:
            goal: What to look for.
            data: A panel, or anything that judges proposals; None loads the settings' data.
            regime: Regime of interest.
            resume: A session that was killed or cancelled: it goes on where it was, with the goal, the regime, the
                budget and the settings it had; `goal` is not read.

        Raises:
            SessionError: A session runs already, the goal is empty, or there is nothing to resume.
            ReadOnlyError: The knowledge base may not be written.
        """
        record, own = None, self.offline.settings
        if resume:
            from midas_engine.loops.replay import read_resumable

            record, given = await asyncio.to_thread(read_resumable, self.workspace.journal, resume)
            goal, regime, self.offline.config = given.goal, given.regime, given.config
            self.offline.settings = given.restored(own)
        self.offline.check_start(goal)
        try:
            assessor = await asyncio.to_thread(self._assessor, data)
            async with aclosing(self.offline.stream(goal, assessor, regime=regime, record=record)) as events:
                async for event in events:
                    yield event
        finally:
            self.offline.settings = own

    def _assessor(self, data: Panel | Assessor | None) -> Assessor:
        """Who judges. In a thread: the imports, the loading and the hash of a year of bars take a second."""
        from midas_engine.loops import PanelAssessor
        from midas_engine.market import load_panel
        from midas_engine.market.panel import Panel

        settings = self.offline.settings  # those of the session that is resumed, if one is
        if data is None:
            data = load_panel(settings.data, store=settings.store)
        return PanelAssessor(data, settings) if isinstance(data, Panel) else data

    @cached_property
    def evaluator(self) -> MultiAgentEvaluator:
        """Scores a pandas feature: `midas.evaluator.evaluate(feature, forward_returns, regime_labels)`.

        It reads the knowledge base's thresholds as they are when it is first asked for.
        """
        from midas_engine.evaluator import AlphaEvaluator, MultiAgentEvaluator, ScoringOptions

        options = ScoringOptions(costs=self.settings.costs if self._spread is None else None)
        base = AlphaEvaluator(self._existing_features, self._spread, options=options, thresholds=self.kb.thresholds())
        return MultiAgentEvaluator(base)

    # -- online ----------------------------------------------------------------------------------

    def build_online(
        self,
        feature_names: Sequence[str] | None = None,
        on_kill: Callable[[str], Any] | None = None,
        alert_thresholds: Mapping[str, Any] | None = None,
        **keywords: Unpack[OnlineKeywords],
    ) -> OnlineMonitor:
        """A monitor of live features: `await monitor.process_update(...)` on each completed bar.

        Features of the pipeline bring their formula and what they promised; other names are watched too, as
        uncalibrated.

        Args:
            feature_names: What to watch; None takes the deployed features, those deployed later too.
            on_kill: Called with a feature's name once its kill is on disk, whoever gave it, in whatever process.
            alert_thresholds: Overrides of single alert thresholds, e.g. ``{"slippage_warning": 1.2}``.
            keywords: The fields of `OnlineOptions`: `symbols`, `bar_seconds`, `keep_state`, `diagnose`, `strict`,
                `bus`, `clock`, `on_alert`.

        Raises:
            MonitorError: There is nothing to watch.
            SettingsError: A threshold is wrong.
        """
        from midas_engine.bus import EventBus

        options = OnlineOptions(**keywords)
        names = [feature_names] if isinstance(feature_names, str) else feature_names
        stream, time = options.bus or EventBus(), options.clock or self.clock
        if options.on_alert is not None:
            stream.tap(heard_alerts(options.on_alert))
        diagnostics = None
        if options.diagnose:
            self.make_researcher()  # a key that is missing is told now, not with the first alarm
            diagnostics = self.workspace.diagnostics(stream, clock=time, researcher=self._explainer())
        return self.workspace.monitor(
            names,
            keep_state=options.keep_state,
            symbols=options.symbols,
            bar_seconds=options.bar_seconds,
            alert_thresholds=alert_thresholds,
            on_kill=on_kill,
            diagnostics=diagnostics,
            bus=stream,
            clock=time,
            strict=options.strict,
        )


def create_midas(
    kb_path: str | Path | None = None,
    provider: str | None = None,
    api_key: str | None = None,
    existing_features: pd.DataFrame | None = None,
    spread_cost_bps: float | None = None,
    offline_config: OfflineLoopConfig | None = None,
    **keywords: Unpack[MidasKeywords],
) -> Midas:
    """Open (or make and seed) a knowledge base and everything around it.

    What is not given comes from `midas.toml` and the environment, then from the defaults: the base `./midas-kb` and
    the local researcher, which needs no key.

    Args:
        kb_path: Folder of the knowledge base.
        provider: local, mock, openai, anthropic or compatible. Left out with an `api_key`, the key, the model's name or
            the address tells it.
        api_key: The provider's key; better in the environment. One that nobody uses is said, as a warning.
        existing_features: Deployed features, one column each, that new ones must differ from.
        spread_cost_bps: The whole one-way cost as one number, instead of fee, half spread and slippage.
        offline_config: The budget of a discovery session.
        keywords: `model` (its name; the config's `model` if that names one), `data` (where sessions without a `data_fn`
            take theirs), `seed` (of the local researcher), `settings` (complete; the arguments above still win),
            `clock` (engine time), `llm_client` (a model client of your own instead of a provider: an OpenAI or
            Anthropic client, a `ModelClient`, or a function from a prompt to a reply).

    Raises:
        ModelKeyError: The provider has no key.
        KnowledgeBaseError: The folder cannot be used.
        SettingsError: There is no such provider, or a setting is wrong.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder, create_midas(kb_path=folder) as midas:
        ...     midas.promoter.list_deployed()
        []
    """
    settings, llm_client = keywords.get("settings"), keywords.get("llm_client")
    named = keywords.get("model") or (offline_config.model if offline_config is not None else "") or None
    flags: dict[str, Any] = {
        "kb": None if kb_path is None else str(kb_path),
        "model.provider": provider,
        "model.model": named,
        "data": keywords.get("data"),
        "seed": keywords.get("seed"),
    }
    chosen = load_settings(flags=flags) if settings is None else _with_flags(settings, flags)
    if api_key and provider is None and settings is None and llm_client is None:
        chosen = _with_provider(chosen, api_key)
    if api_key and (llm_client is not None or not PROVIDERS.get(chosen.model.provider, Provider("")).client):
        why = "llm_client is asked" if llm_client is not None else f"{chosen.model.provider} needs none"
        warnings.warn(f"api_key is not used: {why}", UserWarning, stacklevel=2)
    return Midas(
        chosen,
        api_key=api_key,
        existing_features=existing_features,
        spread_cost_bps=spread_cost_bps,
        offline_config=offline_config,
        clock=keywords.get("clock"),
        llm_client=llm_client,
    )


def _with_provider(settings: Settings, api_key: str) -> Settings:
    """The settings with the provider that a key is of, where they name none themselves.

    Raises:
        SettingsError: Nothing tells whose key it is.
    """
    if settings.model.provider != Settings().model.provider:
        return settings
    named = inferred(api_key, settings.model.model, settings.model.base_url)
    if not named:
        raise SettingsError(
            "api_key was given, and nothing tells whose it is", hint="give provider=, or the model's name"
        )
    return _with_flags(settings, {"model.provider": named})


def _with_flags(settings: Settings, flags: Mapping[str, Any]) -> Settings:
    given = {key: value for key, value in flags.items() if value is not None}
    inner = {key.partition(".")[2]: value for key, value in given.items() if "." in key}
    outer = {key: value for key, value in given.items() if "." not in key}
    return dataclasses.replace(settings, model=dataclasses.replace(settings.model, **inner), **outer)
