"""What the keys do to the engine: ask, call, say what happened. One place for all modes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from textual.notifications import Notification

from midas_engine.errors import MidasError
from midas_tui.faults import describe, fault_of
from midas_tui.guarded_app import GuardedApp
from midas_tui.modals.ask import Answer, AskModal, Question
from midas_tui.modals.choose import ChooseModal, LineModal
from midas_tui.sanitise import clean
from midas_tui.workers import in_worker

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from midas_engine.clock import Clock
    from midas_tui.runtime_protocol import Preview, RuntimePort
    from midas_tui.store import Places, Store
    from midas_tui.theme import Glyphs

SNOOZES = (("0.25", "15 minutes"), ("1", "1 hour"), ("4", "4 hours"), ("24", "1 day"))
GOALS = (
    "short-term reversal after volume shocks",
    "funding carry on majors",
    "momentum that survives costs",
    "volatility and range signals",
)
RESEARCHERS = {
    "local": "local: grammar search, no key",
    "openai": "openai (OPENAI_API_KEY)",
    "anthropic": "anthropic (ANTHROPIC_API_KEY)",
}
# Undo reaches this many answers to alerts back; moves of features are the journal's to remember.
REMEMBERED = 100
# What the engine looks at on today's data before it asks.
LOOKED_AT = ("promote", "redeploy")
# Messages at once; a terminal below TALL lines has one line for them.
MESSAGES = 2
TALL = 32


@dataclass(frozen=True, slots=True)
class Done:
    """One thing `u` can take back in this terminal: an answer to an alert, or a move in the pipeline."""

    what: str
    alert_id: str = ""
    hours: float = 0.0


class Commands(GuardedApp):
    """Actions of the application that reach the engine."""

    runtime: RuntimePort | None
    store: Store
    glyphs: Glyphs

    def __init__(self, clock: Clock | None = None) -> None:
        super().__init__(clock)
        self._done: list[Done] = []
        self._undone: list[Done] = []
        self._asking = False
        self._said: dict[str, Notification] = {}

    # -- helpers ---------------------------------------------------------------------------------

    @property
    def asking(self) -> bool:
        """Whether a question is being prepared or answered."""
        return self._asking

    def give_up_asking(self) -> None:
        """Escape, while a question is being prepared: it is not asked."""
        for group in ("act", "session"):
            self.workers.cancel_group(self, group)
        self._asked()  # a worker that never began has no end of its own

    def _asked(self) -> None:
        """The question is answered, or was not asked: what was typed meanwhile is not for the page."""
        self._asking = False
        self.gate.settle()

    def say(self, text: str, *, bad: bool = False, key: str = "") -> None:
        """A toast; its text is data. It takes the place of an earlier one of the same `key` (its text, when empty)."""
        text = clean(text)
        note = Notification(text, severity="error" if bad else "information", timeout=8 if bad else 4)
        self._said.pop(key or text, None)
        room = MESSAGES if self.size.height >= TALL else 1
        standing = [(k, n) for k, n in self._said.items() if n in self._notifications]
        self._said = dict([*standing, (key or text, note)][-room:])
        self._notifications.clear()
        for shown in self._said.values():
            self._notifications.add(shown)
        self._refresh_notifications()

    async def attempt(self, call: Callable[[RuntimePort], Awaitable[str]]) -> bool:
        """Call the engine; say what happened or why it did not."""
        if self.runtime is None:
            self.say("still starting", bad=True)
            return False
        try:
            self.say(await call(self.runtime))
        except Exception as error:
            self.failed(error)
            return False
        finally:
            self.store.mark("pipeline", "alerts", "session", "documents")
        return True

    def failed(self, error: Exception) -> None:
        """Say what went wrong; what nobody expected goes to the log too, and never ends the terminal."""
        self.say(describe(error), bad=True, key="refused")
        if not isinstance(error, MidasError) and self.runtime is not None:
            self.store.apply(fault_of(error, "terminal", self.runtime.now()))

    def refusal(self) -> str:
        """Why the pipeline cannot be changed from here; empty when it can."""
        runtime = self.runtime
        if runtime is None:
            return "still starting"
        if runtime.mode == "REPLAY":
            return "refused: this is a replay; start midas-tui without --replay to change the pipeline"
        if runtime.read_only:
            way = "serve it with --allow-actions" if self.is_web else "start midas-tui without --read-only"
            return f"refused: opened read-only; {way}, on a base that can be written"
        if self.store.troubles and self.store.troubles[0].badge == "BASE GONE":
            return f"refused: {self.store.troubles[0].what}"
        return ""

    def refused(self) -> bool:
        """Say why actions are refused, if they are."""
        why = self.refusal()
        if why:
            self.say(why, bad=True, key="refused")
        return bool(why)

    def _did(self, done: Done) -> None:
        self._done = [*self._done[-REMEMBERED:], done]
        self._undone.clear()

    # -- pipeline --------------------------------------------------------------------------------

    def act(self, action: str, names: Sequence[str]) -> None:
        """Ask about a pipeline action on one feature or several, then carry it out. A second key press is nothing."""
        if not names or self._asking or isinstance(self.screen, AskModal) or self.refused():
            return
        self._asking = True
        in_worker(self, partial(self._ask_and_act, action, list(names)), "act", exclusive=True)

    async def _ask_and_act(self, action: str, names: list[str]) -> None:
        try:
            question = await self._question(action, names)
            answer = await self.push_screen_wait(AskModal(question)) if question is not None else Answer(False)
        finally:
            self._asked()
        if not answer.confirmed:
            return
        before = self.store.places()
        for name in names:
            if await self.attempt(lambda r, n=name: r.pipeline.act(action, n, answer.reason)) and action != "kill":  # type: ignore[misc]
                self._did(Done("pipeline"))
        await self.follow(before, names)

    async def follow(self, before: Places, names: Sequence[str] = ()) -> None:
        """Keep the eye on the features that were moved since `before`; given by the application."""

    async def _question(self, action: str, names: list[str]) -> Question | None:
        """What the dialog says; None when the action is not possible, which has been said then."""
        runtime = self.runtime
        if runtime is None:
            return None
        previews: list[Preview] = []
        for place, name in enumerate(names, 1):
            if action in LOOKED_AT:
                many = f" ({place} of {len(names)})" if len(names) > 1 else ""
                self.say(f"looking at {name} on today's data{many}, esc gives up ...", key="looking")
            try:
                previews.append(await runtime.pipeline.preview(action, name))
            except Exception as error:
                self.failed(error)
                return None
        body: list[tuple[str, str]] = []
        for name, preview in zip(names, previews, strict=True):
            if len(names) > 1:
                body.append((name, "accent"))
            body += [(f"not met: {gate}", "warn") for gate in preview.unmet]
            body += self._todays_words(preview)
            body += [(f"{verb:<7}{path}", "") for verb, path in preview.changes]
            body += self._live_words(name)
            body.append((f"same as: {preview.command}", "muted"))
        kill = action == "kill"
        if not all(p.undoable for p in previews):
            body.append(("final: cannot be undone; a running monitor calls on_kill at once, else the next one", "crit"))
            body.append(("to bring it back later: redeploy it, as a new promotion with a reason", "muted"))
        needs = any(p.needs_reason for p in previews)
        against = action in LOOKED_AT and any(p.unmet for p in previews)
        if against:
            body.insert(0, ("something is against it: without a reason of yours it is refused", "crit"))
        return Question(
            title=f"{action} {names[0]}" if len(names) == 1 else f"{action} {len(names)} features",
            body=body,
            confirm=f"{action.capitalize()} all the same" if against else action.capitalize(),
            reason_label="reason" if needs else "",
            reason_required=needs,
            typed_name=names[0] if kill else "",
            danger=kill or against,
        )

    def _todays_words(self, preview: Preview) -> list[tuple[str, str]]:
        """The research figures on today's data: value, error, gate; those that fail first."""
        words = [(preview.worth, "")] if preview.worth else []
        words += [(f"today, {preview.data}:", "muted")] if preview.figures else []
        for f in sorted(preview.figures, key=lambda f: f.passed):
            error = f" ±{f.error:.2g}" if math.isfinite(f.error) else ""
            value = f"{f.value:.3g}" if not math.isnan(f.value) else "unknown"
            sign = self.glyphs.ok if f.passed else self.glyphs.killed
            line = f"{sign} {f.gate:<16}{value + error:<18} {f.comparison} {f.threshold:.3g}"
            words.append((line, "" if f.passed else "crit"))
        return words

    def _live_words(self, name: str) -> list[tuple[str, str]]:
        m = self.store.metrics.get(name)
        record = self.store.record(name)
        words: list[tuple[str, str]] = []
        if m is not None:
            words.append(
                (f"live: {m.status}, ic 5d {m.ic_5d.value:+.3f} ±{m.ic_5d.se:.3f}, {m.pnl_1d_bps:+.1f} bps/d", "muted")
            )
        elif record is not None and record.metrics:
            figures = [f"{k} {v:.4g}" for k, v in record.metrics.items() if isinstance(v, float)][:4]
            words.append((f"saved: {', '.join(figures)}", "muted"))
        forward = (
            self.runtime.queries.forward(name) if self.runtime is not None and self.store.is_shadow(name) else None
        )
        if forward is not None:
            kind = "forward" if forward.forward else "in hindsight"
            words.append((f"shadow: {forward.score:+.4f}, t {forward.t:+.1f} over {forward.bars} bars {kind}", "muted"))
        return words

    async def action_undo(self) -> None:
        """Undo the last reversible action: an answer to an alert, or a move in the pipeline."""
        done = self._done[-1] if self._done else Done("pipeline")
        before = self.store.places()
        if done.what == "pipeline":
            if self.refused() or not await self.attempt(lambda r: r.pipeline.undo()):
                return
        elif not await self.attempt(lambda r: r.queries.reopen(done.alert_id)):
            self._done.pop()
            return
        if self._done:
            self._done.pop()
        self._undone.append(done)
        if done.what == "pipeline":
            await self.follow(before)

    async def action_redo(self) -> None:
        """Redo what was undone."""
        done = self._undone[-1] if self._undone else Done("pipeline")
        before = self.store.places()
        if done.what == "pipeline":
            if self.refused() or not await self.attempt(lambda r: r.pipeline.redo()):
                return
        elif not await self._answer(done):
            return
        if self._undone:
            self._undone.pop()
        self._done.append(done)
        if done.what == "pipeline":
            await self.follow(before)

    # -- alerts ----------------------------------------------------------------------------------

    async def _answer(self, done: Done) -> bool:
        if done.what == "snooze":
            return await self.attempt(lambda r: r.queries.snooze(done.alert_id, done.hours))
        return await self.attempt(lambda r: r.queries.acknowledge(done.alert_id))

    async def acknowledge(self, ids: Sequence[str]) -> None:
        """Acknowledge alerts; several at once are said once."""
        if not ids:
            self.say("no open alert here")
            return
        if self.runtime is None:
            self.say("still starting", bad=True)
            return
        said, count = "", 0
        for alert_id in ids:
            try:
                await self.runtime.queries.acknowledge(alert_id)
            except Exception as error:
                said = describe(error)
                continue
            count += 1
            self._did(Done("acknowledge", alert_id))
        self.store.mark("alerts")
        if count:
            self.say(f"acknowledged {self._called(ids[:count])}; u takes it back")
        if said:
            self.say(said, bad=True)

    def _called(self, ids: Sequence[str]) -> str:
        """One alert by its name, several by their number."""
        alert = self.store.alerts.get(ids[0])
        return f"{alert.alert_type} of {alert.feature}" if alert is not None and len(ids) == 1 else f"{len(ids)} alerts"

    def snooze(self, ids: Sequence[str]) -> None:
        """Ask how long, then snooze."""
        if not ids:
            self.say("no open alert here")
            return
        if isinstance(self.screen, ChooseModal):
            return

        async def carry(hours: float) -> None:
            for alert_id in ids:
                done = Done("snooze", alert_id, hours)
                if await self._answer(done):
                    self._did(done)

        def chosen(hours: str | None) -> None:
            if hours:
                in_worker(self, partial(carry, float(hours)), "answer", exclusive=False)

        self.push_screen(ChooseModal(f"snooze {self._called(ids)} for", SNOOZES), chosen)

    async def diagnose(self, feature: str | None) -> None:
        """Ask for a diagnosis."""
        if feature is None:
            self.say("choose a feature first")
            return
        await self.attempt(lambda r: r.diagnosing.ask(feature))

    # -- discovery -------------------------------------------------------------------------------

    def ask_session(self) -> None:
        """Ask for a goal and a researcher, then start a session."""
        if self.runtime is None:
            self.say("still starting", bad=True)
            return
        if self._asking or isinstance(self.screen, LineModal | ChooseModal):
            return
        if self.runtime.read_only:
            self.say("refused: opened read-only; a session writes candidates and learnings", bad=True)
            return
        if self.store.running_session is not None:
            self.say("a session runs already: c cancels it", bad=True)
            return
        self._asking = True
        in_worker(self, partial(self._ask_session, self.runtime), "session", exclusive=True)

    async def _ask_session(self, runtime: RuntimePort) -> None:
        try:
            note = "enter alone takes the example; others: " + "; ".join(GOALS[1:])
            goal = await self.push_screen_wait(LineModal("research goal", GOALS[0], note=note))
            if goal is None:
                return
            providers = list(runtime.sessions.providers())
            provider = providers[0] if providers else ""
            if len(providers) > 1:
                choices = [(p, RESEARCHERS.get(p, p)) for p in providers]
                provider = await self.push_screen_wait(ChooseModal("researcher", choices))
        finally:
            self._asked()
        if provider:
            await self.attempt(lambda r: r.sessions.start(goal or GOALS[0], provider))

    def ask_cancel(self) -> None:
        """Ask, then cancel the running session."""
        running = self.store.running_session
        if running is None:
            self.say("no session runs: r starts one")
            return
        if isinstance(self.screen, AskModal):
            return

        def answered(answer: Answer | None) -> None:
            if answer is not None and answer.confirmed:
                in_worker(self, partial(self.attempt, lambda r: r.sessions.cancel()), "cancel", exclusive=False)

        body = [(running.goal, ""), ("what was tried is kept, and a learning is written", "muted")]
        self.push_screen(AskModal(Question("cancel this session?", body, confirm="Cancel it")), answered)
