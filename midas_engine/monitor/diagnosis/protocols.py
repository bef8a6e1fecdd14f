"""What a diagnosis asks of its neighbours: who explains, and who mends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from midas_engine.models import DiagnoseResult
    from midas_engine.monitor.diagnosis.classify import Finding
    from midas_engine.monitor.diagnosis.snapshot import Snapshot
    from midas_engine.proposer.protocol import DiagnosisBrief, DiagnosisDraft


class Diagnostician(Protocol):
    """A researcher that can explain a diagnosis; see `midas_engine.proposer`."""

    name: str

    async def diagnose(self, brief: DiagnosisBrief, on_text: Callable[[str], None]) -> DiagnosisDraft:
        """Root cause, evidence with figure ids, and what to do."""
        ...

    async def close(self) -> None:
        """Let go of what is held."""
        ...


class Mender(Protocol):
    """Puts a fix to the same gates as the incumbent, on the data after the break."""

    async def mend(self, snapshot: Snapshot, finding: Finding, result: DiagnoseResult) -> DiagnoseResult:
        """The result with the fix that was tried, its candidate version and its verdict."""
        ...
