"""`program`: what computes here, so that workers elsewhere can be told from those that might compute something else."""

from __future__ import annotations

import hashlib
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from midas_engine.plugins import listed

if TYPE_CHECKING:
    from collections.abc import Mapping

_LIBRARIES = ("numpy", "scipy", "numba")
_ROOT = Path(__file__).resolve().parents[1]


@cache
def _here() -> tuple[tuple[str, str], ...]:
    source = hashlib.sha256()
    for path in sorted(_ROOT.rglob("*.py")):
        source.update(f"{path.relative_to(_ROOT).as_posix()}\n".encode())
        source.update(path.read_bytes())
    found = {"Midas": f"{_version('midas-alpha')}, source {source.hexdigest()[:8]}"}
    found["Python"] = ".".join(map(str, sys.version_info[:2]))
    found |= {name: _version(name) for name in _LIBRARIES}
    found["plug-ins"] = ", ".join(sorted({plugin.origin for plugin in listed()})) or "none"
    return tuple(found.items())


def program() -> dict[str, str]:
    """What computes here: Midas by version and by a hash of its source, Python, libraries, plug-ins."""
    return dict(_here())


def differs(wanted: Mapping[str, str]) -> str:
    """How what computes here differs from `wanted`, in words; empty when it does not.

    Example:
        >>> differs(program()), differs(program() | {"plug-ins": "some 1.0"})
        ('', 'plug-ins none and not some 1.0')
    """
    here = program()
    return "; ".join(
        f"{name} {here.get(name, 'none')} and not {value}" for name, value in wanted.items() if here.get(name) != value
    )


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "unknown"
