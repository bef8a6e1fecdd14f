"""What a fetch brought, and what is missing, by contract and column."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Missing:
    """Bars that are not there.

    Attributes:
        symbol: The contract.
        columns: Which columns.
        bars: How many.
        first_ms: Open time of the first one.
        last_ms: Open time of the last one.
        why: In words.
    """

    symbol: str
    columns: tuple[str, ...]
    bars: int
    first_ms: int
    last_ms: int
    why: str


@dataclass(slots=True)
class Summary:
    """What a fetch did.

    Attributes:
        rows: New rows by contract.
        there: (contract, column) -> bars that are there now in the time asked for.
        wanted: Contract -> bars in the time asked for, from its listing on.
        restated: (contract, columns, bars, first ms): bars that the venue gives with other figures than before.
        missing: What is not there, and why.
        faults: What the venue did wrong, in words; empty where nothing.
        requests: Answers it took.
    """

    rows: dict[str, int] = field(default_factory=dict)
    there: dict[tuple[str, str], int] = field(default_factory=dict)
    wanted: dict[str, int] = field(default_factory=dict)
    restated: list[tuple[str, tuple[str, ...], int, int]] = field(default_factory=list)
    missing: list[Missing] = field(default_factory=list)
    faults: str = ""
    requests: int = 0

    @property
    def complete(self) -> bool:
        """Whether the venue answered every request, so that nothing is missing that it has."""
        return not any(m.why.startswith("not fetched") for m in self.missing)
