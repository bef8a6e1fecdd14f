"""Warming walks every kernel and says how far it is."""

from __future__ import annotations

from typing import Any

from midas_engine.warmup import warm_everything
from tests.helpers_cli import call_midas


def test_progress_goes_from_nothing_to_everything() -> None:
    seen: list[tuple[int, int, str]] = []
    steps = warm_everything(lambda *step: seen.append(step))
    assert seen[-1] == (steps, steps, "")
    assert {total for _, total, _ in seen} == {steps}
    assert [done for done, _, _ in seen] == sorted(done for done, _, _ in seen)
    assert {what for _, _, what in seen} >= {"verdict on a panel", "verdict on one series", "monitor on a panel"}


def test_the_verb(capsys: Any) -> None:
    ran = call_midas(capsys, "warmup", "--json")
    assert ran.code == 0
    assert ran.err == ""
    assert ran.document["steps"] > 10


def test_nothing_compiles_after_it() -> None:
    """What a verdict and a bar need is compiled by then: numba adds no signature afterwards."""
    from midas_engine import warmup

    warm_everything()
    before = _signatures()
    warmup._verdict(14)
    warmup._bars(14)
    assert _signatures() == before


def _signatures() -> dict[str, int]:
    import gc

    from numba.core.dispatcher import Dispatcher

    return {
        f"{d.py_func.__module__}.{d.py_func.__qualname__}": len(d.signatures)
        for d in gc.get_objects()
        if isinstance(d, Dispatcher) and d.py_func.__module__.startswith("midas_engine")
    }
