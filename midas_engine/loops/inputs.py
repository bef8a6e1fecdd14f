"""Everything a session is given at its start: kept with it, so that it can be repeated on a base that has moved on."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from midas_engine.loops.config import OfflineLoopConfig  # noqa: TC001  (read from its record by these types)
from midas_engine.loops.likeness import LIKENESS, Beside
from midas_engine.memory.reading import read_trials
from midas_engine.memory.remember import Memory, Remembered, retrieved
from midas_engine.models import FeatureState, LearningDocument
from midas_engine.proposer.prompts import PLACES, check_places
from midas_engine.proposer.recall import Recall

if TYPE_CHECKING:
    from collections.abc import Mapping

    from midas_engine.kb import KnowledgeBase
    from midas_engine.settings import Settings

TRIED = 2_000
BESIDE = 100
"""Candidates that every find is compared with: each costs a correlation per evaluation, and its values in memory."""
PROMPTS = ("plan", "generate", "refine", "learn")
_SECTIONS = ("dsl", "costs", "evaluation", "model")
"""The settings that a session's course depends on."""


@dataclass(frozen=True, slots=True)
class SessionInputs:
    """What a session was given.

    Attributes:
        existing: Deployed features, name -> expression.
        named: Those and the candidates: what an expression may be built on.
        beside: The base's candidates and features in shadow, the newest `BESIDE`: what a find must differ from too.
        memory: What the ledger knows of tries like these, a line each.
        retired: Lessons that later trials contradict, with the reason: set aside before this session.
        thresholds: The gates.
        problem: Why thresholds.json was not taken; empty when it was.
        recall: The forms that its lessons claim.
        tried: Canonical forms that were scored, by data set.
        prompts: Prompt templates by name; empty for a researcher without a model.
        settings: The sections of the settings it depends on, the data's source and the seed.
        config: Its budget.
        researcher: Provider and model, as the client names them.
    """

    goal: str
    regime: str
    existing: dict[str, str]
    named: dict[str, str]
    thresholds: dict[str, Any]
    problem: str
    skills: dict[str, str]
    prompts: dict[str, str]
    learnings: tuple[LearningDocument, ...]
    config: OfflineLoopConfig
    settings: dict[str, Any] = field(default_factory=dict)
    researcher: dict[str, str] = field(default_factory=dict)
    beside: dict[str, str] = field(default_factory=dict)
    memory: tuple[str, ...] = ()
    retired: tuple[str, ...] = ()
    recall: Recall = Recall()
    tried: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def restored(self, settings: Settings) -> Settings:
        """`settings` with the sections the session depends on as they were."""
        changed: dict[str, Any] = {}
        for section in _SECTIONS:
            known = {f.name for f in dataclasses.fields(getattr(settings, section))}
            values = {
                k: tuple(v) if isinstance(v, list) else v
                for k, v in self.settings.get(section, {}).items()
                if k in known
            }
            changed[section] = dataclasses.replace(getattr(settings, section), **values)
        changed |= {name: self.settings[name] for name in ("data", "seed", "target") if name in self.settings}
        return dataclasses.replace(settings, **changed)


def gather(
    kb: KnowledgeBase,
    settings: Settings,
    config: OfflineLoopConfig,
    goal: str,
    regime: str,
    existing: Mapping[str, str] | None,
    model: tuple[str, str] | None,
    remember: Memory = retrieved,
) -> SessionInputs:
    """Read the base. Blocking.

    `model` names the provider and model of a researcher that asks one, `remember` chooses what of its memory is given.

    Raises:
        SettingsError: A prompt template has a place that nothing fills.
    """
    if existing is None:
        existing = {r.name: r.expression for r in kb.features(FeatureState.DEPLOYED)}
    thresholds, problem = kb.last_good_thresholds()
    waiting = [r for s in (FeatureState.CANDIDATE, FeatureState.SHADOW) for r in kb.features(s)]
    candidates = {r.name: r.expression for r in waiting}
    waiting.sort(key=lambda r: (r.created_at.timestamp() if r.created_at else 0.0, r.name))
    beside = {r.name: r.expression for r in waiting[-BESIDE:] if r.name not in existing}
    prompts = {name: kb.prompt(name) for name in PROMPTS} if model is not None else {}
    for name, text in prompts.items():
        check_places(text, PLACES[name], f"{kb.path.name}/proposer/prompts/{name}.md")
    used = settings.evaluation.memory if config.use_learnings else 0.0
    past = remember(kb, goal) if used > 0.0 else Remembered()
    past = dataclasses.replace(past, recall=dataclasses.replace(past.recall, factor=past.recall.factor * used))
    kept: dict[str, Any] = {name: dataclasses.asdict(getattr(settings, name)) for name in _SECTIONS}
    kept["model"].pop("base_url")  # where it was asked is nobody's business later
    return SessionInputs(
        goal=goal, regime=regime, existing=dict(existing), named=candidates | dict(existing), thresholds=thresholds,
        problem=problem, skills=kb.skills(), learnings=past.learnings, memory=past.lines, retired=past.retired,
        recall=past.recall, tried=_tried(kb, Beside(existing, beside)) if used > 0.0 else {}, prompts=prompts,
        config=config,
        settings=kept | {"data": settings.data, "seed": settings.seed, "target": settings.target},
        researcher={"provider": model[0], "model": model[1]} if model is not None else {},
        beside=beside,
    )  # fmt: skip


def _tried(kb: KnowledgeBase, beside: Beside) -> dict[str, tuple[str, ...]]:
    """The newest canonical forms that were scored, by data set: there they are answered from the record."""
    found: dict[str, list[str]] = {}
    newest = {trial.key: trial for trial in read_trials(kb)[-TRIED:]}
    for trial in newest.values():
        alike = tuple(trial.summary.get("failed", ())) == LIKENESS
        if trial.outcome == "scored" and not (alike and not beside.refuses(trial.summary)):
            found.setdefault(trial.snapshot, []).append(trial.canonical)
    return {snapshot: tuple(forms) for snapshot, forms in found.items()}
