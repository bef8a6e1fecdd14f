"""The semantic half of parsing: names, types, literal parameters and limits, each refusal with its place."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from midas_engine.dsl.borrowed_names import FOLDED, FORMS, SAME
from midas_engine.dsl.labels import is_label
from midas_engine.dsl.nodes import Call, Column, Node, Number, number_text
from midas_engine.dsl.registry import OPERATORS, Kind, Operator, Param
from midas_engine.errors import (
    ExpressionError,
    ExpressionTypeError,
    LimitError,
    LookAheadError,
    UnknownNameError,
)
from midas_engine.text import nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from midas_engine.dsl.tokens import Token
    from midas_engine.settings import DslLimits

INFIX = {
    "+": "add", "-": "sub", "*": "mul", "/": "div", "**": "power", "<": "lt", "<=": "le", ">": "gt", ">=": "ge",
    "==": "eq", "!=": "ne", "and": "and", "or": "or",
}  # fmt: skip
# A chain of one of these is one level deep however long it is.
_CHAINS = ({"add", "sub"}, {"mul", "div"}, {"and"}, {"or"})
# Names of things only the future knows.
_FUTURE = re.compile(
    r"(fwd|forward|future|next|lead|target|label|tomorrow)(_|$)|ret_\d+[mhd]?$|.*_(fwd|forward|future|lead|next)(_|$)"
)
# Trees are walked recursively; the interpreter's stack allows far more than this.
_HEIGHT = 200
# What is meant where a label stands as an argument.
_GROUPED = {"cs_neutralize": "cs_group_demean(x, {})", "cs_demean": "cs_group_demean(x, {})"}
_ANY_GROUP = "cs_group_rank(x, {0}), cs_group_mean(x, {0}) or cs_group_demean(x, {0})"
_SIGNS = str.maketrans("", "", "+- ()")


def _elsewhere(name: str) -> str:
    """What an operator of another library is called here."""
    if name in FORMS:
        return "here that is " + " or ".join(form.format("x", "n", "m", "k") for form in FORMS[name])
    here = SAME.get(name) or FOLDED.get(name, "")
    return f"here that is {OPERATORS[here].signature}" if here in OPERATORS and here != name else ""


class Builder:
    """Builds nodes and refuses wrong ones.

    Args:
        text: The whole expression, for messages.
        limits: Size limits.
        columns: The columns that exist; None accepts any name.
        resolve: Turns a feature's name into its tree.
    """

    def __init__(
        self,
        text: str,
        limits: DslLimits,
        columns: Collection[str] | None,
        resolve: Callable[[str, Token], Node | None],
    ) -> None:
        self.text = text
        self.limits = limits
        self.columns = columns
        self.resolve = resolve
        self.count = 0
        # id -> (node, operator depth, height, size, bars of past); the node keeps the id alive.
        self._measures: dict[int, tuple[Node, int, int, int, int]] = {}

    def number(self, token: Token) -> Node:
        """A literal."""
        value = float(token.text)
        if value in (float("inf"), float("-inf")):
            raise self._error(LimitError, f"{token.text} is larger than a 64-bit number", token.position, token.end)
        self._counted(token.position, token.end)
        # An integer spelling is remembered by its end: only such a literal may be a window.
        return Number(value, token.position, token.end)

    def name(self, token: Token) -> Node:
        """A column or a feature."""
        name = token.text
        if self.columns is not None and name in self.columns:
            self._counted(token.position, token.end)
            return Column(name, token.position, token.end)
        tree = self.resolve(name, token)
        if tree is not None:
            if isinstance(tree, Call):
                # A feature is a leaf to the depth limit: its own text has met it already.
                _, height, size, memory = self._measure(tree)
                self._measures[id(tree)] = (tree, 0, height, size, memory)
            return tree
        free = self.columns is None and name == name.lower() and not _FUTURE.match(name)
        if free and (name not in OPERATORS or name == "returns"):
            self._counted(token.position, token.end)
            return Column(name, token.position, token.end)
        raise self._unknown(token)

    def operator(self, token: Token) -> Operator:
        """The operator of a call."""
        if token.text in OPERATORS:
            return OPERATORS[token.text]
        near = _elsewhere(token.text.lower()) or self._near(token.text, OPERATORS)
        if not near:
            near = "the operators are listed by `midas dsl list`"
        raise self._error(UnknownNameError, f"there is no operator {token.text!r}", token.position, token.end, near)

    def infix(self, token: Token, left: Node, right: Node) -> Node:
        """A binary operator."""
        return self._node(INFIX[token.text], (left, right), (), left.position, right.end)

    def prefix(self, token: Token, node: Node) -> Node:
        """A sign or `not`; a sign folds into a literal."""
        if token.text == "+":
            return node
        if token.text == "-" and isinstance(node, Number):
            return Number(-node.value, token.position, node.end)
        return self._node("neg" if token.text == "-" else "not", (node,), (), token.position, node.end)

    def call(self, operator: Operator, name: Token, closing: Token, args: list[Node]) -> Node:
        """An operator with its written arguments; defaults are filled in."""
        if len(args) == 2 and isinstance(args[1], Column) and is_label(args[1].name) and operator.name == "cs_rank":
            raise self._error(
                ExpressionTypeError, "cs_rank takes 1 argument and ranks all symbols", name.position, name.end,
                f"within groups write cs_group_rank(x, {args[1].name})",
            )  # fmt: skip
        if not operator.required <= len(args) <= len(operator.params):
            wanted = str(operator.required)
            if operator.required != len(operator.params):
                wanted += f" to {len(operator.params)}"
            given = f"{len(args)}" if len(args) <= len(operator.params) else f"more than {len(operator.params)}"
            raise self._error(
                ExpressionTypeError,
                f"{operator.name} takes {wanted} argument{'s' if wanted != '1' else ''}, not {given}",
                name.position,
                name.end,
                f"write {operator.signature}, for example {operator.example}",
            )
        arity = operator.arity
        params: list[int | float] = []
        for i, param in enumerate(operator.literals):
            if arity + i < len(args):
                params.append(self._literal(operator, param, args[arity + i]))
            else:
                assert param.default is not None
                params.append(int(param.default) if param.kind is Kind.WINDOW else float(param.default))
        if operator.name == "clip" and params[0] > params[1]:
            message = f"clip's low {number_text(params[0])} is above its high {number_text(params[1])}"
            raise self._error(ExpressionTypeError, message, args[1].position, args[2].end)
        return self._node(operator.name, tuple(args[:arity]), tuple(params), name.position, closing.end)

    def finish(self, node: Node) -> Node:
        """Whole-expression checks."""
        depth, _, _, memory = self._measure(node)
        limits = self.limits
        if isinstance(node, Column) and is_label(node.name):
            raise self._error(
                ExpressionTypeError, f"{node.name} is a label, its number measures nothing", node.position, node.end,
                f"for groups write {_ANY_GROUP.format(node.name)}",
            )  # fmt: skip
        if depth > limits.depth:
            raise self._error(
                LimitError, f"operators are nested {depth} deep, more than the limit dsl.depth = {limits.depth}",
                node.position, node.end, "save an inner part as a feature and use it by name",
            )  # fmt: skip
        if memory > limits.memory_bars:
            raise self._error(
                LimitError,
                f"the expression needs {memory} bars of past, more than the limit of {limits.memory_bars} "
                f"(dsl.total_lookback)",
                node.position, node.end, "shorten the windows that stand inside one another",
            )  # fmt: skip
        return node

    # -- pieces --------------------------------------------------------------------------------

    def _literal(self, operator: Operator, param: Param, node: Node) -> int | float:
        if param.kind is Kind.WINDOW:
            return self._window(operator, param, node)
        if not isinstance(node, Number):
            raise self._error(
                ExpressionTypeError, f"{param.name} of {operator.name} must be a number written out",
                node.position, node.end, f"for example {operator.example}",
            )  # fmt: skip
        if not param.low <= node.value <= param.high:
            raise self._error(
                ExpressionTypeError,
                f"{param.name} of {operator.name} must lie between {param.low:g} and {param.high:g}",
                node.position, node.end,
            )  # fmt: skip
        return node.value

    def _window(self, operator: Operator, param: Param, node: Node) -> int:
        what = f"{param.name} of {operator.name}"
        example = f"for example {operator.example}"
        if not isinstance(node, Number):
            raise self._error(
                LookAheadError, f"{what} must be a positive integer written out, it cannot be computed",
                node.position, node.end, example,
            )  # fmt: skip
        if node.value < 0:
            raise self._error(
                LookAheadError, f"{what} is negative: the expression would see the future",
                node.position, node.end, "only the past can be used; count bars back with a positive integer",
            )  # fmt: skip
        spelled = self.text[node.position : node.end] if 0 <= node.end <= len(self.text) else ""
        if node.end and not (spelled.isascii() and spelled.isdigit()) and self._owns(node, spelled):
            raise self._error(
                ExpressionTypeError, f"{what} must be a whole number of bars", node.position, node.end, example
            )
        if node.value > self.limits.window_bars:
            raise self._error(
                LimitError, f"{what} is {node.value:.6g} bars, more than the limit of {self.limits.window_bars} "
                f"(dsl.lookback)",
                node.position, node.end,
            )  # fmt: skip
        if node.value < max(1, param.low) or not float(node.value).is_integer():
            least = int(max(1, param.low))
            raise self._error(ExpressionTypeError, f"{what} must be at least {least}", node.position, node.end, example)
        return int(node.value)

    def _owns(self, node: Number, spelled: str) -> bool:
        """Whether the literal stands in this text (a template's argument stands in another)."""
        try:
            # Signs cancel out (--1 is 1), and a computed figure is still not a written one.
            return float(spelled.translate(_SIGNS)) == abs(node.value)
        except ValueError:
            return False

    def _node(self, op: str, args: tuple[Node, ...], params: tuple[int | float, ...], start: int, end: int) -> Node:
        self._counted(start, end)
        self._measures_only(op, args)
        node = Call(op, args, params, start, end)
        _, height, size, _ = self._measure(node)
        if height > _HEIGHT or size > self.limits.nodes:
            over = (
                f"the expression has more nodes than the limit dsl.nodes = {self.limits.nodes}"
                if size > self.limits.nodes
                else f"the expression is a chain of more than {_HEIGHT} operators (dsl.depth = {self.limits.depth})"
            )
            raise self._error(LimitError, over, start, end, "save a part as a feature and use it by name")
        return node

    def _measures_only(self, op: str, args: tuple[Node, ...]) -> None:
        """A label is no measure: it may say which group, or be compared for equality."""
        for place, arg in enumerate(args):
            allowed = op in ("eq", "ne") or (place == 1 and op.startswith("cs_group_"))
            if isinstance(arg, Column) and is_label(arg.name) and not allowed:
                raise self._error(
                    ExpressionTypeError, f"{arg.name} is a label, and {op} would take its number for a measure",
                    arg.position, arg.end, f"for groups write {_GROUPED.get(op, _ANY_GROUP).format(arg.name)}",
                )  # fmt: skip

    def _measure(self, node: Node) -> tuple[int, int, int, int]:
        if not isinstance(node, Call):
            return 0, 1, 1, 0
        known = self._measures.get(id(node))
        if known is not None:
            return known[1:]
        parts = [self._measure(a) for a in node.args]
        depth = 0
        for i, (arg, part) in enumerate(zip(node.args, parts, strict=True)):
            chained = i == 0 and isinstance(arg, Call) and any(node.op in c and arg.op in c for c in _CHAINS)
            depth = max(depth, part[0] + (0 if chained or node.op == "neg" else 1))
        memory = max((p[3] for p in parts), default=0) + OPERATORS[node.op].memory(node.params)
        measure = (
            depth,
            1 + max((p[1] for p in parts), default=0),
            1 + len(node.params) + sum(p[2] for p in parts),
            memory,
        )
        self._measures[id(node)] = (node, *measure)
        return measure

    def _counted(self, start: int, end: int) -> None:
        self.count += 1
        # Literals and columns of a refused tree count too: work is bounded before the tree is whole.
        if self.count > 2 * self.limits.nodes + 10:
            message = f"the expression has more nodes than the limit dsl.nodes = {self.limits.nodes}"
            raise self._error(LimitError, message, start, end)

    def _unknown(self, token: Token) -> ExpressionError:
        name = token.text
        if _FUTURE.match(name.lower()):
            return self._error(
                LookAheadError, f"{name!r} would be the future: an expression sees columns of past bars only",
                token.position, token.end,
            )  # fmt: skip
        if name in OPERATORS:
            operator = OPERATORS[name]
            hint = f"{name} is an operator: write {operator.signature}"
            return self._error(UnknownNameError, f"there is no column {name!r}", token.position, token.end, hint)
        there = sorted(self.columns or ())
        hint = self._near(name, there)
        if there:
            hint = (hint + "; " if hint else "") + "there are: " + ", ".join(there)
        return self._error(UnknownNameError, f"there is no column or feature {name!r}", token.position, token.end, hint)

    def _near(self, name: str, known: Iterable[str]) -> str:
        names = list(known)
        if name.lower() in names:
            return f"names are lower case: {name.lower()}"
        near = nearest(name.lower()[:40], names)
        return f"did you mean {near}?" if near else ""

    def _error(
        self, kind: type[ExpressionError], message: str, start: int, end: int, hint: str = ""
    ) -> ExpressionError:
        return kind(message, text=self.text, position=start, length=max(1, end - start), hint=hint)
