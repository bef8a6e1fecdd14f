"""How much a measurement of memory runs."""

from __future__ import annotations

from dataclasses import dataclass

from midas_engine.compound.markets import World
from midas_engine.errors import SettingsError

ARMS = ("off", "recent", "retrieved", "shuffled")
"""No memory; the last lessons; those that speak to the goal; those of another pair, which are about other signals."""
COLUMNS = ("close", "volume", "trades", "funding_rate", "open_interest")
OPERATORS = 2
THEMES = ("majors", "small caps", "new listings")


@dataclass(frozen=True, slots=True)
class CompoundPlan:
    """The budget. The default takes some minutes on two cores.

    Attributes:
        pairs: Families of markets, each gone through by every arm with the same seeds.
        sessions: Sessions of a campaign, each on a new market.
        screened: Raw expressions that a session may screen.
        iterations: Plans of a session.
        themes: Goals of a campaign: each has a signal of its own, whose windows change from market to market.
        surprise: Share of the sessions whose market holds a signal of no family: memory is of no use there.
        ic: Planted rank IC.
        bars: Bars of a market.
        symbols: Symbols of a market.
        false_at: Session before which a false lesson is planted in the arms that remember; 0 plants none.
        seed: The same seed and plan give the same figures.
        workers: Worker processes.
    """

    pairs: int = 8
    sessions: int = 10
    screened: int = 1000
    iterations: int = 3
    themes: int = 3
    surprise: float = 0.2
    ic: float = 0.14
    bars: int = 1600
    symbols: int = 12
    false_at: int = 4
    seed: int = 7
    workers: int = 2

    @property
    def world(self) -> World:
        """Its markets: five columns and formulas of up to two operators, so that a session takes seconds."""
        return World(self.ic, self.bars, self.symbols, COLUMNS, OPERATORS)

    def __post_init__(self) -> None:
        for name, low, high in (
            ("pairs", 2, 10_000),
            ("sessions", 2, 1000),
            ("screened", 0, 100_000),
            ("iterations", 1, 100),
            ("themes", 1, len(THEMES)),
            ("bars", 1200, 100_000),
            ("symbols", 10, 500),
            ("false_at", 0, 1000),
            ("workers", 1, 256),
        ):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
                raise SettingsError(f"{name} = {value!r}", hint=f"a whole number from {low} to {high}")
        if not 0.0 <= self.surprise <= 1.0 or not 0.0 < self.ic <= 0.5:
            raise SettingsError(f"surprise = {self.surprise!r}, ic = {self.ic!r}", hint="0 to 1, and up to 0.5")


@dataclass(frozen=True, slots=True)
class Market:
    """The market of one session, as words: it is made where it is used.

    Attributes:
        seed: Of its noise.
        theme: Which goal.
        formula: What is planted.
        surprise: It is of no family.
    """

    seed: int
    theme: str
    formula: str
    surprise: bool = False

    @property
    def goal(self) -> str:
        """What the session is told; it names no column."""
        return f"what predicts the next bar of {self.theme}"


@dataclass(frozen=True, slots=True)
class Pair:
    """What every arm of a pair goes through.

    Attributes:
        markets: One a session.
        false: An expression that predicts nothing in any of them.
    """

    number: int
    markets: tuple[Market, ...]
    false: str


@dataclass(frozen=True, slots=True)
class SessionFigures:
    """What one session of a campaign did.

    Attributes:
        evaluations: Expressions whose values met a return, screening and windows included.
        like: Correlation of the accepted feature that is nearest to what was planted; -1 when none was accepted.
        usd: What its model calls cost.
        factor: How much of its memory it used.
        recalled: It recalled something.
    """

    evaluations: int
    like: float = -1.0
    usd: float = 0.0
    factor: float = 1.0
    recalled: bool = False


@dataclass(frozen=True, slots=True)
class Campaign:
    """The sessions of one arm on one pair.

    Attributes:
        retired_after: Sessions that the false lesson misled before it was retired; None when it was not planted, -1
            when it stood to the end.
        error: Why it ended early; empty when it did not.
    """

    pair: int
    arm: str
    sessions: tuple[SessionFigures, ...]
    retired_after: int | None = None
    error: str = ""
