"""`midas kb`: the knowledge base's own health."""

from __future__ import annotations

import os
from pathlib import Path

import click

from midas_engine.cli.context import LazyGroup, Shared, Verb, pass_shared
from midas_engine.cli.open_base import open_base
from midas_engine.cli.output import clean, paint, table
from midas_engine.errors import NameRefusedError
from midas_engine.text import number

_COLOURS = {"error": "red", "warning": "yellow"}


@click.group(cls=LazyGroup)
def kb() -> None:
    """The knowledge base itself."""


@kb.command("check", cls=Verb, example="midas kb check --kb ./midas-kb")
@pass_shared
def check(shared: Shared) -> None:
    """Read every document and the journal, and name what is damaged.

    The exit code is 1 when something cannot be used.
    """
    settings = shared.base_settings()
    problems = open_base(settings, read_only=True).check()
    ok = all(p.severity != "error" for p in problems)

    def text() -> str:
        lines = [
            f"{paint(p.severity, _COLOURS.get(p.severity, 'white'))}  {clean(p.path)}: {clean(p.message)}\n"
            f"  {clean(p.advice)}"
            for p in problems
        ]
        return "\n".join(lines or [f"{clean(settings.kb)}: every document reads well."])

    shared.show({"kb": settings.kb, "ok": ok, "problems": problems}, text)
    if not ok:
        raise click.exceptions.Exit(1)


@kb.command("kills", cls=Verb, example=("midas kb kills --kb ./midas-kb", "midas kb kills --rebuild"))
@click.option("--rebuild", is_flag=True, help="Make kills.log anew from what can be read, and believe it.")
@pass_shared
def kills(shared: Shared, rebuild: bool) -> None:
    """Show the kills that hold, who gave them, and whether on_kill was called.

    With --rebuild the kill file is made anew from its own sound lines and the feature files, and the journal's damaged
    copy is left behind: for when a monitor refuses to start because too little is left to know who is killed.
    """
    base = open_base(shared.settings() if rebuild else shared.base_settings(), read_only=not rebuild)
    if rebuild:
        from midas_engine.journal import Journal
        from midas_engine.monitor.kill.records import KillRecords

        base.check_writable()
        with Journal(base.journal_path, clock=base.clock) as journal:
            KillRecords(journal, base.kill_file, base.features).rebuild()
    state = base.kill_file.read()
    found = sorted(state.kills.values(), key=lambda kill: kill.at)

    def text() -> str:
        rows = [[k.feature, k.at[:16], k.actor, k.via, "told" if k.told else "pending", clean(k.reason)] for k in found]
        body = (
            table(rows, ("feature", "at (UTC)", "by", "in", "on_kill", "reason")) if rows else "No feature is killed."
        )
        return f"{paint('damaged', 'red')}  {clean(state.damage)}\n{body}" if state.damage else body

    shared.show({"kills": found, "damage": state.damage}, text)
    if state.damage:
        raise click.exceptions.Exit(1)


@kb.command(
    "search", cls=Verb, example=('midas kb search "mean reversion of overshoots"', "midas kb search funding --n 5")
)
@click.argument("text")
@click.option("--n", "count", type=click.IntRange(1, 1_000), default=10, show_default=True, help="How many.")
@pass_shared
def search(shared: Shared, text: str, count: int) -> None:
    """Find what the base knows: learnings, features and tried forms, by words, columns, operators and families.

    A text that names a family of signals ("trend following") finds what belongs to it (momentum).
    """
    from midas_engine.memory.reading import read_trials
    from midas_engine.memory.search import everything, words_of
    from midas_engine.memory.search import search as find

    base = open_base(shared.base_settings(), read_only=True)
    found = find(everything(base.learnings(), base.features(), read_trials(base)), text, count)

    def told() -> str:
        lines = [f"{h.kind:<8}  {clean(h.where)[:200]}\n  {clean(h.title)}\n  {clean(h.excerpt)}" for h in found]
        if lines:
            return "\n".join(lines)
        if not words_of(text):
            return "The text holds no word to look for: give one, a column, an operator or a family."
        return f"Nothing here speaks of {clean(text)[:200]}."

    shared.show({"text": text, "found": found}, told)


