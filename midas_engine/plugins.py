"""Plug-ins: what installed packages add to Midas, found by entry-point group.

Names are listed without importing anything. A plug-in is imported where its kind is first needed; one that cannot be
used is one warning and nothing else. A package adds, in its own `pyproject.toml`:

    [project.entry-points."midas.operators"]
    my_operator = "my_package.operators:MY_OPERATOR"

What each group expects is written in `GROUPS` and in the documentation, "Extending Midas".
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from importlib.metadata import EntryPoint

GROUPS: dict[str, str] = {
    "midas.operators": "an Operator, or several: an operator of the expression language",
    "midas.agents": "an Agent: judges a feature beside the six",
    "midas.rules": "a Rule: an alert rule of the monitor",
    "midas.researchers": "called with the settings, gives a Researcher; chosen by --provider NAME",
    "midas.importers": "a Layout: a kind of file that imports read",
    "midas.verbs": "a click command: `midas NAME`",
    "midas.screens": "a mode of the terminal: a subclass of ModeScreen",
}


class PluginWarning(UserWarning):
    """A plug-in that is installed cannot be used."""


@dataclass(frozen=True, slots=True)
class Plugin:
    """One entry point, not imported yet.

    Attributes:
        group: One of `GROUPS`.
        name: The entry point's name.
        package: Distribution that brings it.
        version: That distribution's version.
        target: Where its object lives: "module:attribute".
    """

    group: str
    name: str
    package: str
    version: str
    target: str

    @property
    def origin(self) -> str:
        """Package and version, as they stand in records: "my-package 1.2"."""
        return f"{self.package} {self.version}"

    def load(self) -> Any:
        """Import it.

        Raises:
            Exception: Whatever its module raises.
        """
        import importlib

        module, _, attribute = self.target.partition(":")
        found: Any = importlib.import_module(module)
        for part in filter(None, attribute.split(".")):
            found = getattr(found, part)
        return found


_problems: dict[tuple[str, str], str] = {}


@cache
def listed(group: str = "") -> tuple[Plugin, ...]:
    """The installed plug-ins of a group, or of all, sorted by name; nothing of theirs is imported.

    Example:
        >>> [p.name for p in listed("midas.operators") if p.package == "midas-alpha"]
        []
    """
    from importlib.metadata import entry_points

    groups = (group,) if group else tuple(GROUPS)
    found = {_plugin(point) for name in groups for point in entry_points(group=name)}
    return tuple(sorted(found, key=lambda p: (p.group, p.name, p.package)))


def _plugin(point: EntryPoint) -> Plugin:
    name, version = (point.dist.name, point.dist.version) if point.dist is not None else ("unknown", "?")
    return Plugin(point.group, point.name, name, version, point.value)


def use(group: str, take: Callable[[Plugin, Any], None]) -> None:
    """Import every plug-in of a group and hand it to `take`; one that raises, here or there, is one warning.

    Args:
        group: One of `GROUPS`.
        take: Checks the object and registers it; raises when it is not what the group expects.
    """
    for plugin in listed(group):
        try:
            take(plugin, plugin.load())
        except Exception as error:
            give_up(plugin, error)


def give_up(plugin: Plugin, error: Exception) -> None:
    """Note that a plug-in cannot be used, and warn of it once."""
    key = (plugin.group, plugin.name)
    if key in _problems:
        return
    _problems[key] = f"{type(error).__name__}: {error}"
    text = f"plug-in {plugin.name} ({plugin.group}) of {plugin.origin} cannot be used: {_problems[key]}"
    warnings.warn(text, PluginWarning, stacklevel=2)


def problem_of(plugin: Plugin) -> str:
    """Why a plug-in could not be used; empty when it was, or when nothing has needed it yet."""
    return _problems.get((plugin.group, plugin.name), "")


def problems() -> tuple[str, ...]:
    """Every plug-in that could not be used so far, with its reason."""
    return tuple(f"{name} ({group}): {why}" for (group, name), why in sorted(_problems.items()))
