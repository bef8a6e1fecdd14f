"""Small changes of an expression's text: another average, other windows, the other sign."""

from __future__ import annotations

import re

_AVERAGE = re.compile(r"ts_mean\((.*), \d+\)$")
_MINUS_CALL = re.compile(r"-(\w+\((.*)\))$")
_NUMBER = re.compile(r"(?<=, )(\d+)(?=[,)])")


def smoothed(expression: str, bars: int) -> str:
    """The expression averaged over `bars`; an average around it is replaced, not stacked upon."""
    outer = _AVERAGE.match(expression)
    if outer is not None and _balanced(outer[1]):
        expression = outer[1]
    return f"ts_mean({expression}, {bars})"


def _balanced(text: str) -> bool:
    """Whether every parenthesis of `text` closes one that was opened in it."""
    depth = 0
    for character in text:
        depth += (character == "(") - (character == ")")
        if depth < 0:
            return False
    return depth == 0


def scaled(expression: str, factor: float, longest: int) -> str:
    """The expression with its windows times `factor`, at least 2 and at most `longest`."""
    return _NUMBER.sub(lambda m: str(min(longest, max(2, round(int(m[1]) * factor)))), expression)


def negated(expression: str) -> str:
    """The expression with its sign turned; a minus in front of a single call is taken away instead."""
    call = _MINUS_CALL.match(expression)
    return call[1] if call is not None and _balanced(call[2]) else f"-({expression})"
