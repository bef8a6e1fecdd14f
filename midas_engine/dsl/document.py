"""Words about the language, written from the registry so that they cannot drift from it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from midas_engine.dsl.doubts import doubts
from midas_engine.dsl.expression import as_expression
from midas_engine.dsl.measures import complexity
from midas_engine.dsl.nodes import Call, Column, Node, Number, number_text
from midas_engine.dsl.registry import OPERATORS, Operator
from midas_engine.settings import LEAST_WINDOW_BARS, DslLimits

if TYPE_CHECKING:
    from collections.abc import Collection

_TITLES = {
    "arithmetic": "Arithmetic",
    "logic": "Comparisons and conditions",
    "time_series": "Time series",
    "cross_section": "Cross-section",
    "technical": "Technical indicators",
}
COLUMN_DOCS = {
    "open": "first price of the bar",
    "high": "highest price",
    "low": "lowest price",
    "close": "last price",
    "volume": "base quantity traded",
    "quote_volume": "quote value traded",
    "vwap": "quote_volume / volume where it is not stored",
    "trades": "number of trades",
    "cap": "market capitalisation in quote currency, where the data has it",
    "sector": "label of the symbol's group, where the data has it; so is any name ending in `sector`, `industry`, "
    "`cluster` or `group`",
    "bid_volume": "base quantity bid",
    "ask_volume": "base quantity offered",
    "taker_buy_volume": "base quantity bought by takers",
    "open_interest": "contracts outstanding at the close of the bar",
    "funding_rate": "last funding rate settled by the close of the bar",
    "mark_close": "mark price at the close of the bar",
    "returns": "close / previous close - 1",
}


def explain(expr: Any, columns: Collection[str] | None = None) -> str:
    """An expression in words: its tree with a line on each operator, what it needs and what is doubtful.

    Args:
        expr: Text or `Expression`.
        columns: The columns that exist; None accepts any.

    Raises:
        ExpressionError: It is refused.
    """
    expression = as_expression(expr, columns=columns)
    weight = complexity(expression)
    fading = " (recursive: older bars weigh less than 1e-9)" if expression.recursive else ""
    chosen = _count(weight.free_parameters, "chosen number")
    lines = [expression.text, "", *_tree(expression.ast, "", "", set())]
    lines += [
        "",
        f"columns    {', '.join(expression.columns) or 'none'}",
        f"memory     {_count(expression.lookback, 'bar')} of past{fading}",
        (
            f"weight     {_count(weight.nodes, 'node')}, {_count(weight.operators, 'operator')}, {chosen}, "
            f"depth {weight.depth}"
        ),
        f"canonical  {expression.canonical}",
        f"hash       {expression.hash}   family {expression.family}",
    ]
    if expression.lineage:
        lines.append(f"built on   {', '.join(expression.lineage)}")
    lines += [f"{w.about:<10} {w.message} (column {w.position + 1})" for w in doubts(expression)]
    return "\n".join(lines)


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _tree(node: Node, first: str, rest: str, told: set[str]) -> list[str]:
    """One line a node; what an operator or a column means is told once."""
    if isinstance(node, Number):
        return [first + number_text(node.value)]
    if isinstance(node, Column):
        return [first + node.name + _meaning(node.name, COLUMN_DOCS.get(node.name, "a column of the data"), told)]
    operator = OPERATORS[node.op]
    literals = ", ".join(f"{p.name}={number_text(v)}" for p, v in zip(operator.literals, node.params, strict=True))
    lines = [f"{first}{node.op}{f'({literals})' if literals else ''}{_meaning(node.op, operator.doc, told)}"]
    for i, arg in enumerate(node.args):
        last = i == len(node.args) - 1
        lines += _tree(arg, rest + ("└─ " if last else "├─ "), rest + ("   " if last else "│  "), told)
    return lines


def _meaning(name: str, doc: str, told: set[str]) -> str:
    if name in told:
        return ""
    told.add(name)
    return f"  - {doc}"


def skill_document() -> str:
    """The language as a Markdown document, for people and for models that write expressions."""
    limits = DslLimits()
    lines = [
        "# The Midas expression language",
        "",
        "One expression is one feature: a number for every bar and symbol, computed from that bar and the past.",
        "",
        "- A window or shift is a positive integer written out, in bars. Nothing can reach forward.",
        f"- Limits: {limits.depth} operators deep, {limits.nodes} nodes, {limits.text_bytes} bytes of text,",
        f"  windows up to {limits.lookback} of bars, or {LEAST_WINDOW_BARS} bars where those are longer.",
        "- Names are lower case. `+ - * / **`, `< <= > >= == !=`, `and or not` and brackets may be written as usual.",
        "- Missing is NaN. A window gives a value when at least half of its bars are valid; division by zero, the",
        "  logarithm of 0 or less and overflow are NaN. No value is ever infinite.",
        "- A condition is 1 or 0; anything greater than 0 counts as true.",
        "- Cross-sectional operators compare the symbols of one bar and are refused on one symbol.",
        "- A label (sector, cluster) is a number that only says same or other. It goes into `cs_group_mean`,",
        "  `cs_group_demean`, `cs_group_rank`, `==` and `!=`; anything else refuses it. A condition is a label too.",
        "- A saved feature can be used by its name.",
        "",
        "## Columns",
        "",
        "Those of the data at hand, usually:",
        "",
        "| column | meaning |",
        "| --- | --- |",
        *(f"| `{name}` | {text} |" for name, text in COLUMN_DOCS.items()),
    ]
    for family, title in _TITLES.items():
        lines += ["", f"## {title}", "", "| operator | meaning | past (bars) | example |", "| --- | --- | --- | --- |"]
        lines += [_row(o) for o in OPERATORS.values() if o.family == family]
    return "\n".join(lines) + "\n"


def _row(operator: Operator) -> str:
    spelled = f"`{operator.signature}`" + (f" or `{operator.infix}`" if operator.infix else "")
    memory = "0"
    if operator.literals:
        example = _first_call(as_expression(operator.example).ast, operator.name)
        memory = "grows with the window" if example is None else str(operator.memory(example.params))
        if operator.recursive:
            memory += ", fading"
        memory += " in the example" if memory not in ("0", "grows with the window") else ""
    return f"| {spelled} | {operator.doc.replace('|', chr(92) + '|')} | {memory} | `{operator.example}` |"


def _first_call(node: Node, name: str) -> Call | None:
    if not isinstance(node, Call):
        return None
    if node.op == name:
        return node
    return next((found for a in node.args if (found := _first_call(a, name)) is not None), None)
