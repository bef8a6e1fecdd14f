"""The typed syntax tree of an expression. Frozen; equality ignores where a node stood in the text."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True)
class Number:
    """A numeric literal; always finite."""

    value: float
    position: int = field(default=0, compare=False)
    end: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the panel."""

    name: str
    position: int = field(default=0, compare=False)
    end: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Call:
    """An operator applied to its arguments; infix spelling is a call too.

    Attributes:
        op: The operator's name.
        args: Series arguments.
        params: Literal parameters (windows as ints, numbers as floats), defaults filled in.
    """

    op: str
    args: tuple[Node, ...]
    params: tuple[int | float, ...] = ()
    position: int = field(default=0, compare=False)
    end: int = field(default=0, compare=False)


Node = Number | Column | Call


def walk(node: Node) -> Iterator[Node]:
    """Every node of the tree, parents before children, left to right."""
    stack = [node]
    while stack:
        current = stack.pop()
        yield current
        if isinstance(current, Call):
            stack.extend(reversed(current.args))


def number_text(value: float | int) -> str:
    """The shortest text that reads back as the same number: 24, 0.5, 1e-09."""
    if isinstance(value, int):
        return str(value)
    return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)


def to_text(node: Node) -> str:
    """The tree in function-call spelling; parses back to an equal tree."""
    if isinstance(node, Number):
        return number_text(node.value)
    if isinstance(node, Column):
        return node.name
    inner = [to_text(arg) for arg in node.args] + [number_text(p) for p in node.params]
    return f"{node.op}({', '.join(inner)})"


def columns_of(node: Node) -> tuple[str, ...]:
    """The columns read, sorted."""
    return tuple(sorted({n.name for n in walk(node) if isinstance(n, Column)}))
