"""What a session says before its first trial: what its data could decide at all. The researcher hears none of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from midas_engine.errors import MidasError, SessionInterruptedError
from midas_engine.loops.assessors import SaysPower

if TYPE_CHECKING:
    from collections.abc import Mapping

    from midas_engine.loops.assessors import Assessor
    from midas_engine.loops.trial_account import TrialAccount


async def power_text(assessor: Assessor, account: TrialAccount, trials: int, thresholds: Mapping[str, Any]) -> str:
    """Mode, width of the parts and the smallest IC that could be promoted at the next look; empty when nobody knows."""
    if not isinstance(assessor, SaysPower):
        return ""
    level = await account.next_level()
    try:
        lines = await assessor.power(trials, level, thresholds)
    except SessionInterruptedError:
        raise  # nobody computes: that says nothing of the data
    except MidasError as error:
        lines = (f"what could be promoted on this data is not known: {error.message}",)
    return "".join(f"{line}\n" for line in lines)
