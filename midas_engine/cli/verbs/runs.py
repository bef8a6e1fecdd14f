"""`midas runs`: the recorded runs of the service."""

from __future__ import annotations

import click

from midas_engine.cli.context import Shared, Verb, pass_shared
from midas_engine.cli.open_base import require_base
from midas_engine.cli.output import clean, moment, table


@click.command(cls=Verb, example="midas runs")
@pass_shared
def runs(shared: Shared) -> None:
    """List the recorded runs of `midas run`, newest first. `midas-tui --replay run:ID` plays one."""
    settings = shared.base_settings()
    require_base(settings)
    from midas_engine.service.place import Place
    from midas_engine.service.runs import Runs

    found = Runs(Place(settings.kb_path).runs).all()

    def text() -> str:
        if not found:
            return "No run is recorded on this base. `midas run` records its own."
        rows = [
            [r.id, moment(r.began), clean(r.source), r.ended, _count(r.bars), _count(r.events), f"{r.size:,}",
             "from its start" if r.first == 0 else "its beginning is gone"]
            for r in found
        ]  # fmt: skip
        head = ("run", "began (UTC)", "source", "ended", "bars", "events", "bytes", "kept")
        return table(rows, head, indent="", right="llllrrr")

    shared.show({"runs": found}, text)


def _count(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"
