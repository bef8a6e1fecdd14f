"""`CampaignPlan`: what a campaign is to search, and the sessions that makes. Read from a TOML file."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import reprlib
import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from midas_engine.errors import SettingsError
from midas_engine.kb.names import slugify
from midas_engine.loops.config import OfflineLoopConfig
from midas_engine.providers import PROVIDERS
from midas_engine.regular import obstacle
from midas_engine.text import did_you_mean

if TYPE_CHECKING:
    from pathlib import Path

MOST_CANDIDATES = 100_000
_MOST_BYTES = 64_000
_MOST_GOAL = 500
_MOST_NAME = 100
_MOST_LEGS = 2_000


@dataclass(frozen=True, slots=True)
class Leg:
    """One session of a campaign.

    Attributes:
        number: Its place, from 0; the session's id ends with it, and its search is seeded by it.
        screens: It screens raw expressions before it proposes.
    """

    number: int
    goal: str
    proposer: str
    horizon: int
    screens: bool


@dataclass(frozen=True, slots=True)
class CampaignPlan:
    """What a campaign searches. The same plan on the same data and base gives the same ledger.

    Attributes:
        name: What it is called.
        goals: What its sessions look for.
        candidates: Expressions that may meet a return in all of it, screened ones included.
        proposers: Who proposes: `local` screens by the thousand; a provider of a model, or a plug-in's researcher, does
            not.
        horizons: Targets in bars; each is searched on its own.
        data: Where bars come from; empty takes the settings'.
        seed: Of everything that draws at random.
        screened: Raw expressions that one session screens as a family, at most. What a kill costs is one of them.
        iterations: Plans of a session.
        each: Expressions a plan.
    """

    name: str
    goals: tuple[str, ...]
    candidates: int
    proposers: tuple[str, ...] = ("local",)
    horizons: tuple[int, ...] = (1,)
    data: str = ""
    seed: int = 7
    screened: int = 4000
    iterations: int = 3
    each: int = 3

    def __post_init__(self) -> None:
        for name, low, high in (
            ("candidates", 1, MOST_CANDIDATES),
            ("seed", 0, 2**31),
            ("screened", 0, 1_000_000),
            ("iterations", 1, 1000),
            ("each", 1, 100),
        ):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
                raise SettingsError(
                    f"campaign: {name} = {reprlib.repr(value)}", hint=f"a whole number from {low:,} to {high:,}"
                )
        for name, kind in (("goals", str), ("proposers", str), ("horizons", int)):
            values = getattr(self, name)
            plain = [v.strip() if isinstance(v, str) else v for v in values]  # what a session is told
            fine = bool(plain) and all(isinstance(v, kind) and not isinstance(v, bool) and v for v in plain)
            if not fine or len(set(plain)) != len(plain):
                raise SettingsError(
                    f"campaign: {name} = {reprlib.repr(list(values))}", hint="a list, none of them empty or twice"
                )
        for name, texts in (("name", (self.name,)), ("data", (self.data,)), ("goals", self.goals)):
            strange = [text for text in texts if not text.isprintable()]
            if strange:
                raise SettingsError(
                    f"campaign: {name} has a character that cannot be shown: {reprlib.repr(strange[0])}",
                    hint="one line of plain text: it stands in reports and in every session's record",
                )
        if len(self.name) > _MOST_NAME:
            raise SettingsError(f"campaign: a name of more than {_MOST_NAME} characters", hint="a few words are enough")
        if any(len(goal.strip()) > _MOST_GOAL for goal in self.goals):
            raise SettingsError(f"campaign: a goal of more than {_MOST_GOAL} characters", hint="a sentence is enough")
        if not all(1 <= h <= 10_000 for h in self.horizons):
            raise SettingsError(
                f"campaign: horizons = {reprlib.repr(list(self.horizons))}", hint="bars ahead, from 1 to 10,000"
            )
        if not self.name.strip() or not any(c.isalnum() for c in self.name):
            raise SettingsError(
                f"campaign: name = {reprlib.repr(self.name)}", hint="a few letters that tell it from others"
            )
        self.legs  # noqa: B018 - a budget that does not reach is told now

    @property
    def id(self) -> str:
        """The name with a hash of everything else: another plan is another campaign."""
        text = json.dumps(dataclasses.asdict(self), sort_keys=True)
        return f"{slugify(self.name)[:40]}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"

    def session_id(self, leg: Leg) -> str:
        """The id of a leg's session."""
        return f"{self.id}-{leg.number:04d}"

    @property
    def trials(self) -> int:
        """Trials that one session may charge beside a screened family: its proposals and their refinements."""
        return OfflineLoopConfig(max_iterations=self.iterations, candidates_per_iter=self.each).planned_trials

    @property
    def line_trials(self) -> int:
        """What every session's line is drawn for: the trials of the whole campaign, from the first on."""
        return sum(self.config(leg, self.screened).planned_trials for leg in self.legs)

    def config(self, leg: Leg, screened: int, line_trials: int = 0) -> OfflineLoopConfig:
        """The budget of a leg's session."""
        return OfflineLoopConfig(
            max_iterations=self.iterations,
            candidates_per_iter=self.each,
            screened=screened if leg.screens else 0,
            line_trials=line_trials,
        )

    @property
    def legs(self) -> tuple[Leg, ...]:
        """Every session, horizon by horizon; within one the goals and proposers take turns.

        The first one screens nothing: its verdicts are there within seconds, and say that the whole is set up right.

        Raises:
            SettingsError: The budget does not reach every goal once, or makes too many sessions.
        """
        kinds = [(h, p, g) for h in self.horizons for p in self.proposers for g in self.goals]
        screening = self.screened > 0 and any(_screens(p) for p in self.proposers)
        left = self.candidates - (self.trials if screening else 0)
        if left < len(kinds) * self.trials:
            least = (len(kinds) + screening) * self.trials
            raise SettingsError(
                f"campaign: {self.candidates:,} candidates do not reach every goal, proposer and horizon once",
                hint=f"at least {least:,}, or fewer goals, iterations or expressions a plan",
            )
        cost = sum(self.trials + (self.screened if _screens(p) else 0) for _, p, _ in kinds)
        rounds = max(1, math.ceil(left / cost))
        if rounds * len(kinds) > _MOST_LEGS:
            raise SettingsError(
                f"campaign: that makes {rounds * len(kinds):,} sessions",
                hint="raise screened, or give fewer candidates",
            )
        first = [(self.horizons[0], self.proposers[0], self.goals[0], False)] if screening else []
        rest = [
            (h, p, g, self.screened > 0 and _screens(p))
            for h in self.horizons
            for _ in range(rounds)
            for p in self.proposers
            for g in self.goals
        ]
        return tuple(Leg(k, g, p, h, screens) for k, (h, p, g, screens) in enumerate([*first, *rest]))


