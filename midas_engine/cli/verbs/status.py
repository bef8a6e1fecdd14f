"""`midas status`: the pipeline at one look."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import click

from midas_engine.cli.context import Shared, Verb, pass_shared
from midas_engine.cli.open_base import open_base, refuse_other
from midas_engine.cli.output import clean, moment, table
from midas_engine.text import bytes_text, number

if TYPE_CHECKING:
    from midas_engine.kb import KnowledgeBase
    from midas_engine.models import FeatureRecord
    from midas_engine.settings import Settings


@click.command(cls=Verb, example=("midas status --kb ./midas-kb", "midas status --json", "midas status --healthy"))
@click.option("--healthy", is_flag=True, help="Say how the service is, in one sentence; exit 1 unless all is well.")
@pass_shared
def status(shared: Shared, healthy: bool) -> None:
    """Show what runs on the base, and its pipeline: candidates, shadow, deployed and archived features."""
    settings = shared.base_settings()
    if healthy:
        _how_it_is(shared, settings)
        return
    refuse_other(settings)
    if not settings.kb_path.is_dir():
        nothing = (
            f"There is no knowledge base at {clean(settings.kb)} yet.\n"
            "`midas demo` and `midas discover GOAL` create one; --kb PATH names another."
        )
        shared.show({"kb": settings.kb, "exists": False}, lambda: nothing)
        return
    base = open_base(settings, read_only=True)
    columns = {
        title: base.features(state)
        for title, state in (
            ("Candidates", "candidate"),
            ("Shadow", "shadow"),
            ("Deployed", "deployed"),
            ("Archived", "archived"),
        )
    }
    damaged = base.damaged_features()
    from midas_engine.cli.verbs.kills import far_sides, in_words
    from midas_engine.service.standing import bytes_by_kind, in_bytes, standing_of

    sides = far_sides(settings)
    far = _graduation(base, [*columns["Candidates"], *columns["Shadow"]])
    standing, sizes = standing_of(settings.kb_path), bytes_by_kind(settings.kb_path)
    document = {
        "kb": settings.kb,
        "exists": True,
        **{t.lower(): r for t, r in columns.items()},
        "damaged": damaged,
        "graduation": far,
        "service": standing,
        "bytes": sizes,
        "far_sides": {name: {k: v for k, v in side.items() if k != "orders"} for name, side in sides.items()},
    }

    def text() -> str:
        blocks = [f"Knowledge base {clean(settings.kb)}", clean(standing.sentence(base.clock.now()))]
        blocks += [
            f"On disk: {in_bytes(sizes)}; {bytes_text(standing.disk_free_bytes)} free",
            *(_column(t, r) for t, r in columns.items()),
        ]
        if standing.alerts:
            alerts = [[a.id, str(a.severity), a.feature, a.alert_type, clean(a.message)[:60]] for a in standing.alerts]
            blocks.append(f"\nRunning alerts ({len(alerts)}); `midas ack ID`\n{table(alerts)}")
        if far:
            rows = [[name, clean(str(found["words"]))] for name, found in far.items()]
            blocks.append(f"\nShort of the line at their sealed look ({len(far)})\n{table(rows)}")
        if sides:
            rows = [[name, str(side["kind"]), in_words(side)] for name, side in sides.items()]
            blocks.append(f"\nOrders to far sides; `midas kills` shows each\n{table(rows)}")
        if damaged:
            rows = [[r.path or r.name, r.damaged] for r in damaged]
            blocks.append(f"\nDamaged ({len(damaged)}); `midas kb check` says what to do\n{table(rows)}")
        return "\n".join(blocks)

    shared.show(document, text)


def _how_it_is(shared: Shared, settings: Settings) -> None:
    from midas_engine.clock import WallClock
    from midas_engine.service.standing import standing_of

    found = standing_of(settings.kb_path)
    said = found.sentence(WallClock().now())
    shared.show({"service": found, "words": said}, lambda: clean(said))
    if found.vital is None or not found.vital.healthy:
        raise click.exceptions.Exit(1)


def _graduation(base: KnowledgeBase, records: list[FeatureRecord]) -> dict[str, dict[str, object]]:
    """How far each is that fell short at its sealed look, by name."""
    short = [r for r in records if "sealed_p" in r.metrics]
    if not short:
        return {}
    from midas_engine.journal import Journal
    from midas_engine.promoter.graduated import graduation

    found: dict[str, dict[str, object]] = {}
    journal = Journal(base.journal_path, clock=base.clock, read_only=True) if base.journal_path.exists() else None
    try:
        for record in short:
            far = graduation(record, journal)
            if far is not None:
                days = None if far.outlook is None else far.outlook.bars_to_go * far.look.hours_per_bar / 24.0
                found[record.name] = {
                    "graduated": far.graduated,
                    "denied": far.denied,
                    "forward_bars": far.bars,
                    "days_to_go": days if days is not None and math.isfinite(days) else None,
                    "words": far.words if record.state == "shadow" or far.graduated else f"in shadow: {far.words}",
                }
    finally:
        if journal is not None:
            journal.close()
    return found


def _column(title: str, records: list[FeatureRecord]) -> str:
    if not records:
        return f"\n{title}: none"
    rows = [
        [
            r.name,
            _figure(r, "rank_ic"),
            _figure(r, "score_t", 2),
            marks(r),
            moment(r.changed_at or r.created_at),
            clean(r.expression)[:60],
        ]
        for r in records
    ]
    return f"\n{title} ({len(records)})\n" + table(
        rows, ("name", "rank IC", "t", "", "changed (UTC)", "expression"), right="lrr"
    )


def _figure(record: FeatureRecord, key: str, digits: int = 4) -> str:
    value = record.metrics.get(key)
    return number(float(value), digits, sign=True) if isinstance(value, int | float) else "-"


def marks(record: FeatureRecord) -> str:
    """What sets a feature apart from others in its state: killed, paused, damaged."""
    found = {"damaged": bool(record.damaged), "killed": record.killed, "paused": record.paused}
    found["for the book"] = record.role == "book"
    return " ".join(name for name, on in found.items() if on)
