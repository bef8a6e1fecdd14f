"""`parse`: one text to one `Expression`, with features used by name, their lineage and no cycles."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from midas_engine.dsl.canonical_form import canonical_text, family_text, text_hash
from midas_engine.dsl.nodes import Call, Node, columns_of, walk
from midas_engine.dsl.parser import parse_tree
from midas_engine.dsl.registry import OPERATORS
from midas_engine.dsl.spelling import spelled
from midas_engine.errors import ExpressionError, ExpressionTypeError
from midas_engine.settings import DslLimits

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from midas_engine.dsl.tokens import Token

_COMPOSITION_DEPTH = 16


@dataclass(frozen=True, slots=True)
class Expression:
    """A checked expression.

    Attributes:
        text: As written.
        ast: The tree, features replaced by their trees.
        columns: The columns read.
        lookback: Bars of past needed for a value, warm-up of recursive operators included.
        lineage: Names of the features it was built from, direct and indirect, sorted.
    """

    text: str
    ast: Node
    columns: tuple[str, ...]
    lookback: int
    lineage: tuple[str, ...] = ()
    _memo: dict[str, str] = field(default_factory=dict, compare=False, repr=False)

    @property
    def canonical(self) -> str:
        """One text for all spellings of the same feature."""
        return self._lazily("canonical")

    @property
    def hash(self) -> str:
        """Equal for equal features; 16 hex digits."""
        return text_hash(self.canonical)

    @property
    def family(self) -> str:
        """Equal for features that differ by scale, sign or an added constant only; 16 hex digits."""
        return text_hash(self._lazily("family"))

    @property
    def standalone(self) -> str:
        """The text with every feature's name replaced by its expression; as written when it uses none."""
        return spelled(self.ast) if self.lineage else self.text

    @property
    def recursive(self) -> bool:
        """Whether an operator's past fades instead of ending."""
        return any(isinstance(n, Call) and OPERATORS[n.op].recursive for n in walk(self.ast))

    def _lazily(self, what: str) -> str:
        if what not in self._memo:
            self._memo[what] = canonical_text(self.ast) if what == "canonical" else family_text(self.ast)
        return self._memo[what]


def parse(
    text: str,
    *,
    columns: Collection[str] | None = None,
    limits: DslLimits | None = None,
    features: Mapping[str, str] | None = None,
) -> Expression:
    """Check a text and build its tree.

    Args:
        text: The expression.
        columns: The columns of the data at hand; None accepts any lower-case name.
        limits: Size limits; None takes the defaults.
        features: Expressions usable by name; a column of the same name wins.

    Raises:
        ExpressionError: What is wrong, where, and what to write instead.

    Example:
        >>> parse("close / delay(close, 24) - 1").lookback
        24
    """
    known = limits if limits is not None else DslLimits()
    resolver = _Resolver(columns, known, features or {})
    ast = parse_tree(text, columns=columns, limits=known, resolve=resolver)
    used = columns_of(ast)
    if not used:
        raise ExpressionTypeError(
            "the expression reads no column: it is the same number everywhere", text=text, length=len(text.rstrip())
        )
    return Expression(text, ast, used, memory_of(ast), tuple(sorted(resolver.lineage)))


def memory_of(node: Node) -> int:
    """Bars of past a tree needs."""
    seen: dict[int, int] = {}

    def visit(current: Node) -> int:
        if not isinstance(current, Call):
            return 0
        if id(current) not in seen:
            below = max((visit(a) for a in current.args), default=0)
            seen[id(current)] = below + OPERATORS[current.op].memory(current.params)
        return seen[id(current)]

    return visit(node)


class _Resolver:
    """Replaces a feature's name by its tree, once, refusing cycles."""

    def __init__(self, columns: Collection[str] | None, limits: DslLimits, features: Mapping[str, str]) -> None:
        self.columns = columns
        self.limits = limits
        self.features = features
        self.lineage: set[str] = set()
        self._trees: dict[str, Node] = {}
        self._stack: list[str] = []

    def __call__(self, name: str, token: Token) -> Node | None:
        if name not in self.features:
            return None
        self.lineage.add(name)
        if name in self._trees:
            return self._trees[name]
        if name in self._stack:
            path = " -> ".join([*self._stack[self._stack.index(name) :], name])
            raise ExpressionError(f"features use one another in a circle: {path}")
        if len(self._stack) >= _COMPOSITION_DEPTH:
            raise ExpressionError(f"features are built on features more than {_COMPOSITION_DEPTH} levels deep")
        self._stack.append(name)
        try:
            tree = parse_tree(self.features[name], columns=self.columns, limits=self.limits, resolve=self)
        except ExpressionError as error:
            if not error.message.startswith("feature "):
                error.message = f"feature {name!r}: {error.message}"
            raise
        finally:
            self._stack.pop()
        self._trees[name] = tree
        return tree


@lru_cache(maxsize=4096)
def _plain(text: str) -> Expression:
    return parse(text)


def canonical(text: str) -> str:
    """The canonical form of a text: equal for equal features.

    Example:
        >>> canonical("close*2 + close") == canonical("3 * close")
        True
    """
    return _plain(text).canonical


def expression_hash(text: str) -> str:
    """The hash of the canonical form."""
    return _plain(text).hash


def as_expression(expr: Any, **known: Any) -> Expression:
    """An expression from text, or itself."""
    return expr if isinstance(expr, Expression) else parse(expr, **known)
