"""What a client may ask of a service: one table of names, what each takes, and whether it changes anything."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from midas_engine.errors import MidasError, ReadOnlyError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from midas_engine.service.desk import Desk

MOST_TEXT = 10_000


@dataclass(frozen=True, slots=True)
class Call:
    """One thing to ask.

    Attributes:
        do: Carries it out.
        takes: Types of its arguments, in order; all must be given.
        changes: A read-only client may not.
    """

    do: Callable[..., Awaitable[Any]]
    takes: tuple[type, ...] = ()
    changes: bool = False


async def _sync(value: Any) -> Any:
    return value


async def _timeline(desk: Desk, name: str, moves: bool) -> Any:
    summary = await desk.runtime.pipeline.summary() if moves else None
    return desk.runtime.queries.timeline(name, summary)


def _instant(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise MidasError(f"{text[:40]!r} is no instant", hint="ISO 8601 with its zone, such as 2026-01-15T18:00+00:00")
    return found


async def _brief(desk: Desk, since: str) -> Any:
    return await desk.runtime.since_left.brief(_instant(since) if since else None)


async def _moment(desk: Desk, at: str, moves: bool) -> Any:
    when = _instant(at)
    summary = await desk.runtime.pipeline.summary() if moves else None
    return desk.runtime.queries.moment(when, summary)


CALLS: dict[str, Call] = {
    "pipeline.summary": Call(lambda d: d.runtime.pipeline.summary()),
    "pipeline.preview": Call(lambda d, action, name: d.runtime.pipeline.preview(action, name), (str, str)),
    "pipeline.act": Call(
        lambda d, action, name, reason: d.runtime.pipeline.act(action, name, reason), (str, str, str), True
    ),
    "pipeline.live": Call(lambda d: d.runtime.pipeline.live()),
    "pipeline.kill_all": Call(lambda d, reason: d.runtime.pipeline.kill_all(reason), (str,), True),
    "pipeline.pause_all": Call(lambda d, reason: d.runtime.pipeline.pause_all(reason), (str,), True),
    "pipeline.undo": Call(lambda d: d.runtime.pipeline.undo(), (), True),
    "pipeline.redo": Call(lambda d: d.runtime.pipeline.redo(), (), True),
    "queries.chart": Call(lambda d, name: _sync(d.runtime.queries.chart(name)), (str,)),
    "queries.timeline": Call(_timeline, (str, bool)),
    "queries.money": Call(lambda d, name: _sync(d.runtime.queries.money(name)), (str,)),
    "queries.moment": Call(_moment, (str, bool)),
    "queries.forward": Call(lambda d, name: _sync(d.runtime.queries.forward(name)), (str,)),
    "queries.acknowledge": Call(lambda d, alert: d.runtime.queries.acknowledge(alert), (str,), True),
    "queries.snooze": Call(lambda d, alert, hours: d.runtime.queries.snooze(alert, hours), (str, float), True),
    "queries.reopen": Call(lambda d, alert: d.runtime.queries.reopen(alert), (str,), True),
    "diagnosing.ask": Call(lambda d, name: d.runtime.diagnosing.ask(name), (str,), True),
    "sessions.list": Call(lambda d: _sync(d.runtime.sessions.list())),
    "sessions.start": Call(lambda d, goal, provider: d.runtime.sessions.start(goal, provider), (str, str), True),
    "sessions.cancel": Call(lambda d: d.runtime.sessions.cancel(), (), True),
    "sessions.stop": Call(lambda d, session: d.runtime.sessions.cancel(session), (str,), True),
    "sessions.form": Call(lambda d, session: d.runtime.sessions.form(session), (str,)),
    # It may load a file that the answers name, so it is nothing for one who may only look.
    "sessions.check": Call(lambda d, answers, reach: d.runtime.sessions.check(answers, reach), (dict, bool), True),
    "sessions.begin": Call(lambda d, answers: d.runtime.sessions.begin(answers), (dict,), True),
    "sessions.resume": Call(lambda d, session: d.runtime.sessions.resume(session), (str,), True),
    "sessions.replay": Call(lambda d, session: d.runtime.sessions.replay(session), (str,), True),
    "sessions.earlier": Call(lambda d: d.runtime.sessions.earlier()),
    "sessions.recall": Call(lambda d, session: d.runtime.sessions.recall(session), (str,)),
    "documents.list": Call(lambda d: d.runtime.documents.list()),
    "documents.read": Call(lambda d, path: d.runtime.documents.read(path), (str,)),
    "documents.related": Call(lambda d, path: d.runtime.documents.related(path), (str,)),
    "documents.links": Call(lambda d, subject: d.runtime.documents.links(subject), (str,)),
    "documents.search": Call(lambda d, text: d.runtime.documents.search(text), (str,)),
    "documents.memory": Call(lambda d: d.runtime.documents.memory()),
    "documents.revoke": Call(lambda d, path, reason: d.runtime.documents.revoke(path, reason), (str, str), True),
    "book.figures": Call(lambda d, again: d.runtime.book.figures(again=again), (bool,)),
    "since_left.brief": Call(_brief, (str,)),
    "since_left.note": Call(lambda d: d.runtime.since_left.note(), (), True),
    "service.look": Call(lambda d: d.vitals.look()),
    "service.alerts": Call(lambda d: _sync(tuple(d.runtime.queries.alerts()))),
    # The command line's own, with the checks of `commands.py` that its doors make.
    "commands.preview": Call(lambda d, action, name: d.commands.preview(action, name), (str, str)),
    "commands.act": Call(
        lambda d, action, name, reason, force: d.commands.act(action, name, reason, force),
        (str, str, str, bool),
        True,
    ),
    "commands.check_kill": Call(lambda d, name, reason: d.commands.check_kill(name, reason), (str, str)),
    "commands.kill": Call(lambda d, name, reason: d.commands.kill(name, reason), (str, str), True),
    "commands.book_words": Call(lambda d: d.commands.book_words()),
    "commands.live": Call(lambda d: d.commands.live()),
    "commands.kill_all": Call(lambda d, reason: d.commands.kill_all(reason), (str,), True),
    "commands.pause_all": Call(lambda d, reason: d.commands.pause_all(reason), (str,), True),
    "commands.undo": Call(lambda d, name: d.commands.turn("undo", name), (str,), True),
    "commands.redo": Call(lambda d, name: d.commands.turn("redo", name), (str,), True),
}


async def answer(desk: Desk, name: object, arguments: object, *, read_only: bool) -> Any:
    """Carry a call out.

    Raises:
        MidasError: There is no such call, its arguments do not fit, or what was called refuses.
    """
    call = CALLS.get(name) if isinstance(name, str) else None
    if call is None:
        raise MidasError(f"there is no call {str(name)[:60]!r}", hint="restart the older of the two")
    if call.changes and read_only:
        raise ReadOnlyError("attached read-only", hint="attach without --read-only")
    return await call.do(desk, *_checked(str(name), call.takes, arguments))


def _checked(name: str, takes: Sequence[type], arguments: object) -> list[Any]:
    if not isinstance(arguments, list) or len(arguments) != len(takes):
        raise MidasError(f"{name} takes {len(takes)} arguments")
    found: list[Any] = []
    for kind, value in zip(takes, arguments, strict=True):
        if kind is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if type(value) is not kind or (isinstance(value, str) and len(value) > MOST_TEXT):
            raise MidasError(f"{name}: an argument is no {kind.__name__}, or too long")
        found.append(value)
    return found
