"""The pipeline from the command line: status, and every action that moves a feature."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from midas_engine.cli.context import Shared, Verb, pass_shared
from midas_engine.cli.engine import open_base, open_pipeline
from midas_engine.cli.output import clean, moment, number, table
from midas_engine.errors import NameRefusedError

if TYPE_CHECKING:
    from midas_engine.models import FeatureRecord
    from midas_engine.promoter import FeaturePromoter

_reason = click.option("--reason", default="", metavar="TEXT", help="Why; kept in the feature's history.")


@click.command(cls=Verb, example=("midas status --kb ./midas-kb", "midas status --json"))
@pass_shared
def status(shared: Shared) -> None:
    """Show the feature pipeline: candidates, shadow, deployed and archived features."""
    settings = shared.settings()
    if not settings.kb_path.is_dir():
        shared.show(
            {"kb": settings.kb, "exists": False},
            lambda: (
                f"There is no knowledge base at {clean(settings.kb)} yet.\n"
                "`midas demo` and `midas discover GOAL` create one; --kb PATH names another."
            ),
        )
        return
    from midas_engine.promoter import FeaturePromoter

    summary = FeaturePromoter(open_base(settings, read_only=True)).pipeline_summary()
    columns = {
        "Candidates": summary.candidates,
        "Shadow": summary.shadow,
        "Deployed": summary.deployed,
        "Archived": summary.archived,
    }
    shared.show(
        {"kb": settings.kb, "exists": True, **{title.lower(): records for title, records in columns.items()}},
        lambda: "\n".join([f"Knowledge base {clean(settings.kb)}", *(_column(t, r) for t, r in columns.items())]),
    )


def _column(title: str, records: tuple[FeatureRecord, ...]) -> str:
    if not records:
        return f"\n{title}: none"
    rows = [
        [
            r.name,
            _figure(r, "rank_ic"),
            _figure(r, "score_t", 2),
            _marks(r),
            moment(r.changed_at or r.created_at),
            clean(r.expression)[:60] or clean(r.damaged)[:60],
        ]
        for r in records
    ]
    head = ("name", "rank IC", "t", "", "changed (UTC)", "expression")
    return f"\n{title} ({len(records)})\n{table(rows, head, right='lrr')}"


def _figure(record: FeatureRecord, key: str, digits: int = 4) -> str:
    value = record.metrics.get(key)
    return number(float(value), digits) if isinstance(value, int | float) else "-"


def _marks(record: FeatureRecord) -> str:
    marks = {"damaged": bool(record.damaged), "killed": record.killed, "paused": record.paused}
    return " ".join(name for name, on in marks.items() if on)


def _moved(shared: Shared, promoter: FeaturePromoter, verb: str, name: str) -> None:
    record = promoter.feature_status(name)
    document: dict[str, Any] = {"action": verb, "feature": record}
    shared.show(document, lambda: f"{record.name}: {record.state.value}{_suffix(record)}")


def _suffix(record: FeatureRecord) -> str:
    marks = _marks(record)
    return (f" ({marks})" if marks else "") + (f" - {clean(record.reason)}" if record.reason else "")


@click.command(cls=Verb, example="midas promote vwap_zscore_mean_rev --kb ./midas-kb")
@click.argument("name")
@_reason
@click.option("--force", is_flag=True, help="Promote although a gate refused; the override is recorded.")
@pass_shared
def promote(shared: Shared, name: str, reason: str, force: bool) -> None:
    """Promote a candidate: it is watched live from now on."""
    with open_pipeline(shared.settings()) as promoter:
        promoter.promote(name, reason=reason, force=force)
        _moved(shared, promoter, "promote", name)


@click.command(cls=Verb, example='midas demote vwap_zscore_mean_rev --reason "IC < 0 in LOW_VOL regime"')
@click.argument("name")
@_reason
@pass_shared
def demote(shared: Shared, name: str, reason: str) -> None:
    """Retire a live feature to the archive. Can be undone."""
    with open_pipeline(shared.settings()) as promoter:
        promoter.demote(name, reason)
        _moved(shared, promoter, "demote", name)


@click.command(cls=Verb, example='midas reject noisy_ob_imbalance --reason "overfit ratio 2.4"')
@click.argument("name")
@_reason
@pass_shared
def reject(shared: Shared, name: str, reason: str) -> None:
    """Send a candidate to the archive. Can be undone."""
    with open_pipeline(shared.settings()) as promoter:
        promoter.reject(name, reason)
        _moved(shared, promoter, "reject", name)


@click.command(cls=Verb, example="midas kill vwap_zscore_mean_rev --reason flipped --yes vwap_zscore_mean_rev")
@click.argument("name")
@_reason
@click.option("--yes", "answer", metavar="NAME", help="The feature's name once more, instead of typing it when asked.")
@pass_shared
def kill(shared: Shared, name: str, reason: str, answer: str | None) -> None:
    """Stop a feature for good. A kill cannot be undone, so the name must be typed once more."""
    with open_pipeline(shared.settings()) as promoter:
        record = promoter.feature_status(name)
        if answer is None:
            text = f"Killing {clean(record.name)} is final. Type its name to go on"
            answer = click.prompt(text, default="", show_default=False, err=True)
        if answer != name:
            raise NameRefusedError(
                f"{answer!r} is not {name!r}; nothing was killed", hint="type the feature's name exactly"
            )
        promoter.kill(name, reason)
        _moved(shared, promoter, "kill", name)


@click.command(cls=Verb, example="midas pause vwap_zscore_mean_rev --reason 'exchange maintenance'")
@click.argument("name")
@_reason
@pass_shared
def pause(shared: Shared, name: str, reason: str) -> None:
    """Set a live feature aside without retiring it."""
    with open_pipeline(shared.settings()) as promoter:
        promoter.pause(name, reason)
        _moved(shared, promoter, "pause", name)


@click.command(cls=Verb, example="midas resume vwap_zscore_mean_rev")
@click.argument("name")
@_reason
@pass_shared
def resume(shared: Shared, name: str, reason: str) -> None:
    """Take a paused feature up again."""
    with open_pipeline(shared.settings()) as promoter:
        promoter.resume(name, reason)
        _moved(shared, promoter, "resume", name)


@click.command(cls=Verb, example="midas undo")
@pass_shared
def undo(shared: Shared) -> None:
    """Take the last pipeline action back. A kill stays."""
    with open_pipeline(shared.settings()) as promoter:
        done = promoter.undo()
        shared.show({"action": "undo", "undone": done}, lambda: f"Undone: {clean(done)}")


@click.command(cls=Verb, example="midas redo")
@pass_shared
def redo(shared: Shared) -> None:
    """Do again what the last undo took back."""
    with open_pipeline(shared.settings()) as promoter:
        done = promoter.redo()
        shared.show({"action": "redo", "redone": done}, lambda: f"Done again: {clean(done)}")
