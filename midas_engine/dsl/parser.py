"""From text to a typed tree: a Pratt parser whose nesting is bounded, so that no text can exhaust the stack.

Precedence, loosest first: `or`, `and`, `not`, comparisons (not chained), `+ -`, `* /`, unary `-`, `**`.
Windows and shifts are positive integer literals and nothing else; that is why no spelling can look ahead.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from midas_engine.dsl.build import Builder
from midas_engine.dsl.nodes import Call, Column, Node, Number
from midas_engine.dsl.registry import OPERATORS
from midas_engine.dsl.tokens import Kind, Token, tokenize
from midas_engine.errors import ExpressionSyntaxError, LimitError
from midas_engine.settings import DslLimits

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

_POWER = 70
_UNARY = 60
_BINDING = {
    "or": 10, "and": 20, "<": 40, "<=": 40, ">": 40, ">=": 40, "==": 40, "!=": 40,
    "+": 50, "-": 50, "*": 55, "/": 55, "**": _POWER,
}  # fmt: skip
_NOT = 30
_COMPARISON = 40
# Brackets and operands inside one another; each costs three stack frames of the parser.
_NESTING = 100


def parse_tree(
    text: str,
    *,
    columns: Collection[str] | None,
    limits: DslLimits,
    resolve: Callable[[str, Token], Node | None],
) -> Node:
    """Parse one text; `resolve` turns a feature's name into its tree, or gives None."""
    check_text(text, limits)
    parser = _Parser(text, tokenize(text), Builder(text, limits, columns, resolve))
    return parser.whole()


def check_text(text: object, limits: DslLimits) -> None:
    """Refuse what is not text or too much of it, before looking at it."""
    if not isinstance(text, str):
        raise ExpressionSyntaxError(f"an expression is text, not {type(text).__name__}")
    size = len(text)
    if size <= limits.text_bytes:
        size = len(text.encode("utf-8", "surrogatepass"))
    if size > limits.text_bytes:
        raise LimitError(
            f"the expression has {size} bytes, more than the limit dsl.text_bytes = {limits.text_bytes}",
            text=text[:80],
            hint="split it and use features by name",
        )


