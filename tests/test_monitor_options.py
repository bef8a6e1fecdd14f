"""The keywords of `OnlineMonitor`: one list for callers and type checkers, one for what holds without them."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from midas_engine.loops.options import LoopKeywords, LoopOptions
from midas_engine.monitor import OnlineMonitor
from midas_engine.monitor.options import MonitorKeywords, MonitorOptions
from midas_engine.online_options import OnlineKeywords, OnlineOptions


def test_the_keywords_are_the_fields() -> None:
    assert set(MonitorKeywords.__annotations__) == {field.name for field in dataclasses.fields(MonitorOptions)}


def test_the_keywords_of_the_face_are_its_fields() -> None:
    assert set(OnlineKeywords.__annotations__) == {field.name for field in dataclasses.fields(OnlineOptions)}


def test_the_keywords_of_a_discovery_loop_are_its_fields() -> None:
    assert set(LoopKeywords.__annotations__) == {field.name for field in dataclasses.fields(LoopOptions)}


def test_a_keyword_that_is_not_there_is_named() -> None:
    wrong: dict[str, Any] = {"symbolics": 3}
    with pytest.raises(TypeError, match="'symbolics'"):
        OnlineMonitor(["signal"], **wrong)


def test_what_is_given_holds() -> None:
    monitor = OnlineMonitor(["signal"], symbols=("BTC", "ETH"), bar_seconds=900, expressions={"signal": "close"})
    assert monitor.fleet.config.bar_seconds == 900
    assert monitor.expressions == {"signal": "close"}
    assert monitor.intake.reader.names == ("BTC", "ETH")
