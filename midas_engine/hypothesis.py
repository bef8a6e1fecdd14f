"""`Hypothesis`: what a proposal claims, said and kept before anything of it is scored.

The horizon and the holding belong to the claim: a feature is scored on the return over its own horizon, and its costs
are counted as if each forecast were held that long. Both are part of the trial's key, so that looking at another
horizon is another trial.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from midas_engine.errors import EvaluationError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

MAX_WORDS = 600
MAX_COLUMNS = 20

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
        turnover: Share of the book that it expects to trade each bar; None: not said.
        confidence: The proposer's chance, 0 to 1, that sign and horizon hold; None: not said.
        against: Where the formula is not what the claim speaks of; the program fills it in.

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
    turnover: float | None = None
    confidence: float | None = None
    against: tuple[str, ...] = ()

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

    def disagrees(self, columns: Collection[str]) -> tuple[str, ...]:
        """Where a formula that reads `columns` is not what the claim speaks of; nothing where it names no column.

        Example:
            >>> Hypothesis("carry", columns=("funding_rate",)).disagrees(("close", "funding_rate"))
            ('the formula reads close, which the claim leaves out',)
        """
        if not self.columns:
            return ()
        missing = sorted(set(self.columns) - set(columns))
        extra = sorted(set(columns) - set(self.columns))
        told = [f"the claim speaks of {', '.join(missing)}, which the formula does not read"] if missing else []
        told += [f"the formula reads {', '.join(extra)}, which the claim leaves out"] if extra else []
        return tuple(told)


def read_hypothesis(fields: Mapping[str, Any]) -> Hypothesis:
    """A hypothesis from the fields of a reply; what is null or missing is not said.

    Raises:
        EvaluationError: A field has another type or cannot be; the message names it and may be shown to a model.

    Example:
        >>> read_hypothesis({"mechanism": "carry is paid", "sign": 1, "horizon": 24}).horizon
        24
    """
    mechanism = fields.get("mechanism") or ""
    if not isinstance(mechanism, str):
        raise EvaluationError("'mechanism' must be a text")
    columns = fields.get("columns") or []
    if not isinstance(columns, list | tuple) or not all(isinstance(c, str) for c in columns):
        raise EvaluationError("'columns' must be a list of column names")
    return Hypothesis(
        mechanism=" ".join(mechanism.split())[:MAX_WORDS],
        sign=_sign(fields.get("sign")),
        horizon=_whole(fields, "horizon", 0, MOST_HORIZON),
        holding=_whole(fields, "holding", 0, MOST_HOLDING),
        columns=tuple(c.strip()[:80] for c in columns[:MAX_COLUMNS] if c.strip()),
        turnover=_number(fields, "turnover", 0, 4),
        confidence=_number(fields, "confidence", 0, 1),
    )


def _sign(value: Any) -> int:
    if value is None:
        return 1
    if isinstance(value, bool) or value not in (-1, 1):
        raise EvaluationError(f"'sign' must be 1 or -1, not {value!r:.40}")
    return int(value)


def _number(fields: Mapping[str, Any], name: str, low: float, high: float) -> float | None:
    value = fields.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise EvaluationError(f"{name!r} must be a number")
    if not low <= value <= high:
        raise EvaluationError(f"{name!r} must be from {low:g} to {high:g}, not {value:g}")
    return float(value)


def _whole(fields: Mapping[str, Any], name: str, low: int, high: int) -> int:
    value = _number(fields, name, low, high) or 0.0
    if not value.is_integer():
        raise EvaluationError(f"{name!r} must be a whole number, not {value:g}")
    return int(value)