class _Parser:
    def __init__(self, text: str, tokens: list[Token], build: Builder) -> None:
        self.text = text
        self.tokens = tokens
        self.build = build
        self.at = 0
        self.nesting = 0

    def whole(self) -> Node:
        if self.tokens[0].kind is Kind.END:
            raise ExpressionSyntaxError(
                "the expression is empty", text=self.text, hint="for example: returns(close, 24)"
            )
        node = self.expression(0)
        token = self.tokens[self.at]
        if token.kind is not Kind.END:
            raise self.unexpected(token)
        return self.build.finish(node)

    def expression(self, floor: int) -> Node:
        self.nesting += 1
        if self.nesting > _NESTING:
            token = self.tokens[self.at]
            raise LimitError(
                f"brackets are nested more than {_NESTING} deep",
                text=self.text,
                position=token.position,
                hint=f"the limit dsl.depth = {self.build.limits.depth} bounds operators anyway",
            )
        left = self.prefix()
        while True:
            token = self.tokens[self.at]
            binding = _BINDING.get(token.text, -1) if token.kind in (Kind.SYMBOL, Kind.NAME) else -1
            if binding < floor or binding < 0:
                break
            self.at += 1
            # A power binds to the right; everything else to the left.
            right = self.expression(binding if token.text == "**" else binding + 1)
            left = self.build.infix(token, left, right)
            following = self.tokens[self.at]
            if binding == _COMPARISON and _BINDING.get(following.text) == _COMPARISON:
                raise ExpressionSyntaxError(
                    "comparisons cannot be chained",
                    text=self.text,
                    position=following.position,
                    length=following.end - following.position,
                    hint="write a < b and b < c",
                )
        self.nesting -= 1
        return left

    def prefix(self) -> Node:
        """A run of signs or `not`, then an operand; the run is a loop, so `-----x` costs no stack."""
        signs: list[Token] = []
        while True:
            token = self.tokens[self.at]
            if (
                token.text in ("-", "+")
                and token.kind is Kind.SYMBOL
                or token.text == "not"
                and self.tokens[self.at + 1].text != "("
            ):
                signs.append(token)
            else:
                break
            self.at += 1
        if not signs:
            return self.operand()
        node = self.expression(_NOT if signs[-1].text == "not" else _UNARY)
        for sign in reversed(signs):
            node = self.build.prefix(sign, node)
        return node

    def operand(self) -> Node:
        token = self.tokens[self.at]
        self.at += 1
        if token.kind is Kind.NUMBER:
            return self.build.number(token)
        if token.kind is Kind.NAME:
            if self.tokens[self.at].text == "(":
                return self.call(token)
            if token.text in ("and", "or", "not"):
                raise self.unexpected(token)
            return self.build.name(token)
        if token.text == "(" and token.kind is Kind.SYMBOL:
            node = self.expression(0)
            self.expect(")", token)
            return node
        raise self.unexpected(token)

    def call(self, name: Token) -> Node:
        operator = self.build.operator(name)
        opening = self.tokens[self.at]
        self.at += 1
        args: list[Node] = []
        if self.tokens[self.at].text != ")":
            while True:
                args.append(self.expression(0))
                if self.tokens[self.at].text != ",":
                    break
                self.at += 1
                if len(args) > len(operator.params):
                    break
        closing = self.tokens[self.at]
        if len(args) <= len(operator.params):
            self.expect(")", opening)
        return self.build.call(operator, name, closing, args)

    def expect(self, symbol: str, opening: Token) -> None:
        token = self.tokens[self.at]
        if token.text != symbol:
            if token.kind is Kind.END:
                raise ExpressionSyntaxError(
                    "this bracket is never closed", text=self.text, position=opening.position, hint="add )"
                )
            raise self.unexpected(token)
        self.at += 1

    def unexpected(self, token: Token) -> ExpressionSyntaxError:
        if token.kind is Kind.END:
            message = "the expression ends where a value is expected"
        elif token.text == ")" and self.nesting <= 1:
            message = "this bracket was never opened"
        else:
            message = f"{token.text!r} is not expected here"
        return ExpressionSyntaxError(
            message, text=self.text, position=token.position, length=max(1, token.end - token.position)
        )


@lru_cache(maxsize=1024)
def _template(op: str, params: tuple[int | float, ...]) -> Node:
    """An operator's template with its literals filled in; its series arguments are columns named `$name`."""
    operator = OPERATORS[op]
    values: dict[str, Node] = {p.name: Column(f"${p.name}") for p in operator.params[: operator.arity]}
    values |= {p.name: Number(float(v)) for p, v in zip(operator.literals, params, strict=True)}
    limits = DslLimits(depth=64, nodes=10_000, lookback_bars=10**6, total_lookback_bars=10**7)
    return parse_tree(operator.expand, columns=(), limits=limits, resolve=lambda name, token: values.get(name))


def _filled(node: Node, values: dict[str, Node]) -> Node:
    if isinstance(node, Column):
        return values.get(node.name, node)
    if isinstance(node, Call):
        return Call(node.op, tuple(_filled(a, values) for a in node.args), node.params, node.position, node.end)
    return node


def expanded(node: Node) -> Node:
    """The tree with every expanding operator replaced by what it computes; shared parts stay shared."""
    done: dict[int, Node] = {}

    def visit(current: Node) -> Node:
        if not isinstance(current, Call):
            return current
        if id(current) in done:
            return done[id(current)]
        args = tuple(visit(a) for a in current.args)
        operator = OPERATORS[current.op]
        result: Node
        if operator.expand:
            values = {f"${p.name}": a for p, a in zip(operator.params, args, strict=False)}
            result = visit(_filled(_template(current.op, current.params), values))
        else:
            unchanged = all(a is b for a, b in zip(args, current.args, strict=True))
            result = current if unchanged else Call(current.op, args, current.params, current.position, current.end)
        done[id(current)] = result
        return result

    return visit(node)
