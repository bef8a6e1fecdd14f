"""`midas bank FILE`: a fixed list of expressions judged as one family, the published alphas among them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import click

from midas_engine.cli.context import Shared, Verb, pass_shared
from midas_engine.cli.output import clean, table
from midas_engine.jsonable import plain
from midas_engine.text import number

if TYPE_CHECKING:
    from collections.abc import Callable

    from midas_engine.banks import Bank, BankResult, BankRow
    from midas_engine.models import Estimate
    from midas_engine.settings import Settings

SHOWN = 20
_EVERY = 10


@click.command(
    cls=Verb,
    example=(
        "midas bank wq101 --data sample",
        "midas bank my-alphas.txt --top 50 --json",
        "midas bank --list",
    ),
)
@click.argument("bank", required=False, metavar="[FILE|NAME]")
@click.option("--list", "listing", is_flag=True, help="List the banks that come with Midas.")
@click.option("--top", type=click.IntRange(1), metavar="N", help=f"Rows shown [default: {SHOWN}; all with --json].")
@click.option("--horizon", type=click.IntRange(1), metavar="BARS", help="Target horizon [default: from the settings].")
@click.option(
    "--keep",
    is_flag=True,
    help="Take what every agent accepts through the later parts, as a session does, and save what holds as candidates; "
    "what costs alone stand against is kept for the book.",
)
@pass_shared
def bank(shared: Shared, bank: str | None, listing: bool, top: int | None, horizon: int | None, keep: bool) -> None:
    """Judge a list of expressions as one family and rank it.

    FILE has one `name: expression` a line and # comments; NAME is a bank that comes with Midas (see --list).
    Every expression is charged to the trial ledger. The line is drawn for the family by step-down, from what its
    members have in common: many spellings of one idea cost little more than one. Nothing is promoted.
    """
    if listing:
        _list(shared)
        return
    if bank is None:
        raise click.UsageError("name a file or a bank; `midas bank --list` shows those that come with Midas")
    from midas_engine.banks import read_bank

    settings = shared.settings(evaluation__target=horizon)
    found = read_bank(bank, limits=settings.dsl.at(1.0))  # how long its bars are is not known yet
    result, kept, worth = _judge(shared, settings, found, keep)
    document = result.document
    for row in document["rows"]:
        if row["name"] in worth:
            row["to_book_bps_year"] = plain(worth[row["name"]])
    if top is not None:
        document["rows"] = document["rows"][:top]
    if keep:
        document["kept"] = list(kept)
    shared.show(document, lambda: _text(result, top or SHOWN, settings.data, kept if keep else None, worth))


def _list(shared: Shared) -> None:
    from midas_engine.banks.reading import SHIPPED, shipped_banks

    banks = list(shipped_banks())
    document = [
        {"name": b.name, "title": SHIPPED[b.name], "expressions": len(b.entries), "source": list(b.source)}
        for b in banks
    ]
    rows = [[b.name, str(len(b.entries)), SHIPPED[b.name]] for b in banks]
    shared.show(document, lambda: table(rows, ("bank", "expressions", "whose"), indent="", right="lrl"))


def _judge(
    shared: Shared, settings: Settings, bank: Bank, keep: bool
) -> tuple[BankResult, tuple[str, ...], dict[str, Estimate]]:
    """The verdicts, charged to the base's ledger, the names of what was saved, and what survivors add to the book."""
    from midas_engine.errors import ReadOnlyError
    from midas_engine.market.sources import make_room

    if settings.read_only:
        raise ReadOnlyError("the trials of a bank are charged to the ledger", hint="leave read_only out")
    make_room(settings.data)  # before anything loads the libraries
    from midas_engine.banks import Charge, judge_bank
    from midas_engine.cli.open_base import open_workspace, refuse_other, tell_notices
    from midas_engine.evaluator import TrialLedger
    from midas_engine.market import load_panel
    from midas_engine.models import FeatureState

    refuse_other(settings)
    panel = load_panel(settings.data, store=settings.store)
    with open_workspace(settings, create=True) as workspace:
        tell_notices(workspace)
        deployed = {r.name: r.expression for r in workspace.kb.features(FeatureState.DEPLOYED)}
        stamp = f"{workspace.clock.now():%Y%m%d-%H%M%S}"
        with TrialLedger(workspace.kb.journal_path, clock=workspace.clock) as ledger:
            result = judge_bank(
                bank, panel, settings, existing=deployed, thresholds=workspace.kb.thresholds(),
                charge=Charge(ledger, f"bank-{stamp}"), told=_progress(shared),
            )  # fmt: skip
        from midas_engine.banks.book_worth import worth_to_book
        from midas_engine.banks.keeping import keep_accepted

        worth = worth_to_book(result, workspace.kb, panel, settings)
        return result, keep_accepted(result, panel, workspace) if keep else (), worth


