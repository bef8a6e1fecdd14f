"""`midas kb`: the knowledge base's own health."""

from __future__ import annotations

import click

from midas_engine.cli.context import LazyGroup, Shared, Verb, pass_shared
from midas_engine.cli.open_base import open_base
from midas_engine.cli.output import clean, paint, table

_COLOURS = {"error": "red", "warning": "yellow"}


@click.group(cls=LazyGroup)
def kb() -> None:
    """The knowledge base itself."""


@kb.command("check", cls=Verb, example="midas kb check --kb ./midas-kb")
@pass_shared
def check(shared: Shared) -> None:
    """Read every document and the journal, and name what is damaged.

    The exit code is 1 when something cannot be used.
    """
    settings = shared.settings()
    problems = open_base(settings, read_only=True).check()
    ok = all(p.severity != "error" for p in problems)

    def text() -> str:
        lines = [
            f"{paint(p.severity, _COLOURS.get(p.severity, 'white'))}  {clean(p.path)}: {clean(p.message)}\n"
            f"  {clean(p.advice)}"
            for p in problems
        ]
        return "\n".join(lines or [f"{clean(settings.kb)}: every document reads well."])

    shared.show({"kb": settings.kb, "ok": ok, "problems": problems}, text)
    if not ok:
        raise click.exceptions.Exit(1)


@kb.command("kills", cls=Verb, example=("midas kb kills --kb ./midas-kb", "midas kb kills --rebuild"))
@click.option("--rebuild", is_flag=True, help="Make kills.log anew from what can be read, and believe it.")
@pass_shared
def kills(shared: Shared, rebuild: bool) -> None:
    """Show the kills that hold, who gave them, and whether on_kill was called.

    With --rebuild the kill file is made anew from its own sound lines and the feature files, and the journal's damaged
    copy is left behind: for when a monitor refuses to start because too little is left to know who is killed.
    """
    base = open_base(shared.settings(), read_only=not rebuild)
    if rebuild:
        from midas_engine.journal import Journal
        from midas_engine.monitor.kill.records import KillRecords

        base.check_writable()
        with Journal(base.journal_path, clock=base.clock) as journal:
            KillRecords(journal, base.kill_file, base.features).rebuild()
    state = base.kill_file.read()
    found = sorted(state.kills.values(), key=lambda kill: kill.at)

    def text() -> str:
        rows = [[k.feature, k.at[:16], k.actor, k.via, "told" if k.told else "pending", clean(k.reason)] for k in found]
        body = (
            table(rows, ("feature", "at (UTC)", "by", "in", "on_kill", "reason")) if rows else "No feature is killed."
        )
        return f"{paint('damaged', 'red')}  {clean(state.damage)}\n{body}" if state.damage else body

    shared.show({"kills": found, "damage": state.damage}, text)
    if state.damage:
        raise click.exceptions.Exit(1)