def _screens(proposer: str) -> bool:
    known = PROVIDERS.get(proposer)
    return known is not None and not known.client


def read_campaign(path: Path) -> CampaignPlan:
    """The plan in a TOML file.

    Raises:
        SettingsError: It cannot be read, or a key is unknown, missing or of the wrong kind; says which.

    Example of a file::

        name = "spring"
        goals = ["funding carry on majors", "reversal after volume shocks"]
        candidates = 20_000
        horizons = [1, 8]
        data = "store:binance@1h"
    """
    kind = obstacle(path, follow=True)
    if kind:
        raise SettingsError(f"{path} is a {kind}, where the plan of a campaign belongs", hint="give a TOML file")
    try:
        data = path.read_bytes()[: _MOST_BYTES + 1]
        if len(data) > _MOST_BYTES:
            raise SettingsError(f"{path} has more than {_MOST_BYTES:,} bytes", hint="a plan is a few lines")
        given = tomllib.loads(data.decode("utf-8-sig"))
    except FileNotFoundError as error:
        raise SettingsError(
            f"there is no file {path}", hint="give the TOML file of a plan: `midas campaign --help`"
        ) from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise SettingsError(f"{path} cannot be read: {error}", hint="it must be UTF-8 TOML") from error
    known = {f.name for f in dataclasses.fields(CampaignPlan)}
    for key in given:
        if key not in known:
            raise SettingsError(f"{path}: unknown key {key!r}", hint=did_you_mean(key, sorted(known)))
    for key in ("name", "goals", "candidates"):
        if key not in given:
            raise SettingsError(f"{path}: {key} is missing", hint="name, goals and candidates are needed")
    return CampaignPlan(**{key: _taken(path, key, value) for key, value in given.items()})


def _taken(path: Path, key: str, value: Any) -> Any:
    if key in ("goals", "proposers", "horizons"):
        fine, words = isinstance(value, list), "a list"
    elif key in ("name", "data"):
        fine, words = isinstance(value, str), "a text"
    else:
        fine, words = isinstance(value, int) and not isinstance(value, bool), "a whole number"
    if not fine:
        raise SettingsError(f"{path}: {key} = {reprlib.repr(value)}", hint=f"{key} is {words}")
    return tuple(value) if isinstance(value, list) else value
