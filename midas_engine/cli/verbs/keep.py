"""`midas backup` and `midas restore`."""

from __future__ import annotations

from pathlib import Path

import click

from midas_engine.cli.context import Shared, Verb, pass_shared
from midas_engine.cli.output import clean


@click.command(cls=Verb, example="midas backup ./midas-2026-01-05.tar.gz --kb ./midas-kb")
@click.argument("file", type=click.Path(path_type=Path))
@pass_shared
def backup(shared: Shared, file: Path) -> None:
    """Write the whole knowledge base into FILE, also while a service watches it.

    In it are the features, documents, reports, kills and the journal, each with its hash; not the recorded runs, the
    log and the token.
    """
    from midas_engine.clock import WallClock
    from midas_engine.service import backup as keeping

    settings = shared.settings()
    done = keeping.backup(settings.kb_path, file, WallClock())
    shared.show(done, lambda: f"{clean(done.path)}: {done.files:,} files, {done.size:,} bytes")


@click.command(cls=Verb, example="midas restore ./midas-2026-01-05.tar.gz --kb ./midas-kb")
@click.argument("file", type=click.Path(path_type=Path))
@pass_shared
def restore(shared: Shared, file: Path) -> None:
    """Put the base of FILE in the place of the one at --kb, which is set aside beside it.

    A base that is watched or written now is refused. Features that were killed since the backup stay killed: only a
    redeploy by name ends a kill.
    """
    from midas_engine.clock import WallClock
    from midas_engine.service import backup as keeping

    settings = shared.settings()
    done = keeping.restore(file, settings.kb_path, WallClock())

    def text() -> str:
        lines = [f"{clean(done.base)}: {done.files:,} files put back"]
        if done.aside:
            lines.append(f"  what stood there lies at {clean(done.aside)}")
        if done.kept_kills:
            lines.append("  killed since the backup, and still: " + ", ".join(clean(n) for n in done.kept_kills))
        return "\n".join(lines)

    shared.show(done, text)