@kb.command("stats", cls=Verb, example=("midas kb stats", "midas kb stats --json"))
@click.option("--n", "count", type=click.IntRange(1, 1_000), default=10, show_default=True, help="Forms shown.")
@pass_shared
def stats(shared: Shared, count: int) -> None:
    """Show what tries taught in figures: chance by family, horizon and cost, forms, calibration of proposers, lessons.

    All figures are of research parts. What a feature costs is a multiple of its turnover a bar. A Brier score
    is the mean squared distance of a stated chance and what came; 0.25 is what a coin's would be.
    """
    from midas_engine.memory.calibration import calibrations
    from midas_engine.memory.evidence import read_evidence
    from midas_engine.memory.lessons import standing
    from midas_engine.memory.reading import read_trials
    from midas_engine.memory.tries import chances, tried_forms

    base = open_base(shared.base_settings(), read_only=True)
    trials = read_trials(base)
    rows, forms, calibration = chances(trials), tried_forms(trials)[:count], calibrations(trials)
    known = read_evidence(base)
    lessons = [held for held in (standing(d, known) for d in base.learnings()) if held.confirmed or held.contradicted]

    def told() -> str:
        if not trials:
            return "Nothing was tried yet."
        cells = [[r.family, str(r.horizon), r.band, str(r.tries), str(r.passed), f"{r.chance:.3f}"] for r in rows]
        parts = [table(cells,
                       ("family", "horizon", "turnover", "tries", "passed", "chance"))]  # fmt: skip
        parts += ["\n".join(clean(form.line) for form in forms)]
        if calibration:
            parts += [table(
                [[clean(c.proposer), c.family, str(c.claims), number(c.stated, 2), number(c.signs, 2),
                  number(c.brier_sign, 3), number(c.brier_horizon, 3)] for c in calibration],
                ("proposer", "family", "claims", "stated", "sign held", "Brier sign", "Brier horizon"),
            )]  # fmt: skip
        parts += [f"{clean(held.title)}: {clean(held.reason)}" for held in lessons]
        return "\n\n".join(parts)

    shared.show({"chances": rows, "forms": forms, "calibration": calibration, "lessons": lessons}, told)


@kb.command("revoke", cls=Verb, example='midas kb revoke knowledge/learnings/offline/X.md --reason "wrong data"')
@click.argument("path")
@click.option("--reason", required=True, help="Why; kept beside it.")
@pass_shared
def revoke(shared: Shared, path: str, reason: str) -> None:
    """Set a learning aside, so that no later prompt quotes it."""
    if not reason.strip():
        raise NameRefusedError("revoke needs a reason", hint='say why, such as --reason "it was of wrong data"')
    base = open_base(shared.settings(), read_only=False)
    here, root = Path(path).resolve(), base.path.resolve()  # as a shell completes it from where one is
    named = here.relative_to(root).as_posix() if here.is_file() and here.is_relative_to(root) else path
    where = base.revoke_learning(os.path.normpath(named), reason=f"revoked: {reason}")
    shared.show({"path": path, "now": where, "reason": reason}, lambda: f"revoked: it lies in {clean(where)} now")


@kb.command("proposals", cls=Verb, example="midas kb proposals --kb ./midas-kb")
@pass_shared
def proposals(shared: Shared) -> None:
    """Show what the evidence proposes: who graduated from shadow, who is denied, how far the others are.

    A feature that fell short at its sealed look is proposed once sealed and forward evidence together cross the line;
    one that costs alone stand against may be promoted to the book. Nothing moves by itself.
    """
    from midas_engine.journal import Journal
    from midas_engine.models import FeatureState
    from midas_engine.promoter.proposed import proposed

    base = open_base(shared.base_settings(), read_only=True)
    records = [*base.features(FeatureState.SHADOW), *base.features(FeatureState.CANDIDATE)]
    found = []
    if os.path.lexists(base.journal_path):
        with Journal(base.journal_path, read_only=True) as journal:
            found = proposed(records, journal)

    def text() -> str:
        rows = [(clean(p.feature), p.state, p.action, clean(p.words)) for p in found]
        return table(rows, ("feature", "is", "proposed", "because")) if rows else "Nothing is proposed."

    shared.show({"proposals": found}, text)
