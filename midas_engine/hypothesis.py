"""`Hypothesis`: what a proposal claims, said and kept before anything of it is scored.

The horizon and the holding belong to the claim: a feature is scored on the return over its own horizon, and its costs
are counted as if each forecast were held that long. Both are part of the trial's key, so that looking at another
horizon is another trial.
"""

from __future__ import annotations

from dataclasses import dataclass

from midas_engine.errors import EvaluationError

MOST_HORIZON = 48
"""Bars ahead that a claim may reach; beyond it overlap leaves too little evidence in a history."""
MOST_HOLDING = 480
"""Bars that a forecast may be held."""


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """A claim about the market, with what it takes to test it.

    Attributes:
        mechanism: Why it should hold, in words.
        sign: +1 where high values go before high returns, -1 where before low ones; the expression is turned then.
        horizon: Bars ahead that it speaks of, 1 to 48; 0 takes `evaluation.target`.
        holding: Bars that each forecast is held, which sets turnover and costs; 0: as long as the horizon.
        columns: Columns it rests on; the program fills in what the expression reads.

    Raises:
        EvaluationError: A field is out of its range; says which.

    Example:
        >>> Hypothesis("crowded longs pay to stay", sign=-1, horizon=8, holding=24).told
        'low values go before high returns, over 8 bars, held 24'
    """

    mechanism: str = ""
    sign: int = 1
    horizon: int = 0
    holding: int = 0
    columns: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.sign not in (-1, 1) or isinstance(self.sign, bool):
            raise EvaluationError(f"a hypothesis has the sign +1 or -1, not {self.sign!r}")
        for what, value, most in (
            ("horizon", self.horizon, MOST_HORIZON),
            ("holding", self.holding, MOST_HOLDING),
        ):
            if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
                raise EvaluationError(
                    f"the {what} of a hypothesis must be 1 to {most} bars, not {value!r}",
                    hint="leave it out to take the settings' own",
                )

    @property
    def told(self) -> str:
        """The claim in one line, without the mechanism."""
        high = "high" if self.sign > 0 else "low"
        ahead = f", over {self.horizon} bar{'s' if self.horizon != 1 else ''}" if self.horizon else ""
        return f"{high} values go before high returns{ahead}" + (f", held {self.holding}" if self.holding else "")
