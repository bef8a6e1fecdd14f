"""How the face hands out the engine's names without importing anything before it is asked for."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def forward(module: str, names: Sequence[str]) -> Callable[[str], Any]:
    """A module-level `__getattr__` (PEP 562) that takes each of `names` from `module` when first used."""

    def get(name: str) -> Any:
        if name not in names:
            raise AttributeError(f"{module.replace('midas_engine', 'midas', 1)} has no public name {name!r}")
        return getattr(importlib.import_module(module), name)

    return get
