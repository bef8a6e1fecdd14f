"""`OfflineLoopConfig`: how much a session may search."""

from __future__ import annotations

from dataclasses import dataclass

from midas_engine.errors import SettingsError

FAMILY_SLOTS = 10
"""Planned trials that a screened family stands for: its test gets their share of the session's error."""


@dataclass(frozen=True, slots=True)
class OfflineLoopConfig:
    """The budget of a discovery session; names and defaults of the original system.

    Attributes:
        max_iterations: Plans at most.
        candidates_per_iter: Expressions a plan.
        refinements: Changed versions tried after a refusal, each a trial.
        model: Model name; "" takes the provider's default.
        max_tokens: Longest model reply.
        verbose: `run` prints the events as they come.
        stop_after: End once this many candidates are accepted; 0 uses the whole budget.
        use_learnings: Show the researcher what earlier sessions taught.
        screened: Raw expressions that may be screened as one family; 0 screens none.
        line_trials: Trials that the line is drawn for, where this is one of several sessions with one budget; 0: its
            own alone.
    """

    max_iterations: int = 10
    candidates_per_iter: int = 3
    model: str = ""
    max_tokens: int = 2000
    verbose: bool = False
    refinements: int = 1
    stop_after: int = 0
    use_learnings: bool = True
    screened: int = 0
    line_trials: int = 0

    def __post_init__(self) -> None:
        for name, low, high in (
            ("max_iterations", 1, 10_000),
            ("candidates_per_iter", 1, 100),
            ("refinements", 0, 20),
            ("max_tokens", 1, 1_000_000),
            ("stop_after", 0, 10_000),
            ("screened", 0, 10_000_000),
            ("line_trials", 0, 10_000_000),
        ):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
                raise SettingsError(
                    f"OfflineLoopConfig.{name} = {value!r}", hint=f"a whole number from {low} to {high}"
                )

    @property
    def planned_trials(self) -> int:
        """The most expressions the session can try: what its line is drawn for, from the first trial on.

        A line drawn for the number tried so far would be passed by noise with chance 5 % x (1 + 1/2 +
        1/3 + ...), a quarter in a session of 60.
        """
        family = FAMILY_SLOTS if self.screened else 0
        own = self.max_iterations * self.candidates_per_iter * (1 + self.refinements) + family
        return max(own, self.line_trials)
