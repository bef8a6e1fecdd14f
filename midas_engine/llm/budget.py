"""What may be spent on models: calls and dollars, per session and per day."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from midas_engine.errors import BudgetError

if TYPE_CHECKING:
    from midas_engine.settings import ModelSettings

# US dollars per million tokens in and out, by model prefix, longest match first. A model that is not
# listed is charged as the dearest one: a budget that errs, errs on the safe side.
PRICES: dict[str, tuple[float, float]] = {
    "gpt-4.1-nano": (0.1, 0.4),
    "gpt-4.1-mini": (0.4, 1.6),
    "gpt-4.1": (2.0, 8.0),
    "gpt-4o-mini": (0.15, 0.6),
    "gpt-4o": (2.5, 10.0),
    "gpt-5-nano": (0.05, 0.4),
    "gpt-5-mini": (0.25, 2.0),
    "gpt-5": (1.25, 10.0),
    "o4-mini": (1.1, 4.4),
    "claude-3-5-haiku": (0.8, 4.0),
    "claude-haiku-4": (1.0, 5.0),
    "claude-sonnet-4": (3.0, 15.0),
    "claude-opus-4": (15.0, 75.0),
}
DEAREST = (15.0, 75.0)


def price_usd(model: str, tokens_in: int, tokens_out: int) -> float:
    """What a call costs by the list above.

    Example:
        >>> round(price_usd("gpt-4.1-mini-2025-04-14", 1000, 500), 6)
        0.0012
    """
    known = [name for name in PRICES if model.startswith(name)]
    rate_in, rate_out = PRICES[max(known, key=len)] if known else DEAREST
    return (tokens_in * rate_in + tokens_out * rate_out) / 1e6


@dataclass(slots=True)
class Budget:
    """Counts what a session and the day have spent, and refuses the call that would be too many.

    Attributes:
        day_spent_usd: Spent today before this session (from the journal).
    """

    session_calls: int
    session_usd: float
    day_usd: float
    day_spent_usd: float = 0.0
    calls: int = 0
    spent_usd: float = 0.0

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
        if self.day_spent_usd + self.spent_usd >= self.day_usd:
            raise BudgetError(
                f"the day's budget of ${self.day_usd:g} is spent", hint="raise model.day_usd, or wait a day"
            )
        self.calls += 1

    def charge(self, cost_usd: float) -> None:
        """Add what a call cost."""
        self.spent_usd += cost_usd
