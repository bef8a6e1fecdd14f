"""The algebra flags of every operator: what is set holds on random panels, what is unset fails on some.

The canonical form, the key of the trial ledger, reads these flags: a flag set where it does not hold gives two
different features one text; one left unset where it holds gives one feature two.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from midas_engine.dsl import FeatureEngine
from midas_engine.dsl.registry import OPERATORS, Kind, Operator
from midas_engine.market.panel import Panel

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

T, S, PANELS = 90, 6, 6
FACTOR, SHIFT = 3.7, 2.3  # no power of two: a property that holds by luck of the exponent would pass
STAMPS = np.datetime64("2025-01-01", "ns") + np.arange(T) * np.timedelta64(3600, "s")


def _literals(operator: Operator, draw: np.random.Generator) -> list[str]:
    """Windows of a few bars, numbers inside their range: another draw for another panel."""
    texts, last = [], 0
    for param in operator.literals:
        if param.kind is Kind.WINDOW:
            last = max(int(draw.integers(3, 7)), last + 2, int(param.low) if np.isfinite(param.low) else 0)
            texts.append(str(last))
        else:
            low = param.low if np.isfinite(param.low) else 0.5
            high = param.high if np.isfinite(param.high) else low + 2.0
            texts.append(f"{draw.uniform(low, high):.3f}")
    return texts


def _columns(operator: Operator, draw: np.random.Generator, kind: int) -> list[Array]:
    """Signed numbers with gaps; now and then positive ones, few values (ties), or truth values."""
    found = []
    for _ in range(operator.arity):
        x = draw.standard_normal((T, S)).cumsum(axis=0) if kind % 2 else draw.standard_normal((T, S))
        if kind == 2:
            x = np.exp(0.3 * x)
        elif kind == 3:
            x = np.round(x)
        elif kind == 4:
            x = (x > 0).astype(float)
        x[draw.random((T, S)) < 0.04] = np.nan
        found.append(x)
    return found


def _cases(operator: Operator) -> Iterator[tuple[list[Array], list[str]]]:
    for kind in range(PANELS):
        draw = np.random.default_rng([kind, 20260501])
        yield _columns(operator, draw, kind), _literals(operator, draw)


def _values(operator: Operator, columns: list[Array], literals: list[str]) -> Array:
    names = [f"col_{i}" for i in range(len(columns))]
    panel = Panel(STAMPS, tuple(f"S{i}" for i in range(S)), dict(zip(names, columns, strict=True)), 3600)
    return FeatureEngine(panel).values(f"{operator.name}({', '.join([*names, *literals])})")


def _same(left: Array, right: Array) -> bool:
    if not np.array_equal(np.isnan(left), np.isnan(right)):
        return False
    scale = np.nanmax(np.abs(left), initial=1e-12)
    return bool(np.allclose(left, right, rtol=1e-7, atol=1e-9 * scale, equal_nan=True))


def _with(columns: list[Array], place: int, column: Array) -> list[Array]:
    return [*columns[:place], column, *columns[place + 1 :]]


def _holds(operator: Operator, flag: str, place: int = 0) -> bool:
    """Whether the property holds on every one of the panels."""
    informative = False
    for columns, literals in _cases(operator):
        base = _values(operator, columns, literals)
        informative |= bool(np.isfinite(base).any())
        x = columns[place]
        if flag == "commutative":
            wanted, changed = base, _values(operator, [columns[1], columns[0], *columns[2:]], literals)
        elif flag == "scale free":
            wanted, changed = base, _values(operator, _with(columns, place, x * FACTOR), literals)
        elif flag == "scale out":
            wanted, changed = base * FACTOR, _values(operator, _with(columns, place, x * FACTOR), literals)
        elif flag == "shift_free":
            wanted, changed = base, _values(operator, _with(columns, place, x + SHIFT), literals)
        else:
            changed = _values(operator, _with(columns, place, -x), literals)
            wanted = -base if flag == "odd" else base
        if not _same(wanted, changed):
            return False
    assert informative, f"{operator.name} gave no value on any panel: nothing was tested"
    return True


def _claims(operator: Operator) -> dict[str, bool]:
    claims = {
        "scale free": operator.scale == "free",
        "scale out": operator.scale == "out",
        "shift_free": operator.shift_free,
        "odd": operator.odd,
        "even": operator.even,
    }
    if operator.arity >= 2:
        claims["commutative"] = operator.commutative
    return claims


FLAGS = [
    pytest.param(operator, flag, claimed, id=f"{operator.name}-{flag.replace(' ', '_')}-{claimed}")
    for operator in OPERATORS.values()
    if operator.arity
    for flag, claimed in _claims(operator).items()
]
PAIRS = [operator for operator in OPERATORS.values() if operator.arity == 2 and (operator.scale or operator.odd)]


@pytest.mark.parametrize(("operator", "flag", "claimed"), FLAGS)
def test_a_flag_is_set_where_and_only_where_it_holds(operator: Operator, flag: str, claimed: bool) -> None:
    assert _holds(operator, flag) == claimed


@pytest.mark.parametrize("operator", PAIRS, ids=lambda o: o.name)
def test_symmetric_pair_says_whether_the_flags_hold_for_the_second_argument(operator: Operator) -> None:
    claimed = [flag for flag, is_set in _claims(operator).items() if is_set and flag != "commutative"]
    assert all(_holds(operator, flag, place=1) for flag in claimed) == operator.symmetric_pair
