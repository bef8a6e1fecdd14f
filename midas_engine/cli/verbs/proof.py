"""`midas attest` and `midas verify`: hand out the proof, and check somebody's without them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from midas_engine.cli.context import Shared, Verb, pass_shared
from midas_engine.cli.open_base import open_base
from midas_engine.cli.output import clean, table
from midas_engine.regular import open_regular
from midas_engine.text import number

if TYPE_CHECKING:
    from midas_engine.outbound.verify import Verified

MOST_HEADS = 50_000_000


@click.command(cls=Verb, example=("midas attest", "midas attest --out proof.jsonl"))
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Write the proof here.")
@pass_shared
def attest(shared: Shared, out: Path | None) -> None:
    """Print the head of the proof, and hand the proof out: expressions, digests of signals and of their outcomes.

    What is in the proof was committed bar by bar while the base was watched with outbound.heads set. Give the head to
    somebody before they get the proof: only a head that left the machine shows that nothing was made up since.
    """
    from midas_engine.errors import MonitorError, SettingsError
    from midas_engine.kb.atomic import atomic_write
    from midas_engine.outbound.proof import FILE, ProofChain, chain_bytes

    base = open_base(shared.base_settings(), read_only=True)
    chain = ProofChain(base.path / FILE)
    if not os.path.lexists(chain.path):
        hint = "set outbound.heads and watch the base: every bar is committed from then on"
        raise MonitorError("nothing is committed yet", hint=hint)
    entries = list(chain.entries())
    head = f"{entries[-1]['n']}:{entries[-1]['digest']}" if entries else "none"
    if out is not None:
        if not out.absolute().parent.is_dir():
            raise SettingsError(f"there is no folder {out.parent} to write {out.name} into", hint="make it first")
        if base.path.resolve() in out.resolve().parents:
            hint = "give a place outside: what watches the base adds to the proof that lies there"
            raise SettingsError(f"{out} lies in the base", hint=hint)
        atomic_write(out, b"".join(chain_bytes(entry) for entry in entries))
    bars = [entry["bar"] for entry in entries if entry["kind"] == "signals"]
    specs = [{k: e[k] for k in ("feature", "version", "expression", "at")} for e in entries if e["kind"] == "spec"]
    document = {
        "head": head,
        "entries": len(entries),
        "bars": len(bars),
        "first": bars[0] if bars else None,
        "last": bars[-1] if bars else None,
        "specs": specs,
        "file": None if out is None else str(out),
    }

    def text() -> str:
        lines = [
            f"Head {head}",
            f"{len(entries)} entries, {len(bars)} bars" + (f", {bars[0]} to {bars[-1]}" if bars else ""),
        ]
        rows = [[s["feature"], str(s["version"]), s["at"][:19], clean(s["expression"])[:70]] for s in specs]
        lines.append(table(rows, ("feature", "version", "committed (UTC)", "expression")) if rows else "no expression")
        return "\n".join([*lines, *([] if out is None else [f"Written to {clean(out)}"])])

    shared.show(document, text)


@click.command(
    cls=Verb,
    example=(
        "midas verify proof.jsonl --data store:binance --head heads.jsonl",
        "midas verify proof.jsonl --head 812:1f0c...",
    ),
)
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--head", "head", metavar="HEAD|FILE", help="A head that left the machine, or the file that kept them.")
@pass_shared
def verify(shared: Shared, file: Path, head: str | None) -> None:
    """Check a proof from public bars alone; exit code 1 when something does not fit.

    The chain, the heads that left, the times, and with --data every digest: what each expression gives at each bar,
    and what came of it. Without a head it says "consistent", never "made before".
    """
    from midas_engine.errors import SettingsError
    from midas_engine.market import load_panel
    from midas_engine.outbound.verify import Truth, read_chain, read_heads
    from midas_engine.outbound.verify import verify as check

    heads = []
    if head is not None:
        heads = read_heads(_kept_heads(head))
        if not heads:
            raise SettingsError(
                f"--head {head[:60]!r} is no head", hint="N:DIGEST, as midas attest prints it, or a file"
            )
    truth = None
    if shared.data is not None:
        settings = shared.settings()
        truth = Truth(load_panel(settings.data, store=settings.store))
    found = check(read_chain(file), heads, truth)
    shared.show(_document(found), lambda: _text(found))
    if not found.sound:
        raise click.exceptions.Exit(1)


def _kept_heads(head: str) -> str:
    """What --head says: a head itself, or what a file of them holds."""
    path = Path(head)
    try:
        if not path.is_file():
            return head
        with os.fdopen(open_regular(path.resolve(), os.O_RDONLY), "rb") as file:
            return file.read(MOST_HEADS).decode("utf-8", "replace")
    except (OSError, ValueError):  # a text that can be no path is no file
        return head


def _document(found: Verified) -> dict[str, Any]:
    names = (
        "entries",
        "signals",
        "recomputed",
        "labels",
        "unchecked",
        "late",
        "heads",
        "proven_until",
        "rank_ic",
        "faults",
    )
    return {"verdict": found.words, "sound": found.sound, **{name: getattr(found, name) for name in names}}


def _text(found: Verified) -> str:
    lines = [found.words[0].upper() + found.words[1:]]
    lines += [f"  {clean(fault)}" for fault in found.faults]
    lines.append(
        f"{found.entries} entries, {found.signals} bars: {found.recomputed} recomputed, {found.labels} outcomes, "
        f"{found.unchecked} not in the data, {found.late} committed late; {found.heads} head(s) fit"
    )
    rows = [
        [clean(name), number(ic["mean"], 4, sign=True), number(ic["t"], 2), f"{ic['bars']:.0f}"]
        for name, ic in found.rank_ic.items()
    ]
    if rows:
        lines.append(table(rows, ("feature", "rank IC", "t", "bars"), right="lrrr"))
    return "\n".join(lines)
