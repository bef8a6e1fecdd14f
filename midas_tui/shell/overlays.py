"""What lies over the page: keys, log, a text to read, the question before leaving, the palette's commands."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from textual.app import SystemCommand
from textual.content import Content

from midas_tui.keys import live_keys
from midas_tui.legend import WORDS
from midas_tui.modals.ask import Answer, AskModal, Question
from midas_tui.modals.choose import TextModal
from midas_tui.modals.help import HelpModal
from midas_tui.page import LIVE_HINT, Page
from midas_tui.sanitise import clean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from textual.app import App
    from textual.screen import Screen

    from midas_tui.shell.engine_link import EngineLink
    from midas_tui.shell.messages import Messages
    from midas_tui.shell.navigator import Navigator
    from midas_tui.store import Store

# Built-in palette entries that make no sense here: the footer and `?` show the keys, `q` asks before it quits.
_NOT_OURS = ("Keys", "Quit", "Screenshot", "Maximize", "Minimize")
# Features named in the drawer; the rest is a number.
MOST_NAMED = 20

Parts = list[tuple[str, str] | str]


def _unmarked(text: str) -> str:
    """The palette reads its titles as markup: square brackets would be tags."""
    return text.replace("[", r"\[")


class Overlays:
    """Opens overlays.

    Args:
        app: Where they are pushed.
        store: Faults and what is wrong now.
        link: The engine's own figures.
        messages: Where is said what has no card.
        navigator: Leads to what the palette names.
    """

    def __init__(self, app: App[Any], store: Store, link: EngineLink, messages: Messages, navigator: Navigator) -> None:
        self._app = app
        self._navigator = navigator
        self._messages = messages
        self._store = store
        self._link = link

    def help(self) -> None:
        """What the words mean, and the keys, from the live bindings."""
        screen = self._app.screen
        if not isinstance(screen, HelpModal):
            keys = sorted(live_keys(screen), key=lambda k: (k.scope == "everywhere", k.scope))
            told, first = screen.explained() if isinstance(screen, Page) else ([], "")
            self._app.push_screen(HelpModal(keys, [*told, *WORDS], first))

    def describe(self) -> None:
        """The card of the feature under the cursor."""
        from midas_tui.screens.card import card_content
        from midas_tui.screens.live_detail import facts

        screen, runtime = self._app.screen, self._link.runtime
        kind, _, name = screen.subject().partition(":") if isinstance(screen, Page) else ("", "", "")
        record, live = self._store.record(name), self._store.metrics.get(name)
        if kind != "feature" or runtime is None:
            self._messages.refuse("no feature is here")
            return
        width = min(66, self._app.size.width - 8)
        forward = runtime.queries.forward(name)
        if record is not None:
            self.show_text(name, card_content(record, live, forward, width=width, whole=True))
        elif live is not None:  # watched in a recording only: the pipeline has no card of it
            alerts = [a for a in self._store.open_alerts if a.feature == name]
            kill = runtime.queries.kill_proposals().get(name, "")
            self.show_text(name, facts(live, None, alerts, forward, kill, width=width))
        else:
            self._messages.refuse(f"{name} is neither in the pipeline nor watched any more: nothing is known of it")

    def log(self) -> None:
        """Faults and queues."""
        if isinstance(self._app.screen, TextModal):
            return
        store, runtime = self._store, self._link.runtime
        parts: Parts = [*self._wrong_now(), "\n"]
        store.unread = 0
        store.mark("faults")
        status = runtime.status() if runtime is not None else {}
        for key, value in status.items():
            parts += [(f"{key:<20}", "$muted"), f"{clean(value, newlines=False)}\n"]
        parts.append("\n")
        for fault in reversed(store.faults):
            where, message = clean(fault.where, newlines=False), clean(fault.message, newlines=False)
            parts += [(f"{fault.at:%m-%d %H:%M} {where}: ", "$warn"), f"{message}  "]
            parts.append((f"{clean(fault.hint, newlines=False)}\n", "$muted"))
        if not store.faults:
            parts.append(("no fault was reported\n", "$muted"))
        self.show_text("log", Content.assemble(*parts))

    def _wrong_now(self) -> Parts:
        """What is wrong at this moment, before what went wrong once."""
        store, runtime = self._store, self._link.runtime
        parts: Parts = []
        for trouble in store.troubles:
            parts += [(f"{clean(trouble.badge)}: ", "$crit"), clean(trouble.what, newlines=False)]
            parts.append((f"  {clean(trouble.hint, newlines=False)}\n", "$muted"))
        phase, detail, _ = store.phase
        if phase in ("degraded", "failed"):
            parts.append((f"{phase}: {clean(detail, newlines=False)}\n", "$crit"))
        unwatched = store.report.unwatched if store.report is not None else ()
        for one in unwatched[:MOST_NAMED]:
            parts.append((f"{clean(one.name)} is not watched: {clean(one.why, newlines=False)}\n", "$warn"))
        if len(unwatched) > MOST_NAMED:
            parts.append((f"{len(unwatched) - MOST_NAMED} more are not watched\n", "$warn"))
        if runtime is not None and runtime.mode == "OFFLINE":
            parts.append((f"recorded data: nothing moves; {LIVE_HINT}\n", "$muted"))
        return [("wrong now\n", "$accent"), *(parts or [("nothing\n", "$muted")])]

    def show_text(self, title: str, content: Content) -> None:
        """Read something in a dialog."""
        self._app.push_screen(TextModal(title, content))

    def leave(self) -> None:
        """Quit; asks when a session runs or a monitor would stop."""
        if isinstance(self._app.screen, AskModal):
            return
        runtime = self._link.runtime
        reasons = []
        if runtime is not None and runtime.attached:
            self._app.exit(0)  # nothing stops: the service goes on
            return
        if self._store.running_session is not None:
            reasons.append("a discovery session runs: it will be cancelled and its learning written")
        if runtime is not None and runtime.mode == "LIVE":
            reasons.append("monitoring stops when the terminal closes")
        if not reasons:
            self._app.exit(0)
            return

        def answered(answer: Answer | None) -> None:
            if answer is not None and answer.confirmed:
                self._app.exit(0)

        question = Question("quit midas?", [(r, "") for r in reasons], confirm="Quit")
        self._app.push_screen(AskModal(question), answered)

    def commands(self, screen: Screen[Any], builtin: Iterable[SystemCommand]) -> Iterable[SystemCommand]:
        """Every binding that can act is a palette command too, with its key; of Textual's own, those that fit."""
        yield from (c for c in builtin if c.title not in _NOT_OURS)
        yield from self._nouns()
        for key in live_keys(screen):
            if key.id and not key.refusal:
                group, _, verb = key.id.partition(".")
                shown = _unmarked(key.keys.split(" ")[0])
                title = f"{group}: {verb.replace('_', ' ')}  {shown}"
                yield SystemCommand(title, key.what, self._runner(key.action, key.node))

    def _nouns(self) -> Iterable[SystemCommand]:
        """Features and sessions by name: what is typed is where one goes."""
        for name, (state, paused) in self._store.places().items():
            words = f"its card; {state}{', paused' if paused else ''}"
            yield SystemCommand(f"feature {_unmarked(name)}", words, partial(self._navigator.open_card, name))
        for view in self._store.sessions.values():
            goal = _unmarked(clean(view.goal or view.session_id, newlines=False)[:60])
            go = partial(self._navigator.open_session, view.session_id)
            yield SystemCommand(f"session {goal}", f"what it tried; {view.status}", go)

    def _runner(self, action: str, node: Any) -> Callable[[], None]:
        def run() -> None:
            self._app.call_later(self._app.run_action, action, node)

        return run
