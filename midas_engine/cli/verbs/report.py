"""`midas report`: the daily report of any day the monitor remembers."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from midas_engine.cli.context import Shared, Verb, pass_shared
from midas_engine.cli.open_base import open_base
from midas_engine.cli.output import clean_block

if TYPE_CHECKING:
    from midas_engine.kb import KnowledgeBase
    from midas_engine.models import DailyReport


@click.command(
    cls=Verb,
    example=(
        "midas report --kb ./midas-kb",
        "midas report --date 2025-01-15 --kb ./midas-kb --json",
        "midas report --since 12h --out morning.html",
    ),
)
@click.option("--date", "day", metavar="YYYY-MM-DD", help="The UTC day [default: the last one with bars].")
@click.option("--since", metavar="TIME", help="Say instead what changed since then: 12h, 3d, 2025-01-15T18:00 (UTC).")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Also write it there: one page for a browser and for paper, Markdown where the name ends in .md.",
)
@pass_shared
def report(shared: Shared, day: str | None, since: str | None, out: Path | None) -> None:
    """Write the daily report of a UTC day, with its plots, to reports/daily/ and print it.

    It begins with a sentence. Beside the Markdown lies the same report as one page (DAY.html) for a browser, light and
    dark, and for paper. The book of all deployed features is in it as measured now, on --data. The monitor writes a
    report by itself when a day ends. This writes it anew from the journal, for the running day too; the last forty
    days are remembered. A report that was written before and can no longer be made is printed as it is.
    """
    from midas_engine.book.section import section_of
    from midas_engine.errors import MonitorError
    from midas_engine.journal import Journal
    from midas_engine.markdown_page import write_page
    from midas_engine.models import FeatureState
    from midas_engine.monitor.daily.facts import as_day
    from midas_engine.monitor.daily.report import FOLDER, plots_of, write_report
    from midas_engine.monitor.daily.saved import facts_of, saved_fleets
    from midas_engine.preflight import todays_panel

    if since is not None:
        if day is not None:
            raise click.UsageError("--since and --date exclude each other")
        _brief(shared, since, out)
        return
    settings = shared.settings()
    base = open_base(settings, read_only=not (settings.kb_path / "schema.json").exists())  # it makes no base
    if day is not None:
        day = as_day(day).isoformat()
    if os.path.lexists(base.journal_path):
        with Journal(base.journal_path, read_only=True) as journal:
            chosen = day or max((d for f in saved_fleets(journal) for d, kept in f.days.days.items() if kept.bars),
                                default=None)  # fmt: skip
            facts = None if chosen is None else facts_of(journal, chosen, costs=settings.costs)
        if facts is not None:
            panel, why = todays_panel(settings) if base.features(FeatureState.DEPLOYED) else (None, "")
            facts = dataclasses.replace(facts, book=section_of(base, panel, settings, why))
            written = write_report(facts, None if base.read_only else base)
            if out is not None:
                write_page(written.markdown, plots_of(facts), out)
            shared.show(_document(written), lambda: clean_block(written.markdown))
            return
    path = f"{FOLDER}/{day}.md"
    if day is not None and base.occupied(path):
        text = base.read_text(path)
        if out is not None:
            write_page(text, _pictures(base, day), out)
        shared.show({"day": day, "path": path, "markdown": text}, lambda: clean_block(text))
        return
    raise MonitorError(
        f"the monitor saw no bar of {day}" if day else "no monitor has run on this base yet",
        hint="`midas monitor --data live:binance` or the terminal watches the deployed features",
    )


def _pictures(base: KnowledgeBase, day: str) -> dict[str, bytes]:
    """The plots that lie beside a report which was written before."""
    from midas_engine.monitor.daily.report import FOLDER
    from midas_engine.monitor.daily.words import CAPTIONS

    places = {path.rpartition("/")[2]: path for path in (f"{FOLDER}/{day}-{name}.png" for name in CAPTIONS)}
    return {name: base.read_raw(path) for name, path in places.items() if base.occupied(path)}


def _brief(shared: Shared, since: str, out: Path | None) -> None:
    """What changed since a time, each sentence with its figures."""
    from midas_engine.journal import Journal
    from midas_engine.markdown_page import write_page
    from midas_engine.monitor.daily.brief import brief_since, read_since
    from midas_engine.outbound.outbox import answers

    base = open_base(shared.base_settings(), read_only=True)
    now = base.clock.now()
    begins = read_since(since, now)
    if os.path.lexists(base.journal_path):
        with Journal(base.journal_path, read_only=True) as journal:
            found = brief_since(base, journal, begins, now, answers=answers(base.path))
    else:
        found = brief_since(base, None, begins, now, answers=answers(base.path))
    if out is not None:
        write_page(found.markdown, {}, out)
    shared.show(found, lambda: clean_block(found.text))


def _document(written: DailyReport) -> dict[str, Any]:
    return {
        "day": written.day.isoformat(),
        "path": written.path,
        "features": written.features,
        "alerts": written.alerts,
        "diagnoses": written.diagnoses,
        "pnl_bps": written.pnl_bps,
        "figures": written.figures,
        "markdown": written.markdown,
    }
