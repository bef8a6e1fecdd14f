"""A campaign on a disk of its own that is full again and again, in a namespace of mounts that ends with the process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from midas_engine.campaign import base_digest
from midas_engine.errors import MidasError
from tests.helpers_campaign import run_campaign


def disk(place: Path, kilobytes: int, how: str = "") -> None:
    """Mount it, or (`remount,`) give it another size; what is on it stays."""
    command = ["mount", "-t", "tmpfs", "-o", f"{how}size={kilobytes}k", "tmpfs", str(place)]
    subprocess.run(command, check=True)


def mirrored(base: Path, place: Path) -> str:
    """What the mirror of a base on that disk says."""
    from midas_engine.kb import KnowledgeBase
    from midas_engine.outbound.mlflow_mirror import mirror_told

    return mirror_told(KnowledgeBase(base, read_only=True), f"file:{place / 'runs'}")[0] or "written"


if __name__ == "__main__":
    place, given = Path(sys.argv[1]), sys.argv[2:]
    base = None if given[0].isdigit() else Path(given.pop(0))
    disk(place, 300)
    for size in map(int, given):
        disk(place, size, "remount,")
        if base is not None:
            print(mirrored(base, place))
            continue
        try:
            print("finished", run_campaign(place / "kb").finished, base_digest(place / "kb")["whole"])
        except MidasError as error:
            print(type(error).__name__, error.message, "|", error.hint)
