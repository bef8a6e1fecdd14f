"""`CampaignState`: how far a campaign is, as the base keeps it. Written by one process, after every session."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import reprlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from midas_engine.errors import DocumentDamagedError, KnowledgeBaseError, MidasError

if TYPE_CHECKING:
    from midas_engine.campaign.plan import CampaignPlan
    from midas_engine.kb import KnowledgeBase

FOLDER = "knowledge/campaigns"


@dataclass(frozen=True, slots=True)
class LegDone:
    """What one session did.

    Attributes:
        screened: Raw expressions that met a return.
        tried: Trials it charged beside its family.
        accepted: Names of the candidates it saved.
        result: As of a session: success, failed, error.
        reason: Why it ended; may be empty.
    """

    session: str
    goal: str
    proposer: str
    horizon: int
    screened: int
    tried: int
    accepted: tuple[str, ...]
    result: str
    reason: str = ""

    @property
    def spent(self) -> int:
        """Candidates it took from the budget."""
        return self.screened + self.tried


@dataclass(frozen=True, slots=True)
class CampaignState:
    """A campaign and what of it is done.

    Attributes:
        plan: What it was started with.
        done: Its sessions that came to their end, in order.
    """

    plan: CampaignPlan
    done: tuple[LegDone, ...] = ()

    @property
    def spent(self) -> int:
        """Candidates that met a return."""
        return sum(leg.spent for leg in self.done)

    @property
    def finished(self) -> bool:
        """Whether every session came to its end."""
        return len(self.done) >= len(self.plan.legs)

    @property
    def accepted(self) -> tuple[str, ...]:
        """Every candidate that was saved."""
        return tuple(name for leg in self.done for name in leg.accepted)

    def share(self) -> int:
        """Raw expressions that the next session may screen: its part of what is left, earlier leftovers included."""
        plan, number = self.plan, len(self.done)
        rest = plan.legs[number:]
        ahead = sum(leg.screens for leg in rest)
        if not ahead:
            return 0
        left = plan.candidates - self.spent - len(rest) * plan.trials
        return max(1, min(left // ahead, 3 * plan.screened))

    def save(self, kb: KnowledgeBase) -> None:
        """Write it, whole or not at all."""
        body = {"version": 1, "plan": dataclasses.asdict(self.plan), "done": [dataclasses.asdict(d) for d in self.done]}
        kb.save_text(f"{FOLDER}/{self.plan.id}.json", json.dumps(body, indent=1) + "\n")

    @classmethod
    def load(cls, kb: KnowledgeBase, plan: CampaignPlan) -> CampaignState:
        """How far `plan` is; at its start where the base knows nothing of it.

        Raises:
            DocumentDamagedError: The file cannot be understood.
        """
        path = f"{FOLDER}/{plan.id}.json"
        try:
            text = kb.read_text(path)
        except DocumentDamagedError:
            raise
        except KnowledgeBaseError:
            return cls(plan)
        try:
            body: dict[str, Any] = json.loads(text)
            done = tuple(LegDone(**{**leg, "accepted": tuple(leg["accepted"])}) for leg in body["done"])
        except (ValueError, KeyError, TypeError) as error:
            raise DocumentDamagedError(
                f"{path} cannot be understood: {error}",
                hint="remove it: the campaign starts again, and what was charged is answered from the record",
            ) from error
        return cls(plan, done)


def under_another_plan(kb: KnowledgeBase, plan: CampaignPlan) -> str:
    """A campaign of this name that stands half-way under another plan, in a line; empty where there is none."""
    for path in sorted((kb.path / FOLDER).glob(f"{plan.id[:-9]}-????????.json")):
        if path.stem == plan.id:
            continue
        with contextlib.suppress(MidasError, ValueError, KeyError, TypeError):  # a damaged note is named elsewhere
            body: dict[str, Any] = json.loads(kb.read_text(f"{FOLDER}/{path.name}"))
            now = json.loads(json.dumps(dataclasses.asdict(plan)))
            differs = [f"{k} was {reprlib.repr(body['plan'][k])}" for k in now if body["plan"][k] != now[k]]
            before: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in body["plan"].items()}
            legs, done = len(type(plan)(**before).legs), len(body["done"])
            if done < legs and body["plan"]["name"] == plan.name:
                return (
                    f"this plan is another campaign than {path.stem}, which stands at {done} of {legs} sessions "
                    f"({'; '.join(differs)}); with its plan as it was, that one goes on"
                )
    return ""
