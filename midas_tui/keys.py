"""Keys as they are shown, and which of them can act now: footer, help and palette read the live bindings here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from textual import actions
from textual.keys import format_key

if TYPE_CHECKING:
    from collections.abc import Iterator

    from textual.binding import Binding
    from textual.dom import DOMNode
    from textual.screen import Screen

# Words where a symbol would be a riddle, or is missing from common fonts.
WORDS = {
    "enter": "enter",
    "escape": "esc",
    "backspace": "backsp",
    "space": "space",
    "tab": "tab",
    "shift+tab": "shift+tab",
    "full_stop": ".",
    "left_square_bracket": "[",
    "right_square_bracket": "]",
    "pageup": "pgup",
    "pagedown": "pgdn",
}


# Actions of Textual's own, as they are called here.
OURS = {
    "app.focus_next": "next pane",
    "app.focus_previous": "previous pane",
    "screen.copy_text": "copy the text marked by the mouse",
}


@dataclass(frozen=True, slots=True)
class LiveKey:
    """One binding that is live on a screen.

    Attributes:
        keys: As shown, several joined by spaces.
        refusal: Why it cannot act now; empty when it can.
    """

    keys: str
    what: str
    scope: str
    id: str
    action: str
    node: DOMNode
    show: bool
    refusal: str


def key_text(binding: Binding) -> str:
    """How a key is written on the screen."""
    if binding.key_display:
        return binding.key_display
    if binding.key in WORDS:
        return WORDS[binding.key]
    if binding.key.startswith("ctrl+"):
        return "^" + format_key(binding.key.removeprefix("ctrl+"))
    return format_key(binding.key)


def live_keys(screen: Screen[Any]) -> Iterator[LiveKey]:
    """Every described binding of the screen and its focused pane, the pane's first, each action once."""
    found: dict[tuple[str, str], list[Any]] = {}
    for active in screen.active_bindings.values():
        binding = active.binding
        if binding.description:
            entry = found.setdefault((binding.action, binding.description), [active, []])
            text = key_text(binding)
            if text not in entry[1]:
                entry[1].append(text)
    for (action, what), (active, keys) in found.items():
        binding, node = active.binding, active.node
        yield LiveKey(
            " ".join(keys),
            OURS.get(action, what),
            "everywhere" if action in OURS else _scope(node),
            binding.id or "",
            action,
            node,
            binding.show,
            _refusal(screen, action) if active.enabled else "not possible here",
        )


def _scope(node: DOMNode) -> str:
    if node.id:
        return node.id
    name = type(node).__name__.removesuffix("Screen").removesuffix("Modal").lower()
    return "everywhere" if name == "midasapp" else name


@runtime_checkable
class Refuses(Protocol):
    """A screen that says why an action of its own is not possible now."""

    def why_not(self, action: str, parameters: tuple[object, ...]) -> str:
        """The reason; empty when it is possible."""
        ...


def _refusal(screen: Screen[Any], action: str) -> str:
    if not isinstance(screen, Refuses):
        return ""
    _, name, parameters = actions.parse(action)
    return screen.why_not(name, parameters)


def footer_hints(screen: Screen[Any]) -> list[tuple[str, str]]:
    """(key, what it does) of what can act now, for the footer."""
    hints = [(k.keys.split(" ")[0], k.what) for k in live_keys(screen) if k.show and not k.refusal]
    return [*hints, ("1-6", "mode")]
