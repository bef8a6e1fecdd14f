"""`midas replay SESSION`: a session again from its record, compared with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from midas_engine.cli.context import Shared, Verb, pass_shared
from midas_engine.cli.session_lines import Narrator

if TYPE_CHECKING:
    from midas_engine.loops.inputs import SessionInputs
    from midas_engine.loops.replay import Repetition
    from midas_engine.loops.session_record import SessionRecord
    from midas_engine.settings import Settings


@click.command(cls=Verb, example="midas replay 20260101-120000-ab12")
@click.argument("session")
@click.option("--quiet", is_flag=True, help="Only how it compares.")
@pass_shared
def replay(shared: Shared, session: str, quiet: bool) -> None:
    """Repeat SESSION from its record, without a key, a network, or a trace in the base, and compare.

    Everything it said is hashed, without times and places; the hash is the recorded one, or the first difference is
    named. The data must be those it was of; `--data` says where they are now.
    """
    import asyncio

    narrator = Narrator(quiet=shared.as_json or quiet)
    found = asyncio.run(_replay(shared, session, narrator))
    if found.difference:
        from midas_engine.errors import SessionError

        raise SessionError(
            f"the replay of session {session} is not its record: {found.difference}",
            hint="the program, its operators or its thresholds may have changed since",
        )
    document: dict[str, Any] = {
        "session": found.session_id, "result": found.result, "equal": True, "digest": found.digest,
        "events": found.steps, "calls": found.calls,
    }  # fmt: skip
    shared.show(document, lambda: _line(found))


def kept_session(settings: Settings, session: str) -> tuple[SessionRecord, SessionInputs]:
    """The record of a session in the settings' base, which is only read.

    Raises:
        SessionError: It left none.
    """
    from contextlib import closing

    from midas_engine.journal import Journal
    from midas_engine.loops.replay import read_record

    with closing(Journal(settings.kb_path / "journal.sqlite", read_only=True)) as journal:
        return read_record(journal, session)


def _line(found: Repetition) -> str:
    calls = f", {found.calls} model calls from the record" if found.calls else ""
    if not found.steps:
        return f"\nReplayed {found.session_id} ({found.result}){calls}: every call asked what it had asked"
    return f"\nReplayed {found.session_id} ({found.result}): {found.steps} events{calls}; equal: {found.digest}"


async def _replay(shared: Shared, session: str, narrator: Narrator) -> Repetition:
    import asyncio

    from midas_engine.clock import WallClock
    from midas_engine.loops import PanelAssessor
    from midas_engine.loops import replay as replays
    from midas_engine.market import load_panel

    settings = shared.settings()
    record, given = await asyncio.to_thread(kept_session, settings, session)
    own = given.restored(settings)
    panel = await asyncio.to_thread(load_panel, shared.data or own.data)
    assessor = await asyncio.to_thread(PanelAssessor, panel, own)
    return await replays.replay(record, given, own, assessor, WallClock(), narrator.tell)
