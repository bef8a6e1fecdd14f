"""A bank of expressions: a text file, one `name: expression` a line, with its source in the comments at its head."""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from midas_engine.errors import DataFormatError, ExpressionError, NameRefusedError
from midas_engine.kb.names import check_name
from midas_engine.regular import NotRegularError, refuse_special
from midas_engine.text import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator

    from midas_engine.settings import DslLimits

SHIPPED = {
    "wq101": "WorldQuant's 101 formulaic alphas (Kakushadze 2015)",
    "qlib158": "qlib's Alpha158 (Microsoft, Yang et al. 2020)",
    "gtja191": "Guotai Junan's short-period alphas (2017)",
}
"""Banks that come with Midas, and whose they are."""

MOST_BYTES = 2**20
MOST_LINES = 1000


@dataclass(frozen=True, slots=True)
class BankEntry:
    """One expression of a bank.

    Attributes:
        number: Its line, from 1.
        name: A feature's name.
        expression: As written.
    """

    number: int
    name: str
    expression: str


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that is left out.

    Attributes:
        number: From 1.
        name: Its name where it has one.
        reason: What is wrong with it, and where.
    """

    number: int
    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Bank:
    """A list of expressions that is judged as one family.

    Attributes:
        name: Of the shipped bank, or the file's name.
        source: The comments at its head, a line each.
        entries: What can be parsed, in the file's order.
        bad: What cannot.
    """

    name: str
    source: tuple[str, ...]
    entries: tuple[BankEntry, ...]
    bad: tuple[BadLine, ...] = ()


def read_bank(name: str | Path, *, limits: DslLimits | None = None) -> Bank:
    """A shipped bank by its name, or the one in a file.

    Lines that cannot be used are kept in `bad` with their number; the others go on.

    Args:
        name: A name of `SHIPPED`, or a path; a file that is called like a shipped bank is ./wq101.
        limits: Size limits of expressions; None takes the defaults.

    Raises:
        DataFormatError: There is no such bank, or the file holds no list of expressions.

    Example:
        >>> bank = read_bank("wq101")
        >>> len(bank.entries), bank.bad
        (101, ())
    """
    if str(name) in SHIPPED:
        text = files("midas_engine.banks").joinpath(f"{name}.txt").read_text(encoding="utf-8")
        return parse_bank(text, str(name), limits=limits)
    path = Path(name).expanduser()
    return parse_bank(_text(path), path.name, limits=limits)


def parse_bank(text: str, name: str, *, limits: DslLimits | None = None) -> Bank:
    r"""The bank that a text holds; see `read_bank`.

    Example:
        >>> bank = parse_bank("# mine\nmomentum: returns(close, 24)\nbroken: close +", "mine")
        >>> [e.name for e in bank.entries], [b.number for b in bank.bad]
        (['momentum'], [3])
    """
    from midas_engine.dsl import parse

    source, entries, bad = [], [], []
    names: dict[str, int] = {}
    features: dict[str, int] = {}
    head = True
    lines = text.removeprefix("\ufeff").splitlines()
    if len(lines) > MOST_LINES:
        raise DataFormatError(
            f"{name} has {len(lines)} lines, a bank has at most {MOST_LINES}",
            hint="a family this large asks too much of each; split it",
        )
    for number, raw in enumerate(lines, start=1):
        line = raw.strip()
        if line.startswith("#"):
            source += [line.lstrip("# ").rstrip()] if head else []
            continue
        if not line:
            continue
        head = False
        label, expression = _cut(line, number)
        try:
            check_name(label)
            parsed = parse(expression, limits=limits)
        except NameRefusedError as error:
            bad.append(BadLine(number, label[:80], f"{error.message}: {error.hint}"))
            continue
        except ExpressionError as error:
            bad.append(BadLine(number, label, _one_line(error)))
            continue
        if label in names:
            bad.append(BadLine(number, label, f"the name stands in line {names[label]} already"))
        elif parsed.canonical in features:
            bad.append(BadLine(number, label, f"the same feature as line {features[parsed.canonical]}"))
        else:
            names[label] = features[parsed.canonical] = number
            entries.append(BankEntry(number, label, expression))
    if not entries:
        why = f"line {bad[0].number}: {bad[0].reason}" if bad else "there is no line but comments"
        raise DataFormatError(
            f"{name} holds no expression that can be used ({why})",
            hint="write one `name: expression` a line; `midas dsl list` shows the language",
        )
    return Bank(name, tuple(filter(None, source)), tuple(entries), tuple(bad))


def shipped_banks() -> Iterator[Bank]:
    """Every bank that comes with Midas."""
    for name in SHIPPED:
        yield read_bank(name)


def _cut(line: str, number: int) -> tuple[str, str]:
    """Name and expression; a line without a name is called by its number."""
    label, colon, expression = line.partition(":")
    return (label.strip(), expression.strip()) if colon else (f"line_{number}", line)


def _one_line(error: ExpressionError) -> str:
    place = f" (column {error.position + 1})" if error.text else ""
    return f"{error.message}{place}" + (f": {error.hint}" if error.hint else "")


def _text(path: Path) -> str:
    shipped = ", ".join(SHIPPED)
    try:
        refuse_special(path, follow=True)
        if os.path.getsize(path) > MOST_BYTES:
            raise DataFormatError(f"{path} is larger than a bank may be ({MOST_BYTES // 2**20} MB)")
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise DataFormatError(
            f"there is no bank {str(path)!r}",
            hint=did_you_mean(str(path), list(SHIPPED), otherwise=f"give a file, or one of: {shipped}"),
        ) from error
    except UnicodeDecodeError as error:
        raise DataFormatError(f"{path} is no text in UTF-8", hint="a bank has one `name: expression` a line") from error
    except NotRegularError as error:
        raise DataFormatError(f"{path}: {error.strerror}", hint=f"give a file, or one of: {shipped}") from error
    except OSError as error:
        raise DataFormatError(f"{path} cannot be read: {error.strerror}") from error