def _progress(shared: Shared) -> Callable[[int, int], None]:
    def told(done: int, of: int) -> None:
        if done % max(1, of // _EVERY) == 0:
            shared.note(f"scored {done} of {of} expressions")

    return told


# Text --------------------------------------------------------------------------------------------------------------


def _text(result: BankResult, top: int, data: str, kept: tuple[str, ...] | None, worth: dict[str, Estimate]) -> str:
    blocks = [_head(result, data), _rows(result, top), _to_book(worth), _left_out(result)]
    if kept is not None:
        blocks.append(
            f"Saved as candidates: {', '.join(kept)}."
            if kept
            else "Nothing was saved: no expression passed every agent and the later parts."
        )
    return "\n\n".join(filter(None, blocks))


def _to_book(worth: dict[str, Estimate]) -> str:
    from midas_engine.book.rows import span

    if not worth:
        return ""
    rows = [(clean(name), span(value)) for name, value in worth.items()]
    head = ("survivor", "would add to the book, bps/yr")
    return "On research, shrunk for selection:\n" + table(rows, head, right="lr")


def _head(result: BankResult, data: str) -> str:
    source = next((line for line in result.bank.source if line.lower().startswith("source")), "")
    family = (
        f"One family of {result.trials} expressions, {result.scored} scored, worth {number(result.effective, 0)} "
        f"independent ones; "
        f"{result.level:.0%} chance of any false survivor. {result.charged} new trials charged to {result.session}."
    )
    lines = [
        f"{clean(result.bank.name)} on {clean(data)}, {result.part}: {result.bars[0]} to {result.bars[1]} UTC",
        *([clean(source)] if source else []),
        family,
        f"{len(result.survivors)} survive the family's test, {len(result.accepted)} of them pass every other gate too.",
        *_money(result),
    ]
    return "\n".join(lines)


def _money(result: BankResult) -> list[str]:
    """What the survivors would earn before costs: where that is nothing, no saving on trades helps."""
    even = [row.break_even_bps for row in result.survivors if math.isfinite(row.break_even_bps)]
    if not even:
        return []
    nothing = sum(x <= 0.0 for x in even)
    lost = ""
    if nothing:
        lost = (
            f"{nothing} of the survivors earn nothing before costs (right more often, the large moves against them). "
        )
    cost = result.survivors[0].verdict.evaluation.cost_bps
    best = f"The best survivor breaks even at {number(max(even), 1)} bps a trade; a trade costs {number(cost, 1)}."
    return [lost + best if max(even) > 0.0 else lost.strip()]


def _rows(result: BankResult, top: int) -> str:
    head = ("", "name", "IC", "± se", "t", "adj. p", "net bps", "± se", "half-life h", "t moving", "t after book", "")
    rows = [_row(rank, row) for rank, row in enumerate(result.rows[:top], start=1)]
    body = table(rows, head, indent="", right="rlrrrrrrrrrl")
    left = len(result.rows) - top
    return body + (f"\n... and {left} more: --top {len(result.rows)}" if left > 0 else "")


def _row(rank: int, row: BankRow) -> list[str]:
    e = row.verdict.evaluation
    net: dict[str, Any] = e.extra.get("net") or {}
    standing: dict[str, Any] = e.extra.get("standing") or {}
    half_life = (
        number(e.half_life_hours.value, 1) if e.half_life_known else "unknown" if e.score_t == e.score_t else "-"
    )
    return [
        str(rank), row.name, number(e.rank_ic.value, 4, sign=True), number(e.rank_ic.se, 4),
        number(e.score_t, 2, sign=True), _p(row.adjusted_p), number(net.get("value", math.nan), 2, sign=True),
        number(net.get("se", math.nan), 2), half_life, number((standing.get("moving") or {}).get("t"), 2, sign=True),
        number(e.marginal_t, 2, sign=True) if e.extra.get("deployed") else "-", _word(row),
    ]  # fmt: skip


def _p(value: float) -> str:
    return "<0.001" if value < 0.001 else number(value, 3)


def _word(row: BankRow) -> str:
    """What the family says, then what refused it besides."""
    e = row.verdict.evaluation
    others = ", ".join(row.refused_by)
    if e.extra.get("empty"):
        return "no score: " + (e.warnings[-1] if e.warnings else "nothing could be scored")
    if row.survives and row.verdict.overall_pass:
        return "accepted"
    word = "survives" if row.survives else "-"
    return f"{word}; refused by {others}" if others else word


def _left_out(result: BankResult) -> str:
    if not result.left_out:
        return ""
    rows = [[f"line {line.number}", line.name, line.reason] for line in result.left_out]
    return f"{len(rows)} lines were left out\n" + table(rows)
