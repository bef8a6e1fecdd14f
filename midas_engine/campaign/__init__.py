"""`midas campaign FILE`: many sessions on one budget, resumed after any death, the same for any number of workers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from midas_engine.lazy import lazy_face

if TYPE_CHECKING:
    from midas_engine.campaign.digest import base_digest
    from midas_engine.campaign.plan import CampaignPlan, Leg, read_campaign
    from midas_engine.campaign.progress import Progress
    from midas_engine.campaign.run import Campaign
    from midas_engine.campaign.state import CampaignState, LegDone

__all__ = ["Campaign", "CampaignPlan", "CampaignState", "Leg", "LegDone", "Progress", "base_digest", "read_campaign"]

__getattr__, __dir__ = lazy_face(
    __name__,
    {
        "Campaign": ".run",
        "CampaignPlan": ".plan",
        "CampaignState": ".state",
        "Leg": ".plan",
        "LegDone": ".state",
        "Progress": ".progress",
        "base_digest": ".digest",
        "read_campaign": ".plan",
    },
)
