"""An order on a disk that takes nothing more: its outbox is said to be behind, until it is not."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from midas_engine.outbound import outputs_of
from midas_engine.outbound.kill_output import KillOutput
from tests.helpers_outbound import FarSide, source_of, until
from tests.test_outbound_disk import Quota, quota
from tests.test_outbound_kills import far, kill, settings_for, states

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["far", "quota"]


async def test_an_outbox_that_a_disk_does_not_take_is_said_until_it_does(
    tmp_path: Path, far: FarSide, quota: Quota
) -> None:
    source = source_of(tmp_path / "kb")
    outputs = outputs_of(settings_for(f"webhook:{far.server.url}"), source)
    await outputs.start()
    key = kill(source, "carry")
    await until(lambda: states(outputs) == {key: "acknowledged"})
    (output,) = outputs.outputs
    assert isinstance(output, KillOutput)
    order = output.deliveries[0].outbox.posted[key].order
    assert outputs.unwritten() == ()
    quota.set(10)
    await output.deliveries[0].post([replace(order, key="second", feature="trend")])
    assert outputs.unwritten() == ("the outbox of desk",)
    quota.set(None)
    await output.deliveries[0].post([replace(order, key="third", feature="trend")])
    assert outputs.unwritten() == ()
    await outputs.close()
