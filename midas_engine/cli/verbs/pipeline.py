"""The actions that move a feature. Every one is one change on disk, journalled, and undoable except kill."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from midas_engine.cli.context import Shared, Verb, pass_shared
from midas_engine.cli.everything import kill_all, pause_all
from midas_engine.cli.open_base import open_commands
from midas_engine.cli.output import ask, clean, table
from midas_engine.cli.verbs.status import marks
from midas_engine.errors import MidasError, NameRefusedError

if TYPE_CHECKING:
    from midas_engine.commands import Done
    from midas_engine.events import FeatureMoved
    from midas_engine.models import FeatureRecord
    from midas_engine.promoter import Preview
    from midas_engine.promoter.preview import TodaysFigure

_name = click.argument("name")
_reason = click.option("--reason", default="", metavar="TEXT", help="Why; kept in the feature's history.")
_dry_run = click.option("--dry-run", is_flag=True, help="Show what would change on disk, and change nothing.")
_force = click.option("--force", is_flag=True, help="Go on whatever is against it; needs --reason.")


STOPS = ("kill", "pause")
"""What stops something waits for no consent to the rest of a settings file."""
LEAVES = ("demote", "pause", "redeploy", "rollback")
"""Actions after which members of the book have other partners than before."""


def _move(shared: Shared, action: str, name: str, dry_run: bool, reason: str, *, force: bool = False) -> None:
    """Carry an action out, or show what it would do. What goes live is looked at on today's data first."""
    settings = shared.base_settings() if action in STOPS else shared.settings()
    with open_commands(settings) as commands:
        preview = commands.preview(action, name)
        for figure in preview.figures:
            shared.note(_gate_line(figure))
        if preview.worth:
            shared.note(f"  {clean(preview.worth)}")
        for line in preview.effects:
            shared.note(f"  {clean(line)}")
        if dry_run:
            shared.show({"dry_run": True, **_flat(preview)}, lambda: _previewed(preview))
            if not preview.possible:
                raise click.exceptions.Exit(1)
            return
        done = commands.act(action, name, reason, force=force)
        partners = commands.book_words() if action in LEAVES else ()
    shared.show({"action": action, "feature": done.record}, lambda: _moved(done.record))
    if done.words:
        shared.note(f"{clean(name)}: {done.words}")
    for line in partners:
        shared.note(f"  {clean(line)}")


def _gate_line(figure: TodaysFigure) -> str:
    from midas_engine.preflight import in_words

    return f"  {'ok  ' if figure.passed else 'FAIL'} {figure.agent}: {in_words(figure)}"


def _moved(record: FeatureRecord) -> str:
    noted = marks(record)
    reason = f" - {clean(record.reason)}" if record.reason else ""
    return f"{clean(record.name)}: {record.state.value}{f' ({noted})' if noted else ''}{reason}"


def _flat(preview: Preview) -> dict[str, Any]:
    from midas_engine.jsonable import plain

    return {**plain(preview), "possible": preview.possible}


def _previewed(preview: Preview) -> str:
    if not preview.possible:
        return f"{preview.action} {clean(preview.name)} is not possible: {clean(preview.refusal)}"
    lines = [f"{preview.action} {clean(preview.name)}: {preview.before} -> {preview.after}"]
    lines.extend(f"  against it: {clean(gate)}" for gate in preview.unmet)
    if preview.data:
        lines.append(f"  looked at on {clean(preview.data)}")
    lines.append(table(preview.changes))
    lines.append("  can be undone" if preview.undoable else "  can NOT be undone")
    return "\n".join(lines)


@click.command(
    cls=Verb, example=("midas promote vwap_zscore_mean_rev --kb ./midas-kb", "midas promote slow_carry --role book")
)
@_name
@_reason
@_force
@click.option(
    "--role",
    type=click.Choice(["book"]),
    help="book: for what it adds to the book, though it need not pay alone; one sealed look, charged.",
)
@_dry_run
@pass_shared
def promote(shared: Shared, name: str, reason: str, force: bool, role: str | None, dry_run: bool) -> None:
    """Deploy a candidate: it is watched live from now on.

    With --role book its score must hold on the sealed part, and the lower 90 % end of its marginal net to the book
    there must lie above zero. A --dry-run looks at nothing sealed.
    """
    _move(shared, "book" if role == "book" else "promote", name, dry_run, reason, force=force)


@click.command(cls=Verb, example="midas shadow vwap_zscore_mean_rev")
@_name
@_reason
@_dry_run
@pass_shared
def shadow(shared: Shared, name: str, reason: str, dry_run: bool) -> None:
    """Let a candidate run live beside the deployed features, with a record of its own."""
    _move(shared, "shadow", name, dry_run, reason)


@click.command(cls=Verb, example='midas demote vwap_zscore_mean_rev --reason "IC < 0 in LOW_VOL regime"')
@_name
@_reason
@_dry_run
@pass_shared
def demote(shared: Shared, name: str, reason: str, dry_run: bool) -> None:
    """Retire a live feature to the archive. Can be undone."""
    _move(shared, "demote", name, dry_run, reason)


@click.command(cls=Verb, example='midas reject noisy_ob_imbalance --reason "overfit ratio 2.4"')
@_name
@_reason
@_dry_run
@pass_shared
def reject(shared: Shared, name: str, reason: str, dry_run: bool) -> None:
    """Send a candidate to the archive. Can be undone."""
    _move(shared, "reject", name, dry_run, reason)


