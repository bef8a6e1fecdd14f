"""Which actions can be given other keys, and the refusal of an id that no action has."""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING, Any

from textual.binding import Binding
from textual.dom import DOMNode

from midas_engine.errors import SettingsError
from midas_engine.text import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def known_ids() -> frozenset[str]:
    """The id of every binding of the terminal, its dialogs included. Imports all of it."""
    import midas_tui

    for module in pkgutil.walk_packages(midas_tui.__path__, "midas_tui."):
        if not module.name.startswith(("midas_tui.web", "midas_tui.__main__")):
            importlib.import_module(module.name)
    return frozenset(
        binding.id
        for widget in _subclasses(DOMNode)
        if widget.__module__.startswith("midas_tui.")
        for binding in widget.__dict__.get("BINDINGS", ())
        if isinstance(binding, Binding) and binding.id
    )


def _subclasses(kind: type[Any]) -> Iterator[type[Any]]:
    for below in kind.__subclasses__():
        yield below
        yield from _subclasses(below)


def check_keys(keys: Mapping[str, str]) -> None:
    """Refuse what remaps nothing: an unknown id, no key, one key for two actions of a kind.

    Raises:
        SettingsError: Says which, with the nearest id.
    """
    if not keys:
        return
    known = known_ids()
    taken: dict[tuple[str, str], str] = {}
    for action, given in keys.items():
        if action not in known:
            raise SettingsError(
                f"terminal.keys: there is no action {action!r}",
                hint=did_you_mean(action, sorted(known), otherwise="? in the terminal lists every id"),
            )
        pressed = [key.strip() for key in given.split(",")]
        if not all(pressed):
            raise SettingsError(f"terminal.keys: {action} = {given!r} names no key", hint='such as "ctrl+u" or "o"')
        for key in pressed:
            other = taken.setdefault((action.partition(".")[0], key), action)
            if other != action:
                raise SettingsError(
                    f"terminal.keys: {key!r} is given to {other} and to {action}", hint="each needs a key of its own"
                )
