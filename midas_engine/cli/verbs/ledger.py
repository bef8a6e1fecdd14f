"""`midas ledger`: what was tried and spent, and what it bought."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from midas_engine.cli.context import Shared, Verb, pass_shared
from midas_engine.cli.open_base import require_base
from midas_engine.cli.output import clean, paint, table
from midas_engine.text import number, p_text

if TYPE_CHECKING:
    from midas_engine.evaluator.trials.statement import Statement


@click.command(cls=Verb, example=("midas ledger --kb ./midas-kb", "midas ledger --n 50 --json"))
@click.option(
    "--n", "count", type=click.IntRange(1), default=20, show_default=True, help="Sessions shown, newest last."
)
@pass_shared
def ledger(shared: Shared, count: int) -> None:
    """Show the trial ledger: trials of every session, looks at the sealed part, what is left of the lifetime's budget.

    The ledger is append-only and checksummed; deleting documents of the knowledge base does not reset it.
    """
    from midas_engine.evaluator.trials.ledger import TrialLedger
    from midas_engine.evaluator.trials.statement import Statement

    settings = shared.base_settings()
    require_base(settings)
    path = settings.kb_path / "journal.sqlite"
    if not os.path.lexists(path):
        found = Statement.empty()
    else:
        with TrialLedger(path, read_only=True) as book:
            found = Statement.of(book)
    shared.show(_document(found, count), lambda: _text(found, count))


def _document(found: Statement, count: int) -> dict[str, Any]:
    return {
        "trials": found.trials,
        "accepted": found.accepted,
        "alpha": found.alpha,
        "looks": list(found.looks),
        "looks_held": found.held,
        "next_level": found.next_level,
        "next_line": found.next_line,
        "sessions": list(found.sessions[-count:]),
        "problems": list(found.problems),
    }


def _text(found: Statement, count: int) -> str:
    if not found.trials and not found.looks:
        return "Nothing was tried yet."
    blocks = [
        table(
            [
                ["trials, ever", f"{found.trials:,}", f"in {len(found.sessions)} sessions"],
                ["passed research", f"{found.accepted:,}", ""],
                ["looks at the sealed part", str(len(found.looks)), f"{found.held} held"],
                ["lifetime false discovery rate", f"{found.alpha:.0%}", "LORD++ over the looks"],
                ["the next look must reach p", f"{found.next_line:.2g}", ""],
            ],
            right="lr",
        )
    ]
    shown = found.sessions[-count:]
    rows = [
        [
            s.session,
            s.first[:16].replace("T", " "),
            str(s.trials),
            str(s.planned),
            number(s.line_t, 2),
            number(s.best_t, 2, sign=True),
            str(s.unscored),
            str(s.under_bh),
            str(s.accepted),
            str(s.looks),
            str(s.held),
        ]
        for s in shown
    ]
    head = (
        "session",
        "first trial",
        "trials",
        "planned",
        "line t",
        "best t",
        "refused",
        "BH 10 %",
        "research",
        "looks",
        "held",
    )
    title = "Sessions" if len(shown) == len(found.sessions) else f"Sessions, the last {len(shown)}"
    blocks.append(f"{title}\n{table(rows, head, right='llrrrrrrrrr')}")
    if found.looks:
        looks = [
            [
                str(k),
                look.at[:16].replace("T", " "),
                clean(look.name)[:40],
                number(look.score_t, 2, sign=True),
                p_text(look.p),
                f"{look.level:.2g}",
                "held" if look.held else "did not hold",
            ]
            for k, look in enumerate(found.looks, 1)
        ][-count:]
        titles = ("look", "at", "candidate", "t", "p", "had to reach", "")
        blocks.append(f"Looks at the sealed part\n{table(looks, titles, right='rllrrr')}")
    if found.problems:
        blocks.append(paint("The ledger was tampered with", "red") + "\n" + "\n".join(f"  {p}" for p in found.problems))
    else:
        blocks.append("Every row is as it was written.")
    return "\n\n".join(blocks)
