"""What may be spent on models: calls and dollars, per session and per day."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from midas_engine.errors import BudgetError
from midas_engine.model_options import Price

if TYPE_CHECKING:
    from midas_engine.settings import ModelSettings

# US dollars per million tokens in, out, and in again from the provider's cache, as their price pages gave them in
# November 2026. A name is met exactly, or with a date or "latest" behind it: "-pro" is another model.
PRICES: dict[str, tuple[float, float, float]] = {
    "gpt-6.1-sol": (2.0, 10.0, 0.1),
    "gpt-5.4": (2.5, 15.0, 0.25),
    "gpt-5.4-mini": (0.75, 4.5, 0.075),
    "gpt-5.4-nano": (0.2, 1.25, 0.02),
    "gpt-5.2": (1.75, 14.0, 0.175),
    "gpt-5.1": (1.25, 10.0, 0.125),
    "gpt-5.1-mini": (0.25, 2.0, 0.025),
    "gpt-5": (1.25, 10.0, 0.125),
    "gpt-5-mini": (0.25, 2.0, 0.025),
    "gpt-5-nano": (0.05, 0.4, 0.005),
    "gpt-4.1": (2.0, 8.0, 0.5),
    "gpt-4.1-mini": (0.4, 1.6, 0.1),
    "gpt-4.1-nano": (0.1, 0.4, 0.025),
    "gpt-4o": (2.5, 10.0, 1.25),
    "gpt-4o-mini": (0.15, 0.6, 0.075),
    "o3": (2.0, 8.0, 0.5),
    "o4-mini": (1.1, 4.4, 0.275),
    "claude-fable-5": (10.0, 50.0, 1.0),
    "claude-fable-5-1": (10.0, 50.0, 1.0),
    "claude-opus-5-5": (4.0, 20.0, 0.2),
    "claude-opus-5": (5.0, 25.0, 0.5),
    "claude-opus-4-8": (5.0, 25.0, 0.5),
    "claude-opus-4-7": (5.0, 25.0, 0.5),
    "claude-opus-4-6": (5.0, 25.0, 0.5),
    "claude-opus-4-5": (5.0, 25.0, 0.5),
    "claude-sonnet-5-5": (2.0, 10.0, 0.2),
    "claude-sonnet-5": (2.0, 10.0, 0.2),
    "claude-sonnet-4-6": (3.0, 15.0, 0.3),
    "claude-sonnet-4-5": (3.0, 15.0, 0.3),
    "claude-haiku-4-5": (1.0, 5.0, 0.1),
}
# What a model without a price is charged: a budget that errs, errs on the safe side.
DEAREST = (15.0, 75.0)
_DATED = re.compile(r"-(latest|20\d{6}|20\d\d-\d\d-\d\d)\Z")


def listed_price(model: str) -> Price | None:
    """The price by the list above; None when the model is not in it.

    Example:
        >>> listed_price("gpt-5.4-mini-2026-03-17").asked, listed_price("gpt-5.2-pro")
        (0.75, None)
    """
    found = PRICES.get(model) or PRICES.get(_DATED.sub("", model[:200]))
    return None if found is None else Price(*found)


def price_usd(model: str, tokens_in: int, tokens_out: int) -> float:
    """What a call costs by the list above; a model that is not listed costs what the dearest would.

    Example:
        >>> round(price_usd("gpt-4.1-mini-2025-04-14", 1000, 500), 6)
        0.0012
    """
    return (listed_price(model) or Price(*DEAREST, DEAREST[0])).usd(tokens_in, tokens_out)


@dataclass(slots=True)
class Budget:
    """Counts what a session and the day have spent, and refuses the call that would be too many.

    Attributes:
        day_spent_usd: Spent today before this session (from the journal).
        again_usd: Of what this session spent, what calls cost that a record gave again: they are paid for already, and
            where that was today, `day_spent_usd` holds them.
    """

    session_calls: int
    session_usd: float
    day_usd: float
    day_spent_usd: float = 0.0
    calls: int = 0
    spent_usd: float = 0.0
    again_usd: float = 0.0

    @classmethod
    def from_settings(cls, settings: ModelSettings, day_spent_usd: float = 0.0) -> Budget:
        """The budget that the settings allow."""
        return cls(settings.session_calls, settings.session_usd, settings.day_usd, day_spent_usd)

    def reserve(self) -> None:
        """Count a call that is about to be made.

        Raises:
            BudgetError: It would pass a limit; names which.
        """
        if self.calls >= self.session_calls:
            raise BudgetError(
                f"the session's budget of {self.session_calls} model calls is spent", hint="raise model.session_calls"
            )
        if self.spent_usd >= self.session_usd > 0 or (self.session_usd == 0 and self.spent_usd > 0):
            raise BudgetError(f"the session's budget of ${self.session_usd:g} is spent", hint="raise model.session_usd")
        if self.day_spent_usd + self.spent_usd - self.again_usd >= self.day_usd:
            error = BudgetError(
                f"the day's budget of ${self.day_usd:g} is spent", hint="raise model.day_usd, or wait a day"
            )
            error.of_day = True
            raise error
        self.calls += 1

    def charge(self, cost_usd: float, *, again: bool = False) -> None:
        """Add what a call cost; `again`: a record gave it, the session's budget counts it as the first time."""
        self.spent_usd += cost_usd
        self.again_usd += cost_usd if again else 0.0
