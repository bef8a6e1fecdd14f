"""Agents that plug-ins add, with the thresholds they read. Asked for once a process."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from midas_engine.plugins import use

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from midas_engine.models import AgentVerdict
    from midas_engine.plugins import Plugin


@dataclass(frozen=True, slots=True)
class PluginAgent:
    """One agent of a plug-in.

    Attributes:
        judge: Called as the six are.
        origin: Package and version.
        thresholds: Names and default numbers; any finite number may replace one.
    """

    judge: Callable[..., AgentVerdict]
    origin: str
    thresholds: Mapping[str, float] = field(default_factory=dict)


@cache
def plugin_agents(taken: frozenset[str]) -> dict[str, PluginAgent]:
    """By name; those that cannot be used are one warning each.

    Args:
        taken: Names that are Midas's own.
    """
    found: dict[str, PluginAgent] = {}

    def adopt(plugin: Plugin, given: Any) -> None:
        if not callable(given):
            raise TypeError(f"{type(given).__name__} cannot be called as an agent")
        if plugin.name in taken or plugin.name in found:
            raise ValueError(f"there is an agent {plugin.name} already")
        thresholds = dict(getattr(given, "thresholds", {}))
        for key, value in thresholds.items():
            if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
                raise ValueError(f"threshold {plugin.name}.{key} is {value!r}: not a finite number")
        found[plugin.name] = PluginAgent(given, plugin.origin, thresholds)

    use("midas.agents", adopt)
    return found
