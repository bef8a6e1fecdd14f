"""`CampaignAssessor`: one set of workers for the sessions of a campaign, which come and go."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from midas_engine.campaign.progress import SCREENED, TRIED
from midas_engine.loops.assessors import PanelAssessor

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from midas_engine.market.panel import Panel
    from midas_engine.models import MultiAgentResult
    from midas_engine.proposer.protocol import Proposal
    from midas_engine.search.measure import Figures
    from midas_engine.settings import Settings


class CampaignAssessor(PanelAssessor):
    """A `PanelAssessor` that stays open from session to session while what it judges beside is the same.

    Args:
        panel: The data.
        settings: Of the sessions.
        met: Told how many expressions met a return, and whether they were screened or tried.

    Attributes:
        horizon: Target in bars.
    """

    def __init__(self, panel: Panel, settings: Settings, met: Callable[[str, int], None]) -> None:
        super().__init__(panel, settings)
        self._met = met
        self.horizon = settings.evaluation.target
        self._beside: tuple[dict[str, str], frozenset[str]] | None = None

    async def start(self, existing: Mapping[str, str], waiting: Collection[str] = ()) -> None:
        """See `Assessor.start`; the workers of the session before go on where they can."""
        beside = (dict(existing), frozenset(waiting))
        if self._beside != beside:
            await super().close()
            await super().start(existing, waiting)
            self._beside = beside

    async def close(self) -> None:
        """The end of a session is not the end of the workers; see `end`."""

    async def end(self) -> None:
        """Stop the workers."""
        await super().close()

    async def judge(
        self, proposal: Proposal, part: str, trials: int, thresholds: Mapping[str, Any], accepted: Mapping[str, str]
    ) -> MultiAgentResult:
        """See `Assessor.judge`."""
        verdict = await super().judge(proposal, part, trials, thresholds, accepted)
        if part == "research":
            self._met(TRIED, 1)
        return verdict

    async def screen(self, texts: Sequence[str]) -> list[Figures]:
        """See `midas_engine.loops.screening.Screens.screen`."""
        found = await super().screen(texts)
        self._met(SCREENED, sum(figures.scored for figures in found))
        return found
