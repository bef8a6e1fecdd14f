"""`midas demo`: one discovery session and one monitoring session on a market whose truth is known."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from midas_engine.cli.context import Shared, Verb, pass_shared
from midas_engine.cli.output import clean
from midas_engine.cli.session_lines import Narrator
from midas_engine.cli.signals import cancelling
from midas_engine.cli.verbs.discover import provider_options, take_key

if TYPE_CHECKING:
    from midas_engine.demo import DemoResult
    from midas_engine.factory import Midas
    from midas_engine.settings import Settings


@click.command(
    cls=Verb,
    example=(
        "midas demo",
        "midas demo --report-path ./artifacts/demo_report.md",
        "midas demo --provider openai --model gpt-4.1-mini",
    ),
)
@provider_options
@click.option(
    "--report-path",
    type=click.Path(path_type=Path),
    default=Path("demo_artifacts/DEMO_REPORT.md"),
    show_default=True,
    metavar="FILE",
    help="Where the report goes.",
)
@click.option("--seed", type=click.IntRange(0), help="Of the market and the local search [default: 7].")
@pass_shared
def demo(
    shared: Shared, provider: str | None, model: str | None, api_key: str | None, report_path: Path, seed: int | None
) -> None:
    """Show both loops at work on a synthetic market with known truth, and write a report.

    Without a key, a network or data. What is found becomes a candidate in the knowledge base.
    """
    settings = shared.settings(model__provider=provider or "mock", model__model=model, seed=seed)
    key = take_key(shared, api_key, settings)
    import asyncio  # 40 ms that `midas --help` need not pay

    result = asyncio.run(_run(shared, settings, report_path, key))
    shared.show(_document(result), lambda: _text(result))


async def _run(shared: Shared, settings: Settings, report_path: Path, api_key: str | None) -> DemoResult:
    from midas_engine.demo import demo as run
    from midas_engine.errors import SessionError

    narrator = Narrator(quiet=shared.as_json)
    running: list[Midas] = []
    with cancelling(lambda: bool(running) and running[0].offline.cancel()) as stopped:
        try:
            return await run(settings, report_path, api_key=api_key, on_event=narrator.tell, started=running.append)
        except SessionError:
            if stopped:
                raise click.exceptions.Exit(stopped[0]) from None
            raise


def _document(result: DemoResult) -> dict[str, Any]:
    return {
        "report": result.report_path,
        "kb": result.kb_path,
        "result": result.learning.result,
        "found": [record.name for record in result.found],
        "tried": len(result.scored),
        "bars": result.story.bars,
        "alerts": len([m for m in result.story.moments if m.alert is not None]),
        "killed": result.story.killed,
        "diagnoses": [{"feature": d.feature, "cause": d.cause} for d in result.story.diagnoses],
        "documents": result.documents,
    }


def _text(result: DemoResult) -> str:
    document = _document(result)
    killed = ", ".join(map(clean, document["killed"])) or "none"
    lines = [
        "",
        f"Found: {', '.join(map(clean, document['found'])) or 'nothing'}",
        f"Monitored {document['bars']} bars: {document['alerts']} alerts, killed: {killed}",
        f"Report: {clean(result.report_path)}",
        f"Knowledge base: {clean(result.kb_path)} (midas status)",
    ]
    return "\n".join(lines)
