"""`midas dsl`: what the expression language knows, and what it makes of an expression."""

from __future__ import annotations

from typing import Any

import click

from midas_engine.cli.context import ExpressionVerb, LazyGroup, Shared, Verb, pass_shared
from midas_engine.cli.output import clean_block, table


@click.group(cls=LazyGroup)
def dsl() -> None:
    """The expression language: its operators, and what it makes of an expression."""


@dsl.command("list", cls=Verb, example="midas dsl list")
@pass_shared
def list_operators(shared: Shared) -> None:
    """List every operator with its arguments and what it does."""
    from midas_engine.dsl import OPERATORS

    operators = [OPERATORS[name] for name in sorted(OPERATORS)]
    shared.show(
        [{"name": o.name, "signature": o.signature, "doc": o.doc, "example": o.example} for o in operators],
        lambda: table([[o.signature, o.doc] for o in operators], ("operator", "meaning")),
    )


@dsl.command("explain", cls=ExpressionVerb, example='midas dsl explain "cs_rank(-delta(close, 4))"')
@click.argument("expression")
@pass_shared
def explain_expression(shared: Shared, expression: str) -> None:
    """Say what an expression computes, what it needs and what its canonical form is."""
    from midas_engine.cli.judging import named_features
    from midas_engine.dsl import explain, parse

    settings = shared.settings()
    limits = settings.dsl.at(1.0)  # it is explained for bars of any length
    parsed = parse(expression, columns=_columns(shared), limits=limits, features=named_features(settings))
    text = explain(parsed)
    document: dict[str, Any] = {
        "expression": parsed.text,
        "canonical": parsed.canonical,
        "hash": parsed.hash,
        "columns": sorted(parsed.columns),
        "lookback_bars": parsed.lookback,
        "built_on": list(parsed.lineage),
        "explanation": text,
    }
    shared.show(document, lambda: clean_block(text))


@dsl.command("audit", cls=ExpressionVerb, example='midas dsl audit "cs_rank(-delta(close, 4))" --data sample')
@click.argument("expression")
@pass_shared
def audit_expression(shared: Shared, expression: str) -> None:
    """Run an expression on truncated and corrupted futures: what changes the past sees the future."""
    from midas_engine.cli.judging import named_features
    from midas_engine.dsl import audit
    from midas_engine.market import load_panel

    settings = shared.settings()
    panel = load_panel(settings.data, store=settings.store)
    report = audit(expression, panel, limits=settings.dsl, features=named_features(settings))
    shared.show(report, lambda: clean_block(str(report)))
    if not report.ok:
        raise click.exceptions.Exit(1)


def _columns(shared: Shared) -> tuple[str, ...]:
    """The columns of --data when it is given, else every column the language knows."""
    if shared.data is not None:
        from midas_engine.market import load_panel

        return load_panel(shared.data, store=shared.settings().store).columns
    from midas_engine.dsl.document import COLUMN_DOCS

    return tuple(COLUMN_DOCS)
