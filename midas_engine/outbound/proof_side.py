"""The record of signals as a proof: each bar is committed as it is recorded; the head leaves the machine each day."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from midas_engine.errors import SettingsError
from midas_engine.events import FaultReported
from midas_engine.models import FeatureState
from midas_engine.outbound.proof import FILE, ProofChain, values_digest
from midas_engine.outbound.proof_heads import HeadFile
from midas_engine.outbound.signal_sides import Reader

if TYPE_CHECKING:
    from collections.abc import Sequence

    from midas_engine.outbound.destination import Address
    from midas_engine.outbound.outputs import Source
    from midas_engine.outbound.signal_log import SignalLog


class ProofSide(Reader):
    """Commits what is recorded.

    Args:
        source: The engine.
        heads: Files that a head is added to once a day, on other machines or in other hands: `file:PATH`.
    """

    def __init__(self, source: Source, heads: Sequence[Address]) -> None:
        super().__init__("proof", "proof", source)
        self.chain = ProofChain(source.kb.path / FILE)
        self._heads: list[HeadFile] = []
        self._day = ""
        for address in heads:
            address.take(())
            path = Path(address.reach()).expanduser()
            if address.kind != "file":
                raise SettingsError(
                    f"{address}: a head leaves as a line of a file", hint='as in "file:/mnt/other/heads"'
                )
            if not path.parent.is_dir():
                raise SettingsError(f"{address}: there is no folder {path.parent}", hint="make it first")
            self._heads.append(HeadFile(path, self.chain, source))

    def begin(self, log: SignalLog) -> int:
        """Go on behind the last bar that is in the chain."""
        self.chain.open()
        last = self.chain.last.get("signals", "")
        return max((r["sequence"] for r in log.since(0) if r["bar"] <= last), default=log.sequence if not last else 0)

    async def hand_over(self, record: dict[str, Any]) -> None:
        """Commit a record: new specs, the label of the bar before, the signals."""
        if record["bar"] > self.chain.last.get("signals", ""):
            returns = self._returns(record["bar"])
            await self.worker.submit(lambda: self.chain.append(self._entries(record, returns)))
        day = self.clock.now().date().isoformat()
        if day != self._day:
            self._day = day
            for file in self._heads:
                file.send()
            words = f"the head of the proof is {self.chain.head}"
            event = FaultReported(at=self.clock.now(), where="proof", message=words, severity="info")
            self.source.bus.publish(event)  # into the journal, and to whoever is told what is "info"

    def _entries(self, record: dict[str, Any], returns: list[float] | None) -> list[dict[str, Any]]:
        opened, length = datetime.fromisoformat(record["bar"]), timedelta(seconds=record["bar_seconds"])
        # a clock that was set back writes nothing before what stands there, and nothing before the bar had closed
        before = [datetime.fromisoformat(self.chain.written)] if self.chain.written else []
        now = max(self.clock.now(), opened + length, *before)
        at = now.isoformat()
        late = bool(record["computed_later"]) or now >= opened + 2 * length  # its outcome can be known
        states = (FeatureState.DEPLOYED, FeatureState.SHADOW)
        known = {r.name: r for state in states for r in self.source.kb.features(state)}
        found: list[dict[str, Any]] = []
        for name, said in record["features"].items():
            feature = known.get(name)
            if feature is not None and self.chain.specs.get(name) != feature.expression:
                spec = {"feature": name, "version": said["version"], "expression": feature.expression}
                found.append({"kind": "spec", "at": at, **spec})
        last = self.chain.last.get("signals", "")
        if last and returns is not None:
            found.append(
                {"kind": "label", "at": at, "bar": last, "until": record["bar"], "returns": values_digest(returns)}
            )
        digests = {name: values_digest(said["values"]) for name, said in record["features"].items()}
        body = {"bar": record["bar"], "bar_seconds": record["bar_seconds"], "symbols": record["symbols"]}
        found.append({"kind": "signals", "at": at, **body, "features": digests, "late": late})
        return found

    def _returns(self, bar: str) -> list[float] | None:
        """The returns of a bar, in the order of the symbols; None where the market does not have it."""
        panel = self.source.panel()
        if panel is None:
            return None
        row = int(np.searchsorted(panel.timestamps, np.datetime64(bar.partition("+")[0], "ns")))
        if row >= panel.T or panel.timestamps[row] != np.datetime64(bar.partition("+")[0], "ns"):
            return None
        return [float(v) for v in panel.values("returns")[row]]

    async def close(self) -> None:
        """Stop; it goes on from there."""
        await super().close()
        for file in self._heads:
            await file.close()

    def status(self) -> dict[str, Any]:
        """Its end, and where it could not leave to."""
        heads = {str(file.path): file.status() for file in self._heads}
        return {
            "kind": "proof",
            "head": str(self.chain.head),
            "failing_since": self.failing_since or None,
            "heads": heads,
        }
