"""The operator registry: one entry per operator, the single source of everything that knows operators.

The validator, both engines, the skill document, completion and the units check read it. A new operator is
one `register(Operator(...))` in a file of `operators/` and its test.

Both engines run the same `run` function: the batch engine with a fresh state over all rows, the streaming
engine with a kept state over one row. That is why they agree to the last bit.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from midas_engine.plugins import Plugin, use

Array = npt.NDArray[np.float64]
Params = tuple[int | float, ...]


class Kind(StrEnum):
    """What an argument must be."""

    SERIES = "series"
    WINDOW = "window"
    NUMBER = "number"


@dataclass(frozen=True, slots=True)
class Param:
    """One argument of an operator.

    Attributes:
        name: As shown in signatures.
        kind: SERIES is any expression; WINDOW a positive integer literal; NUMBER a numeric literal.
        default: Used when left out; only trailing literals may have one.
        low: The smallest literal allowed.
        high: The largest literal allowed; windows are also bounded by the look-back limit.
    """

    name: str
    kind: Kind
    default: int | float | None = None
    low: float = float("-inf")
    high: float = float("inf")


def series(name: str = "x") -> Param:
    """A series argument."""
    return Param(name, Kind.SERIES)


def window(name: str = "n", default: int | None = None, low: int = 1) -> Param:
    """A window or shift in bars."""
    return Param(name, Kind.WINDOW, default, low)


def number(name: str, default: float | None = None, low: float = float("-inf"), high: float = float("inf")) -> Param:
    """A numeric literal."""
    return Param(name, Kind.NUMBER, default, low, high)


@dataclass(slots=True)
class State:
    """What a node remembers between bars: one float workspace and a few counters."""

    workspace: Array
    counters: npt.NDArray[np.int64]


Run = Callable[[Sequence[Any], Params, int, "State | None", Array], None]


@dataclass(frozen=True, slots=True)
class Layout:
    """How the workspace of a `blocked` operator over n bars is laid out, from its first row on; see `compact`.

    `head` rows, `rings` of n bars, `tail` rows, then a table of n + 1 suffixes for each of `empty`: row j + 1 is what
    the window at offset j of a block needs, row n is that of no bar.

    Attributes:
        head: Rows of running sums before the rings.
        empty: What a table holds of no bar, one number a table.
        rings: Arguments whose last n bars are kept.
        tail: Rows between the rings and the tables.
        sign: The ring holds the argument times this.
        whole: Every bar reads the whole ring.
    """

    head: int
    empty: tuple[float, ...]
    rings: int = 1
    tail: int = 0
    sign: float = 1.0
    whole: bool = False

    def rows(self, n: int) -> int:
        """Rows of the whole workspace."""
        return self.head + self.rings * n + self.tail + len(self.empty) * (n + 1)


def _no_memory(params: Params) -> int:
    return 0


@dataclass(frozen=True, slots=True)
class Operator:
    """Everything there is to know about one operator.

    Attributes:
        name: As written in expressions.
        family: arithmetic, logic, time_series, cross_section or technical.
        params: The arguments, in order.
        doc: One line.
        example: An expression that uses it and is valid on ordinary columns.
        units: Rule of the units check, see `units`.
        memory: Bars of past needed beyond the arguments' own, from the literal parameters. Recursive
            operators count the bars until an older bar weighs less than 1e-9.
        run: `run(args, params, need, state, out)` writes `out` [T, S]; args are arrays or floats.
        state_rows: Rows of the state's workspace from the literal parameters; None for stateless operators.
        by_symbol: The workspace is [S, rows] instead of [rows, S].
        blocked: The state depends on the last n bars and the place in the block only, so a history may be cut
            at whole blocks.
        layout: Of what a blocked workspace is made; None where a stream must keep all of it.
        batch: A faster whole-history form of `run` with bit-equal results; None uses `run`.
        expand: A template over the parameter names; such an operator is computed as what it expands to.
        scalars: Series arguments may reach `run` as plain floats.
        infix: The symbol it may be written with.
        min_bars: Fewest valid bars a window needs whatever its share; 0 where validity is not counted.
        min_share: Share of valid bars a window needs; None takes the limits' setting.
        recursive: Its past reaches beyond the window, fading.
        commutative: Arguments may be swapped.
        scale: "free" when a positive factor of the arguments does not change it, "out" when it can be
            pulled out of the first argument.
        shift_free: Adding a constant to the first argument does not change it.
        odd: A sign of the first argument can be pulled out.
        even: A sign of the first argument does not change it.
        symmetric_pair: scale, shift_free and odd hold for the second argument too.
    """

    name: str
    family: str
    params: tuple[Param, ...]
    doc: str
    example: str
    units: str
    memory: Callable[[Params], int] = _no_memory
    run: Run | None = None
    state_rows: Callable[[Params], int] | None = None
    by_symbol: bool = False
    blocked: bool = False
    layout: Layout | None = None
    batch: Run | None = None
    expand: str = ""
    scalars: bool = False
    infix: str = ""
    min_bars: int = 1
    min_share: float | None = None
    recursive: bool = False
    commutative: bool = False
    scale: str = ""
    shift_free: bool = False
    odd: bool = False
    even: bool = False
    symmetric_pair: bool = False
    arity: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        """Count the series arguments once."""
        object.__setattr__(self, "arity", sum(p.kind is Kind.SERIES for p in self.params))

    @property
    def literals(self) -> tuple[Param, ...]:
        """The literal parameters."""
        return self.params[self.arity :]

    @property
    def required(self) -> int:
        """How many arguments must be written."""
        return sum(p.default is None for p in self.params)

    @property
    def signature(self) -> str:
        """For example `ts_quantile(x, n, q=0.5)`."""
        parts = [p.name if p.default is None else f"{p.name}={p.default:g}" for p in self.params]
        return f"{self.name}({', '.join(parts)})"

    def need(self, params: Params, share: float) -> int:
        """Valid bars a window needs to give a value."""
        windows = [int(v) for p, v in zip(self.literals, params, strict=True) if p.kind is Kind.WINDOW]
        if not windows or not self.min_bars:
            return 0
        wanted = self.min_share if self.min_share is not None else share
        return max(self.min_bars, int(np.ceil(wanted * windows[0] - 1e-9)))

    def new_state(self, params: Params, symbols: int) -> State | None:
        """A fresh state; all zeros means nothing was seen."""
        if self.state_rows is None:
            return None
        rows = self.state_rows(params)
        shape = (symbols, rows) if self.by_symbol else (rows, symbols)
        return State(np.zeros(shape), np.zeros(4, np.int64))


class Registry(Mapping[str, Operator]):
    """Operators by name; the families load at first look."""

    _MODULES = (
        "arithmetic",
        "logic",
        "shifts",
        "moments",
        "pairs",
        "extrema",
        "order",
        "weighted",
        "trend",
        "cross",
        "groups",
        "technical",
    )

    def __init__(self) -> None:
        self._entries: dict[str, Operator] = {}
        self._origins: dict[str, str] = {}
        self._loaded = False

    def register(self, operator: Operator) -> Operator:
        """Add one operator; a name is taken once."""
        if operator.name in self._entries:
            raise ValueError(f"operator {operator.name} is registered twice")
        if (operator.run is None) == (not operator.expand):
            raise ValueError(f"operator {operator.name} needs either run or expand")
        kinds = [p.kind is not Kind.SERIES for p in operator.params]
        if kinds != sorted(kinds):
            raise ValueError(f"operator {operator.name}: series arguments come before literals")
        self._entries[operator.name] = operator
        return operator

    def _load(self) -> dict[str, Operator]:
        if not self._loaded:
            for name in self._MODULES:
                importlib.import_module(f"midas_engine.dsl.operators.{name}")
            self._loaded = True
            use("midas.operators", self._adopt)
        return self._entries

    def _adopt(self, plugin: Plugin, given: Any) -> None:
        """Take the operators of a plug-in: all of them, or none."""
        operators = (given,) if isinstance(given, Operator) else tuple(given)
        for operator in operators:
            if not isinstance(operator, Operator):
                raise TypeError(f"{type(operator).__name__} is no Operator")
            if operator.name in self._entries:
                raise ValueError(f"there is an operator {operator.name} already")
        for operator in operators:
            self.register(operator)
            self._origins[operator.name] = plugin.origin

    def origin(self, name: str) -> str:
        """The package and version that brought an operator; empty for Midas's own."""
        self._load()
        return self._origins.get(name, "")

    def __getitem__(self, name: str) -> Operator:
        return self._load()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._load())

    def __len__(self) -> int:
        return len(self._load())


OPERATORS = Registry()
register = OPERATORS.register
