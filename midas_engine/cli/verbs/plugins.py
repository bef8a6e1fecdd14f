"""`midas plugins`: what installed packages add."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from midas_engine.cli.context import Shared, Verb, pass_shared
from midas_engine.cli.output import clean, table

if TYPE_CHECKING:
    from midas_engine.plugins import Plugin


@click.command(cls=Verb, example=["midas plugins", "midas plugins --check"])
@click.option("--check", is_flag=True, help="Import each one and say whether it can be used; exit 1 when one cannot.")
@pass_shared
def plugins(shared: Shared, check: bool) -> int:
    """List the plug-ins of the installed packages: kind, name, package, version.

    Listing imports nothing of theirs. How to write one: "Extending Midas" in the documentation.
    """
    from midas_engine.plugins import GROUPS, listed

    found = listed()
    states = _states(found) if check else {}
    rows = [asdict(plugin) | ({"problem": states[plugin] or None} if check else {}) for plugin in found]
    document = {"plugins": rows, "groups": GROUPS}

    def text() -> str:
        if not found:
            groups = table([[name, what] for name, what in GROUPS.items()])
            return f"No plug-in is installed. A package may add, by entry-point group:\n{groups}"
        head = ["kind", "name", "package", "version", *(["state"] if check else [])]
        lines = [
            [p.group.partition(".")[2], p.name, p.package, p.version, *([clean(states[p]) or "works"] if check else [])]
            for p in found
        ]
        return table(lines, head)

    shared.show(document, text)
    return 1 if any(states.values()) else 0


def _states(found: tuple[Plugin, ...]) -> dict[Plugin, str]:
    """Why each one cannot be used; empty for those that can. What a kind needs is asked where that kind lives."""
    import warnings

    from midas_engine.dsl.registry import OPERATORS
    from midas_engine.evaluator.gates.agents import AGENTS
    from midas_engine.market.importers.plugin_layouts import all_layouts
    from midas_engine.monitor.alerts.rules import all_rules
    from midas_engine.plugins import PluginWarning, give_up, problem_of

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PluginWarning)  # told in the table
        for known in (OPERATORS, AGENTS, all_rules(), all_layouts()):
            len(known)
        for plugin in found:
            try:
                loaded = plugin.load()
                if plugin.group == "midas.verbs" and not isinstance(loaded, click.Command):
                    raise TypeError(f"{plugin.target} is no click command")
                if plugin.group in ("midas.researchers", "midas.screens") and not callable(loaded):
                    raise TypeError(f"{plugin.target} cannot be called")
            except Exception as error:
                give_up(plugin, error)
    return {plugin: problem_of(plugin) for plugin in found}
