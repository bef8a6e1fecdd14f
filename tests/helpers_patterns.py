"""Every regular expression of the sources, and for each the texts that would hurt it most."""

from __future__ import annotations

import ast
import importlib
import re
import signal
import time
from contextlib import contextmanager
from dataclasses import dataclass
from re import _constants as ops  # type: ignore[attr-defined]
from re import _parser as reader  # type: ignore[attr-defined]
from typing import TYPE_CHECKING, Any

from tests.helpers_cli import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGES = ("midas", "midas_engine", "midas_tui")
CALLS = ("compile", "match", "search", "fullmatch", "findall", "finditer", "split", "sub", "subn")
_CLASSES = {
    ops.CATEGORY_DIGIT: "0", ops.CATEGORY_WORD: "a", ops.CATEGORY_SPACE: " ", ops.CATEGORY_NOT_DIGIT: "a",
    ops.CATEGORY_NOT_WORD: "-", ops.CATEGORY_NOT_SPACE: "a",
}  # fmt: skip


@dataclass(frozen=True)
class Use:
    """One pattern, where it is made and how it is applied; `pattern` is None where it is made at run time."""

    where: str
    pattern: re.Pattern[Any] | None
    methods: tuple[str, ...]


def uses() -> list[Use]:
    """Every pattern: compiled ones as objects of their modules and classes, the others from their calls."""
    found: list[Use] = []
    for path in sorted(p for package in PACKAGES for p in (ROOT / package).rglob("*.py")):
        source = path.read_text(encoding="utf-8")
        if "import re\n" not in source:
            continue
        where, tree = str(path.relative_to(ROOT)), ast.parse(source)
        calls = [n for n in ast.walk(tree) if isinstance(n, ast.Call) and isinstance(n.func, ast.Attribute)]
        compiled = _compiled(where)
        for name, pattern in compiled.items():
            applied = {n.func.attr for n in calls if ast.unparse(n.func.value).split(".")[-1] == name}  # type: ignore[attr-defined]
            found.append(Use(where, pattern, tuple(sorted(applied & set(CALLS))) or CALLS[1:4]))
        texts = {p.pattern for p in compiled.values()}
        for node in calls:
            name = ast.unparse(node.func).removeprefix("re.")
            if name not in CALLS or not ast.unparse(node.func).startswith("re."):
                continue
            literal = _literal(node)
            if name == "compile" and (literal is None and compiled or literal and literal.pattern in texts):
                continue
            found.append(Use(where, literal, (name,) if name != "compile" else CALLS[1:4]))
    return found


def _compiled(where: str) -> dict[str, re.Pattern[Any]]:
    module = importlib.import_module(where.removesuffix(".py").removesuffix("/__init__").replace("/", "."))
    holders = [vars(module), *(vars(c) for c in vars(module).values() if isinstance(c, type))]
    return {n: v for holder in holders for n, v in holder.items() if isinstance(v, re.Pattern)}


def _literal(node: ast.Call) -> re.Pattern[Any] | None:
    try:
        text = ast.literal_eval(node.args[0])
    except (ValueError, IndexError):
        return None
    name = ast.unparse(node.func).removeprefix("re.")
    given = [k.value for k in node.keywords if k.arg == "flags"]
    position = {"compile": 1, "sub": 4, "subn": 4, "split": 3}.get(name, 2)
    given += node.args[position : position + 1]
    flags = 0
    for part in ast.unparse(given[0]).split("|") if given else ():
        flags |= getattr(re, part.strip().removeprefix("re."))
    return re.compile(text, flags)


