"""Package faces that import nothing before a name is asked for (PEP 562). The one way every face does it."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def lazy_face(package: str, homes: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """The `__getattr__` and `__dir__` of a package whose public names live in other modules.

    Args:
        package: The package's `__name__`.
        homes: Public name to the module that defines it: dotted from the root, or relative to the package (".panel").

    Returns:
        Functions to bind to `__getattr__` and `__dir__` at module level.

    Example:
        >>> get, names = lazy_face("midas_engine", {"Settings": ".settings"})
        >>> get("Settings").__module__, names()
        ('midas_engine.settings', ['Settings'])
    """

    def get(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no public name {name!r}")
        value = getattr(importlib.import_module(homes[name], package), name)
        vars(sys.modules[package]).setdefault(name, value)  # the next access finds it without this function
        return value

    return get, lambda: sorted(homes)
