"""The objects behind the screens, put together; screens reach all of them here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from midas_tui.event_pump import Bridge
from midas_tui.input_gate import InputGate
from midas_tui.shell.alert_answers import AlertAnswers
from midas_tui.shell.engine_link import EngineLink
from midas_tui.shell.everything import Everything
from midas_tui.shell.guide import Guide
from midas_tui.shell.history import History
from midas_tui.shell.input_door import InputDoor
from midas_tui.shell.messages import Messages
from midas_tui.shell.navigator import Navigator
from midas_tui.shell.overlays import Overlays
from midas_tui.shell.painter import Painter
from midas_tui.shell.past import PastView
from midas_tui.shell.pipeline_actions import PipelineActions
from midas_tui.shell.pipeline_question import PipelineQuestions
from midas_tui.shell.replay_transport import ReplayTransport
from midas_tui.shell.session_actions import SessionActions
from midas_tui.shell.since_left import SinceLeft
from midas_tui.shell.title import Title
from midas_tui.shell.undo import Undo
from midas_tui.store import Store
from midas_tui.timers import always_ring, keep_palette_whole
from midas_tui.toasts import let_toasts_go

if TYPE_CHECKING:
    from textual.app import App

    from midas_engine.clock import Clock
    from midas_tui.kept import Kept
    from midas_tui.theme import Glyphs


@dataclass(frozen=True, slots=True)
class Shell:
    """What a screen may use.

    Attributes:
        store: The newest state.
        kept: What is remembered from one start to the next.
        glyphs: Signs that this terminal can show.
        gate: Which keys and clicks may act.
        messages: Says things over the screen.
        link: The engine, and calls to it.
        navigator: Modes, panes, opening and copying.
        bridge: Events in, redraws out; whether the display is frozen.
        overlays: Help, log, texts, leaving.
        replay: Moves a recording.
        alerts: Answers alerts.
        pipeline: Pipeline actions.
        undo: Undo and redo.
        sessions: Discovery sessions.
        door: Lets keys and clicks in.
        title: The window's.
        past: Looks at a past moment.
        guide: Leads through the played case.
        everything: Kills or pauses everything live.
        since_left: What happened while nobody looked.
    """

    store: Store
    kept: Kept
    glyphs: Glyphs
    gate: InputGate
    messages: Messages
    link: EngineLink
    navigator: Navigator
    bridge: Bridge
    overlays: Overlays
    replay: ReplayTransport
    alerts: AlertAnswers
    pipeline: PipelineActions
    undo: Undo
    sessions: SessionActions
    door: InputDoor
    title: Title
    past: PastView
    guide: Guide
    everything: Everything
    since_left: SinceLeft


class HasShell(Protocol):
    """The application, as screens know it."""

    shell: Shell


def make_shell(app: App[Any], glyphs: Glyphs, clock: Clock, refresh_hz: float, kept: Kept) -> Shell:
    """Put the objects behind one application together.

    Args:
        app: The application.
        glyphs: Signs that its terminal can show.
        clock: Measures how long a dialog has been shown.
        refresh_hz: Redraws a second, at most.
        kept: What is remembered.
    """
    always_ring()
    keep_palette_whole()
    let_toasts_go()
    store, gate, history = Store(), InputGate(clock), History()
    messages = Messages(app, clock)
    link = EngineLink(app, store, messages)
    navigator = Navigator(app, store, link, messages)
    since_left = SinceLeft(app, gate, link, messages)
    painter = Painter(app, store, link, messages, navigator, glyphs, phase_changed=since_left.look)
    bridge = Bridge(store, painter.flush, refresh_hz)
    alerts = AlertAnswers(app, store, link, messages, history)
    questions = PipelineQuestions(store, glyphs)
    return Shell(
        store=store,
        kept=kept,
        glyphs=glyphs,
        gate=gate,
        messages=messages,
        link=link,
        navigator=navigator,
        bridge=bridge,
        overlays=Overlays(app, store, link, messages, navigator),
        replay=ReplayTransport(app, link, messages, bridge, navigator),
        alerts=alerts,
        pipeline=PipelineActions(app, gate, link, messages, navigator, questions, history),
        undo=Undo(link, navigator, alerts, history),
        sessions=SessionActions(app, gate, store, link, messages),
        door=InputDoor(app, gate, messages),
        title=Title(app),
        past=PastView(store, link, navigator),
        guide=Guide(app, navigator),
        everything=Everything(app, gate, link, messages, navigator, history),
        since_left=since_left,
    )
