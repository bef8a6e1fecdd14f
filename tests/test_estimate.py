"""A number with its error stands where a number does: the same code, with the float and with the estimate."""

from __future__ import annotations

import copy
import dataclasses
import decimal
import fractions
import json
import math
import numbers
import operator
import pickle
import statistics
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from midas_engine.estimate import NO_ESTIMATE, Estimate
from midas_engine.jsonable import plain
from midas_engine.service.wire import decoded, encoded

if TYPE_CHECKING:
    from collections.abc import Callable

VALUE = 0.0312
ERROR = Estimate(VALUE, 0.004, 0.02, 0.04)
ONES, TABLE, HALF = np.ones(2), pd.Series([1.0, 2.0]), fractions.Fraction(1, 2)
USES: dict[str, Callable[[Any], Any]] = {
    "equal": lambda x: (x == VALUE, operator.eq(VALUE, x), x != VALUE, x in (VALUE,), {VALUE: 1}.get(x), hash(x)),
    "order": lambda x: (x < 1, x <= VALUE, x > 1, x >= VALUE, operator.lt(1, x), sorted([1.0, x])[0] < 1, max(x, 0)),
    "sum": lambda x: (x + 1, 1 + x, x - 1, 1 - x, sum([x, x]), math.fsum([x, x]), x + True),
    "product": lambda x: (x * 2, 2 * x, x / 2, 2 / x, x // 0.01, 1 // x, x % 0.01, 1 % x, divmod(x, 0.01)),
    "power": lambda x: (x**2, 2**x, pow(x, 2), math.sqrt(x), math.exp(x)),
    "sign": lambda x: (+x, -x, abs(-x), bool(x), bool(x * 0)),
    "whole": lambda x: (int(x), round(x), round(x, 2), math.floor(x), math.ceil(x), math.trunc(x), x.is_integer()),
    "other numbers": lambda x: (complex(x), x + 1j, decimal.Decimal(x), fractions.Fraction(x), x + HALF),
    "parts": lambda x: (x.real, x.imag, x.conjugate(), x.hex(), x.as_integer_ratio(), isinstance(x, numbers.Real)),
    "formats": lambda x: (f"{x:+.3f}|{x:>10.2%}|{x:e}", "%.3f %d" % (x, x), "{:g}".format(x)),  # noqa: UP031, UP032
    "statistics": lambda x: (statistics.mean([x, x]), statistics.median([x, x]), math.isnan(x), math.isclose(x, VALUE)),
    "json": lambda x: (json.dumps({"a": x, "b": [x]}), json.dumps(x, allow_nan=False)),
    "numpy scalars": lambda x: (np.sqrt(x), np.isnan(x), np.float64(1) + x, x + np.float64(1), np.isscalar(x)),
    "arrays": lambda x: [a.tolist() for a in (np.array([x, x]), x * ONES, ONES - x, operator.gt(ONES, x), x < ONES)],
    "kinds": lambda x: (np.array([x]).dtype, pd.Series([x]).dtype, pd.DataFrame([{"a": x}]).a.dtype),
    "pandas": lambda x: [s.tolist() for s in (TABLE * x, x * TABLE, x - TABLE, operator.gt(TABLE, x), x < TABLE)],
    "pandas text": lambda x: (pd.Series([x]).to_csv(), pd.Series([x]).to_json(), pd.isna(x)),
    "pandas fill": lambda x: pd.Series([np.nan]).fillna(x).tolist(),
    "pandas query": lambda x: len(pd.DataFrame({"a": [1.0]}).query("a > @x", local_dict={"x": x})),
}  # fmt: skip


@pytest.mark.parametrize("use", USES)
def test_it_does_what_the_number_does(use: str) -> None:
    found, wanted = USES[use](ERROR), USES[use](VALUE)
    assert found == wanted


@pytest.mark.parametrize("use", [lambda x: x < "a", lambda x: x + "a", lambda x: x + None])
def test_it_refuses_what_the_number_refuses(use: Callable[[Any], Any]) -> None:
    for number in (ERROR, VALUE):
        with pytest.raises(TypeError):
            use(number)


def test_one_that_is_not_a_number_is_none_to_everybody() -> None:
    assert math.isnan(NO_ESTIMATE)
    assert pd.isna(NO_ESTIMATE)
    assert NO_ESTIMATE != NO_ESTIMATE
    assert not NO_ESTIMATE < 1
    assert pd.Series([NO_ESTIMATE, ERROR]).count() == 1
    assert [NO_ESTIMATE] == [NO_ESTIMATE]


def test_its_error_goes_with_it() -> None:
    for kept in (copy.copy(ERROR), copy.deepcopy(ERROR), pickle.loads(pickle.dumps(ERROR)), dataclasses.replace(ERROR)):
        assert kept == ERROR
        assert (float(kept), kept.value, kept.se, kept.low, kept.high) == (VALUE, VALUE, 0.004, 0.02, 0.04)
    changed = dataclasses.replace(ERROR, value=1.0)
    assert (float(changed), changed.value, changed.se) == (1.0, 1.0, 0.004)
    assert changed != ERROR
    assert dataclasses.replace(ERROR, se=1.0) != ERROR
    with pytest.raises(dataclasses.FrozenInstanceError):
        ERROR.se = 1.0  # type: ignore[misc]
    assert str(ERROR) == f"{ERROR}" == "Estimate(value=0.0312, se=0.004, low=0.02, high=0.04)"


def test_what_is_kept_and_sent_of_it_is_the_whole() -> None:
    whole = {"value": VALUE, "se": 0.004, "low": 0.02, "high": 0.04}
    assert dataclasses.asdict(ERROR) == plain(ERROR) == encoded(ERROR) == whole
    assert decoded(Estimate, encoded(ERROR)) == ERROR
    assert plain({"a": [NO_ESTIMATE]}) == {"a": [dict.fromkeys(whole)]}