def hostile_texts(pattern: re.Pattern[Any], size: int) -> Iterator[str]:
    """Runs of every character the pattern speaks of, pairs of them, its own words, and near misses of each.

    The wide family (a run, then any two characters) is a twentieth as long: a square shows at that length too.
    """
    text = pattern.pattern if isinstance(pattern.pattern, str) else pattern.pattern.decode("latin-1")
    tree = reader.parse(text, pattern.flags & ~re.UNICODE if isinstance(pattern.pattern, bytes) else pattern.flags)
    letters = list(dict.fromkeys([*_letters(tree), "a", " ", "\n", "0", "\x01"]))[:16]
    words = list(dict.fromkeys(w for w in (_word(tree, n) for n in (0, 1, 2)) if w))
    heads = list(dict.fromkeys(["", *words[:1], *words[-1:], words[-1][:-1] if words else ""]))
    miss = next((c for c in "\x02~\n" if not pattern.fullmatch(_as(pattern, c))), "\x02")
    for head in heads:
        for letter in letters:
            yield (head + letter * size)[: size - 1] + miss
    yield from ((first + second) * (size // 2) for first in letters[:6] for second in letters[:6] if first != second)
    for word in filter(None, heads):
        yield (word * (size // len(word) + 1))[:size]
        yield ((word + miss) * (size // len(word) + 1))[:size]
        yield ((word + "\n") * (size // len(word) + 1))[:size]
    for head in heads[:2]:
        for letter in letters:
            yield from (head + letter * (size // 20) + a + b for a in letters[:6] for b in letters[:6])


def _as(pattern: re.Pattern[Any], text: str) -> Any:
    return text.encode("latin-1", "replace") if isinstance(pattern.pattern, bytes) else text


def _letters(tree: Any) -> Iterator[str]:
    for kind, value in tree:
        if kind in (ops.LITERAL, ops.NOT_LITERAL):
            yield chr(value)
        elif kind is ops.ANY:
            yield "x"
        elif kind is ops.IN:
            yield from _letters(v for v in value if v[0] not in (ops.NEGATE,))
        elif kind is ops.RANGE:
            yield chr(value[0])
        elif kind is ops.CATEGORY:
            yield _CLASSES[value]
        elif kind in (ops.MAX_REPEAT, ops.MIN_REPEAT, ops.POSSESSIVE_REPEAT):
            yield from _letters(value[2])
        elif kind is ops.SUBPATTERN:
            yield from _letters(value[3])
        elif kind is ops.BRANCH:
            for branch in value[1]:
                yield from _letters(branch)
        elif kind in (ops.ASSERT, ops.ASSERT_NOT):
            yield from _letters(value[1])


def _word(tree: Any, more: int) -> str:
    """A text the pattern may match: every repeat `more` times beyond its least."""
    out = ""
    for kind, value in tree:
        if kind is ops.LITERAL:
            out += chr(value)
        elif kind is ops.NOT_LITERAL:
            out += "y" if value != ord("y") else "z"
        elif kind is ops.ANY:
            out += "x"
        elif kind is ops.IN:
            negated = value[0][0] is ops.NEGATE
            out += "y" if negated else next(_letters(value), "")
        elif kind is ops.CATEGORY:
            out += _CLASSES[value]
        elif kind in (ops.MAX_REPEAT, ops.MIN_REPEAT, ops.POSSESSIVE_REPEAT):
            out += _word(value[2], more) * min(value[0] + more, value[1])
        elif kind is ops.SUBPATTERN:
            out += _word(value[3], more)
        elif kind is ops.BRANCH:
            out += _word(value[1][more % len(value[1])], more)
    return out


class TooSlowError(Exception):
    """The alarm rang: `re` looks for signals while it matches."""


@contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """TooSlowError when the block takes longer; even inside one match."""

    def ring(*_: object) -> None:
        raise TooSlowError

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def slowest(use: Use, size: int, limit: float) -> tuple[float, str]:
    """Seconds and the text of the slowest of all hostile texts; stops at the first one past `limit`."""
    worst, culprit = 0.0, ""
    assert use.pattern is not None
    for text in hostile_texts(use.pattern, size):
        given = _as(use.pattern, text)
        for method in use.methods:
            seconds = _timed(use.pattern, method, given, limit)
            # Somebody else's turn on the processor is not the pattern's: the best of four counts.
            for _ in range(3 if seconds > limit else 0):
                seconds = min(seconds, _timed(use.pattern, method, given, limit))
            if seconds > worst:
                worst, culprit = seconds, f"{method} {text[:40]!r}...{text[-10:]!r}"
            if worst > limit:
                return worst, culprit
    return worst, culprit


def _timed(pattern: re.Pattern[Any], method: str, text: Any, limit: float) -> float:
    call = getattr(pattern, method)
    began = time.thread_time()
    try:
        with deadline(max(1.0, limit * 20)):
            if method == "finditer":
                for _ in call(text):
                    pass
            elif method in ("sub", "subn"):
                call(text[:0], text)
            else:
                call(text)
    except TooSlowError:
        pass
    return time.thread_time() - began