@click.command(
    cls=Verb,
    example=(
        "midas kill vwap_zscore_mean_rev --reason flipped --yes vwap_zscore_mean_rev",
        "midas kill --all --reason fire",
    ),
)
@click.argument("name", required=False)
@click.option("--all", "everything", is_flag=True, help="Kill every live feature, in one command.")
@_reason
@click.option("--yes", "answer", metavar="NAME", help="What would have to be typed, instead of typing it when asked.")
@_dry_run
@pass_shared
def kill(shared: Shared, name: str | None, everything: bool, reason: str, answer: str | None, dry_run: bool) -> None:
    """Stop a feature for good. A kill cannot be undone, so the name must be typed once more; for all, "kill all".

    It is latched at once, without waiting for another process: a monitor that runs obeys it within a second, and
    calls its on_kill; else the next one does at its start.
    """
    if everything:
        kill_all(shared, name, reason, answer, dry_run=dry_run)
        return
    if name is None:
        raise click.UsageError("name the feature, or give --all")
    if dry_run:
        _move(shared, "kill", name, dry_run, reason)
        return
    # opening the base for writing may have to wait for another process
    with open_commands(shared.base_settings(), read_only=True) as beside:
        beside.check_kill(name, reason)  # refused before anything is asked
    typed = answer
    if typed is None:
        typed = ask(f"Killing {clean(name)} is final. Type its name to go on")
    if typed != name:
        raise NameRefusedError(f"{typed!r} is not {name!r}; nothing was killed", hint="type the feature's name exactly")
    with open_commands(shared.base_settings(), read_only=True) as beside:
        done = beside.kill(name, reason)
        document = {"action": "kill", "feature": done.record, "waits": done.waits, "on_kill_pending": done.pending}
        shared.show(document, lambda: _killed(done))  # said before anything else is asked: it holds
        try:
            for line in beside.book_words():
                shared.note(f"  {clean(line)}")
        except MidasError as error:
            shared.note(f"  what it leaves in the book is not known: {clean(error.message)}")


def _killed(done: Done) -> str:
    lines = [_moved(done.record)]
    if done.waits:
        lines.append(f"  it is killed for whoever watches; its file moves later: {clean(done.waits)}")
    if done.pending:
        lines.append("  on_kill is called by the monitor that has one: within a second if it runs, else at its start")
    return "\n".join(lines)


@click.command(
    cls=Verb,
    example=(
        "midas pause vwap_zscore_mean_rev --reason 'exchange maintenance'",
        "midas pause --all --reason maintenance",
    ),
)
@click.argument("name", required=False)
@click.option("--all", "everything", is_flag=True, help="Pause every live feature, in one command.")
@_reason
@click.option("--yes", "answer", metavar="TEXT", help='With --all: "pause all", instead of typing it when asked.')
@_dry_run
@pass_shared
def pause(shared: Shared, name: str | None, everything: bool, reason: str, answer: str | None, dry_run: bool) -> None:
    """Set a live feature aside without retiring it; for all of them "pause all" must be typed."""
    if everything:
        pause_all(shared, name, reason, answer, dry_run=dry_run)
        return
    if name is None:
        raise click.UsageError("name the feature, or give --all")
    _move(shared, "pause", name, dry_run, reason)


@click.command(cls=Verb, example="midas resume vwap_zscore_mean_rev")
@_name
@_reason
@_dry_run
@pass_shared
def resume(shared: Shared, name: str, reason: str, dry_run: bool) -> None:
    """Take a paused feature up again."""
    _move(shared, "resume", name, dry_run, reason)


@click.command(cls=Verb, example="midas redeploy vwap_zscore_mean_rev@2 --reason 'fix for the June break'")
@_name
@_reason
@_force
@_dry_run
@pass_shared
def redeploy(shared: Shared, name: str, reason: str, force: bool, dry_run: bool) -> None:
    """Put a version in place of the live one, or bring an archived feature back, in one swap."""
    _move(shared, "redeploy", name, dry_run, reason, force=force)


@click.command(cls=Verb, example="midas rollback vwap_zscore_mean_rev")
@_name
@_reason
@_dry_run
@pass_shared
def rollback(shared: Shared, name: str, reason: str, dry_run: bool) -> None:
    """Put back the version that the live one replaced."""
    _move(shared, "rollback", name, dry_run, reason)


@click.command(cls=Verb, example=("midas undo", "midas undo vwap_zscore_mean_rev"))
@click.argument("name", required=False)
@pass_shared
def undo(shared: Shared, name: str | None) -> None:
    """Take the last action back, or the last one on NAME. A kill stays."""
    with open_commands(shared.settings()) as commands:
        event = commands.undo(name)
    _reversed(shared, "undo", event)


@click.command(cls=Verb, example="midas redo")
@click.argument("name", required=False)
@pass_shared
def redo(shared: Shared, name: str | None) -> None:
    """Do again what the last undo took back."""
    with open_commands(shared.settings()) as commands:
        event = commands.redo(name)
    _reversed(shared, "redo", event)


def _reversed(shared: Shared, word: str, event: FeatureMoved) -> None:
    document = {"action": word, "feature": event.feature, "what": event.action}
    document |= {"before": event.before, "after": event.after, "reason": event.reason}
    before, after = event.before or "not there", event.after or "not there"
    shared.show(document, lambda: f"{clean(event.feature)}: {before} -> {after} ({event.action})")
