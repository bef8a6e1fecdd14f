"""A state of gigabytes is written as it is, in pieces, wholly or not at all; large bars are kept in few slots."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import numpy as np
import pytest

from midas_engine.monitor.state import recovery
from midas_engine.monitor.state.codec import Pieces, pack_into, unpack
from midas_engine.monitor.state.recovery import Recovery

if TYPE_CHECKING:
    from collections.abc import Callable


class Store:
    """States in memory, with a wait before each write."""

    def __init__(self, before: Callable[[str], None] = lambda key: None) -> None:
        self.states: dict[str, bytes] = {}
        self.before = before

    def put_state(self, key: str, blob: bytes, *, durable: bool = False) -> None:
        self.before(key)
        self.states[key] = blob

    def get_state(self, key: str) -> bytes | None:
        return self.states.get(key)


def arrays(seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {"a": rng.normal(size=(300, 40)), "b": rng.integers(0, 9, 1000), "c": np.array(["x", "yz"])}


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recovery, "COPY_BYTES", 10_000)
    monkeypatch.setattr(recovery, "LARGE_PART_BYTES", 7_000)


def test_what_is_written_in_pieces_reads_as_one_file() -> None:
    pieces = list[bytes]()
    file = Pieces(pieces.append, 1000)
    pack_into(file, '{"n": 3}', arrays(1))
    file.end()
    meta, found = unpack(b"".join(pieces))
    assert meta == {"n": 3}
    assert {len(piece) for piece in pieces[:-1]} == {1000}
    assert all(np.array_equal(found[name], value) for name, value in arrays(1).items())


async def test_a_large_state_is_on_disk_when_the_next_bar_may_come() -> None:
    store, state = Store(), arrays(2)
    keeper = Recovery(store)
    await keeper.note({"index": 1}, {"values": np.ones(3)})
    future = await keeper.begin_snapshot({"names": ["f"]}, state)
    assert future is not None
    assert future.done()
    state["a"][:] = 0.0  # the caller's again
    again = Recovery(store)
    loaded = again.load()
    assert loaded is not None
    meta, found = loaded
    assert (meta["names"], again.sequence) == (["f"], 1)
    assert all(np.array_equal(found[name], value) for name, value in arrays(2).items())


async def test_one_that_takes_too_long_is_given_up_and_the_one_before_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store()
    keeper = Recovery(store)
    await keeper.snapshot({"turn": 1}, arrays(1))
    going_on, hangs = asyncio.Event(), asyncio.get_running_loop()

    def hang(key: str) -> None:
        if "/1" in key or "/0" in key:
            asyncio.run_coroutine_threadsafe(going_on.wait(), hangs).result()

    store.before = hang
    monkeypatch.setattr(recovery, "LARGE_SECONDS", 0.05)
    with pytest.raises(TimeoutError):
        await keeper.begin_snapshot({"turn": 2}, arrays(2))
    going_on.set()
    with pytest.raises(TimeoutError, match="given up"):
        await keeper._writing  # type: ignore[misc]
    loaded = Recovery(store).load()
    assert loaded is not None
    assert loaded[0]["turn"] == 1


async def test_large_bars_are_kept_in_few_slots(monkeypatch: pytest.MonkeyPatch) -> None:
    store, values = Store(), {"values": np.ones(1000)}
    keeper = Recovery(store)
    monkeypatch.setattr(recovery, "SLOTS_BYTES", 100_000)
    await keeper.note({"index": 0}, values)
    await keeper.snapshot({}, arrays(1))
    assert keeper.every == 5
    assert keeper.slots * len(store.states[recovery.BAR_KEY.format(slot=1)]) <= 100_000
