"""`Contract`: one perpetual of a venue, as the venue calls it, and what it settles in."""

from __future__ import annotations

import re
from dataclasses import dataclass

# Names come from the venue and become names of files: nothing that climbs, hides or runs on.
_USABLE = re.compile(r"[^\W_][\w:@$+-]{0,39}(\.[\w-]{1,20})?")
# What money a linear contract of ours may settle in.
SETTLES = ("USDT", "USDC")


@dataclass(frozen=True, slots=True)
class Contract:
    """One perpetual future.

    Attributes:
        name: As the venue writes it: BTCUSDT, BTC-USDT-SWAP, BTC.
        unified: As ccxt writes it: BTC/USDT:USDT; empty where ccxt does not list it.
        settle: What it settles in; empty where nobody says.
        inverse: Whether it settles in its own coin; such a contract never stands beside linear ones.
        active: Whether it trades today.
        listed_ms: When it began to trade, ms since the epoch; None where the venue does not say.
        size: What one contract is worth: coins of a linear one, money of an inverse one.
    """

    name: str
    unified: str = ""
    settle: str = ""
    inverse: bool = False
    active: bool = True
    listed_ms: int | None = None
    size: float = 1.0

    @property
    def kind(self) -> str:
        """Linear or inverse."""
        return "inverse" if self.inverse else "linear"


def usable_name(name: str) -> bool:
    """Whether a venue's name of a contract may stand in a path.

    Example:
        >>> usable_name("BTC-USDT-SWAP"), usable_name("../../x"), usable_name("xyz:TSLA")
        (True, False, True)
    """
    return _USABLE.fullmatch(name) is not None
