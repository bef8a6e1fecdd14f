"""Nothing takes more than eight arguments: what belongs together travels as one options object."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from tests.helpers_cli import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MOST = 8
PACKAGES = ("midas", "midas_engine", "midas_tui")
# A compiled kernel takes arrays and numbers; numba knows no dataclass. Who calls it has the object.
KERNELS = ("kernel", "njit")
# The face of the first version, whose keywords people have in their scripts. The list may only shrink: a name that no
# longer needs its place must go, and no count may rise.
EXEMPT: dict[str, int] = {}


def arguments(source: str) -> Iterator[tuple[str, int]]:
    """Every function of a module with how many arguments it names, `self` and `cls` aside; kernels left out."""

    def walk(node: ast.AST, above: tuple[str, ...]) -> Iterator[tuple[str, int]]:
        for child in ast.iter_child_nodes(node):
            inside = above
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                inside = (*above, child.name)
                named = [a.arg for a in (*child.args.posonlyargs, *child.args.args, *child.args.kwonlyargs)]
                if not any(ast.unparse(d).partition("(")[0] in KERNELS for d in child.decorator_list):
                    yield ".".join(inside), len(named) - (named[:1] in (["self"], ["cls"]))
            elif isinstance(child, ast.ClassDef):
                inside = (*above, child.name)
            yield from walk(child, inside)

    yield from walk(ast.parse(source), ())


def long_ones(root: Path) -> dict[str, int]:
    """Functions of the packages under `root` with more than eight arguments."""
    return {
        f"{path.relative_to(root).as_posix()} {name}": count
        for package in PACKAGES
        for path in sorted((root / package).rglob("*.py"))
        for name, count in arguments(path.read_text(encoding="utf-8"))
        if count > MOST
    }


def test_nothing_takes_more_than_eight_arguments() -> None:
    found = long_ones(ROOT)
    new = {name: count for name, count in found.items() if count > EXEMPT.get(name, MOST)}
    assert new == {}, "give what belongs together as one frozen dataclass"
    assert {name for name in EXEMPT if found.get(name) != EXEMPT[name]} == set(), "lower or delete it here"


def test_the_count_sees_what_it_must() -> None:
    nine = ", ".join(f"a{n}" for n in range(9))
    source = (
        f"def plain({nine}): ...\n"
        f"class Thing:\n    def __init__(self, *, {nine}): ...\n    @classmethod\n    async def of(cls, a, /, b): ...\n"
        f"    def one(self):\n        def inner({nine}): ...\n"
        f"@njit(cache=True)\ndef compiled({nine}): ...\n@kernel\ndef short({nine}): ...\n"
    )
    assert dict(arguments(source)) == {
        "plain": 9, "Thing.__init__": 9, "Thing.of": 2, "Thing.one": 0, "Thing.one.inner": 9,
    }  # fmt: skip
