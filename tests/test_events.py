"""Every event survives the trip to a JSON record and back, with its types."""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from datetime import UTC, date, datetime
from enum import StrEnum

import pytest

from midas_engine import events
from midas_engine.events import Event, event_types, from_dict, to_dict
from midas_engine.hypothesis import Hypothesis

AT = datetime(2025, 1, 2, 3, 4, 5, tzinfo=UTC)
TYPES = event_types()


def example(hint: typing.Any) -> typing.Any:
    """A value of a field's type."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return example(typing.get_args(hint)[0])
    if typing.get_origin(hint) is tuple:
        return (example(typing.get_args(hint)[0]),) * 2
    if typing.get_origin(hint) is dict or hint is dict:
        return {"a": 1}
    if dataclasses.is_dataclass(hint):
        hints = typing.get_type_hints(hint)
        values = {f.name: example(hints[f.name]) for f in dataclasses.fields(hint)}
        return hint(**values | ({"sign": -1} if hint is Hypothesis else {}))
    plain = {datetime: AT, date: AT.date(), str: "text", int: 3, float: 0.25, bool: True, object: "thing"}
    if hint in plain:
        return plain[hint]
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return next(iter(hint))
    raise AssertionError(f"no example of {hint}")


@pytest.mark.parametrize("name", sorted(TYPES))
def test_round_trip_through_json(name: str) -> None:
    event = example(TYPES[name])
    again = from_dict(json.loads(json.dumps(to_dict(event), allow_nan=False)))
    assert type(again) is type(event)
    assert again == event


def test_unknown_numbers_come_back_unknown() -> None:
    event = events.RuntimeChanged(at=AT, phase="warming")
    record = json.loads(json.dumps(to_dict(event), allow_nan=False))
    assert record["progress"] is None
    again = from_dict(record)
    assert isinstance(again, events.RuntimeChanged)
    assert again.progress != again.progress


def test_a_field_that_is_not_known_is_left_out() -> None:
    record = {**to_dict(events.FaultReported(at=AT, where="here", message="what")), "colour": "red"}
    assert from_dict(record) == events.FaultReported(at=AT, where="here", message="what")


@pytest.mark.parametrize(
    ("change", "message"), [({"type": "Nothing"}, "unknown event type 'Nothing'"), ({"version": 99}, "newer than 1")]
)
def test_foreign_records_are_refused(change: dict[str, typing.Any], message: str) -> None:
    record = to_dict(events.FaultReported(at=AT, where="here", message="what"))
    with pytest.raises(ValueError, match=message):
        from_dict({**record, **change})


def test_what_must_not_be_lost_is_never_replaced() -> None:
    replaced = {name for name, kind in TYPES.items() if kind.replace_key is not Event.replace_key}
    assert replaced == {
        "AlertUpdated",
        "BarProcessed",
        "FeatureTicked",
        "QueryAnswered",
        "ReplayMoved",
        "TroubleChanged",
        "WatchChanged",
    }


def test_the_package_exports_every_event() -> None:
    assert set(TYPES) <= set(events.__all__)
