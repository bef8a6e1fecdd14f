"""Where work is done: part of the settings, in a file of its own."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ExecutorSettings:
    """Who does the work of sessions, calibrations and campaigns; how many there are says `evaluation.workers`.

    Attributes:
        kind: processes (each watched, a dead one replaced), threads, or dask: a cluster, of this machine where no
            scheduler is set (extra `cluster`).
        memory_mb: Megabytes of its own data that a worker may have, beside the panel that all share; 0: no limit.
        scheduler: Address of a Dask scheduler that runs already, as tls://host:8786; its workers have Midas installed
            and see the same data. Empty: a cluster of this machine.
        ca_file: Who signed the certificates of a scheduler elsewhere; it is asked with certificates only.
        cert_file: The certificate to ask it with.
        key_file: That certificate's key.
        cache_mb: Megabytes that a worker keeps to use again, half of them values and half ranks of returns; at most a
            quarter of `memory_mb` where that is set.
        opening_seconds: Seconds that a worker may take from its start until its data is open; one that takes longer
            hangs, and is replaced.
    """

    kind: str = "processes"
    memory_mb: int = 0
    scheduler: str = ""
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    cache_mb: int = 96
    opening_seconds: float = 300.0

    @property
    def cache_bytes(self) -> int:
        """What a worker may keep, in bytes."""
        most = self.cache_mb if not self.memory_mb else min(self.cache_mb, self.memory_mb // 4)
        return most * 1_000_000
