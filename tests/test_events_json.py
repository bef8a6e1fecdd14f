"""No event, whatever its numbers, becomes anything but JSON; printing one never stops who prints."""

from __future__ import annotations

import dataclasses
import json
import math
import types
import typing
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from midas_engine.cli.monitor_lines import Watchman
from midas_engine.events import Event, FaultReported, RuntimeChanged, event_types, from_dict, to_dict
from midas_engine.hypothesis import Hypothesis
from tests.test_events import example

AT = datetime(2025, 1, 2, 3, 4, 5, tzinfo=UTC)
TYPES = event_types()
ODD = st.sampled_from([math.nan, math.inf, -math.inf, 1.7e308, -1.7e308, 5e-324, np.float64("inf"), np.float64("nan")])


def strict(text: str) -> typing.Any:
    def refuse(name: str) -> typing.Any:
        raise AssertionError(f"{name} is not JSON")

    return json.loads(text, parse_constant=refuse)


def odd(hint: typing.Any) -> st.SearchStrategy[typing.Any]:
    """Values of a field's type, with every float in it drawn from the odd ones."""
    origin = typing.get_origin(hint)
    if hint is float:
        return ODD
    if origin in (typing.Union, types.UnionType):
        return st.one_of([odd(a) for a in typing.get_args(hint) if a is not type(None)] + [st.none()])
    if origin is tuple:
        return st.tuples(odd(typing.get_args(hint)[0]))
    if origin is dict or hint is dict:
        return st.dictionaries(st.sampled_from(["a", "b"]), ODD, min_size=1)
    if dataclasses.is_dataclass(hint):
        hints = typing.get_type_hints(hint)
        parts = {f.name: odd(hints[f.name]) for f in dataclasses.fields(hint)}
        return st.builds(hint, **parts | ({"sign": st.sampled_from([-1, 1])} if hint is Hypothesis else {}))
    return st.just(example(hint))


@pytest.mark.parametrize("name", sorted(TYPES))
@given(data=st.data())
def test_every_event_with_every_odd_number_is_json(name: str, data: st.DataObject) -> None:
    event = data.draw(odd(TYPES[name]))
    told: list[str] = []
    watchman = Watchman(as_json=True)
    watchman._write = told.append  # type: ignore[method-assign]
    watchman.tell(event)
    assert strict(told[0])["type"] == name
    assert watchman.unwritten == 0
    assert type(from_dict(strict(json.dumps(to_dict(event), allow_nan=False)))) is TYPES[name]


@pytest.mark.parametrize("name", sorted(TYPES))
@given(data=st.data())
def test_every_event_with_every_odd_number_has_its_line(name: str, data: st.DataObject) -> None:
    watchman = Watchman()
    watchman._write = lambda _: None  # type: ignore[method-assign]
    watchman.tell(data.draw(odd(TYPES[name])))
    assert watchman.unwritten == 0


class Colour(Enum):
    RED = np.float32("inf")


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (np.float32("-inf"), None),
        (np.int64(7), 7),
        (np.bool_(True), True),
        (np.array([1.0, np.inf]), [1.0, None]),
        (np.datetime64("2025-01-01T00:00", "s"), "2025-01-01T00:00:00"),
        (Colour.RED, None),
        (AT, "2025-01-02T03:04:05+00:00"),
        (AT.date(), "2025-01-02"),
        ((1, {2.0}, frozenset({Path("a/b")})), [1, [2.0], ["a/b"]]),
        ({Path("k"): math.inf, (1, 2): -math.inf}, {"k": None, "(1, 2)": None}),
        (Decimal("NaN"), "NaN"),
        (Fraction(1, 3), "1/3"),
        (b"raw", "b'raw'"),
        (1 + 2j, "(1+2j)"),
    ],
    ids=repr,
)
def test_whatever_lies_in_a_field_is_json(value: typing.Any, wanted: typing.Any) -> None:
    event = RuntimeChanged(at=AT, phase=value, progress=value)
    record = strict(json.dumps(to_dict(event), allow_nan=False))
    assert record["phase"] == wanted


class Unspeakable:
    def __str__(self) -> str:
        raise KeyError("no text")

    __repr__ = __str__


@pytest.mark.parametrize("as_json", [True, False])
def test_an_event_that_cannot_be_written_is_told_and_passed_by(as_json: bool, capsys: typing.Any) -> None:
    watchman = Watchman(as_json=as_json)
    watchman.tell(FaultReported(at=AT, where="here", message=Unspeakable()))  # type: ignore[arg-type]
    watchman.tell(FaultReported(at=AT, where="here", message="afterwards"))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert "FaultReported could not be written: KeyError" in lines[0]
    assert "afterwards" in lines[1]
    assert watchman.unwritten == 1
    if as_json:
        assert [strict(line)["where"] for line in lines] == ["output", "here"]


def test_an_output_that_is_full_is_told_once_on_standard_error(capsys: typing.Any) -> None:
    watchman = Watchman()

    def full(_: str) -> None:
        raise OSError(28, "No space left on device")

    watchman._write = full  # type: ignore[method-assign]
    event: Event = FaultReported(at=AT, where="here", message="what")
    for _ in range(3):
        watchman.tell(event)
    assert capsys.readouterr().err.count("No space left on device") == 1
    assert watchman.unwritten == 3


def test_a_reader_that_is_gone_is_not_swallowed() -> None:
    watchman = Watchman()

    def gone(_: str) -> None:
        raise BrokenPipeError

    watchman._write = gone  # type: ignore[method-assign]
    with pytest.raises(BrokenPipeError):
        watchman.tell(FaultReported(at=AT, where="here", message="what"))
