"""Every claim of a researcher is held against the figures it cites; what they do not carry is marked."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from midas_engine.monitor.diagnosis.figures import written

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from midas_engine.models import Figure

_CITED = re.compile(r"\bF\d{1,3}\b")
# a number that states a measurement: with decimals, a per cent or a unit of the figures; "5 days" and names are not
_NUMBER = re.compile(r"(?<![\w.,@])([-+]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?)(\s?%|\s?bps\b|\s?x\b)?(?![\w.]*\d)")
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z])")
MAX_CLAIM = 600


def split_claims(text: str) -> list[str]:
    """The sentences of a paragraph.

    Example:
        >>> split_claims("Costs doubled [F12]. The score is 0.03 [F21]. So stop.")
        ['Costs doubled [F12].', 'The score is 0.03 [F21].', 'So stop.']
    """
    return [part for part in _SENTENCE.split(" ".join(text.split())) if part]


def why_unsupported(claim: str, figures: Mapping[str, Figure]) -> str:
    """Why a claim does not rest on the figures; "" when it does.

    A claim must cite at least one figure that exists, none that does not, and every measurement it states must be
    the value of a figure it cites, at the precision it is stated with.

    Example:
        >>> from midas_engine.models import Figure
        >>> known = {"F12": Figure("F12", "ratio", 2.503, "x")}
        >>> why_unsupported("slippage is 2.5x what was expected [F12]", known)
        ''
        >>> why_unsupported("slippage is 4.1x what was expected [F12]", known)
        'it says 4.1, which is no value of F12 (2.50 x)'
    """
    cited = list(dict.fromkeys(_CITED.findall(claim)))
    if not cited:
        return "it cites no figure"
    unknown = [i for i in cited if i not in figures]
    if unknown:
        return f"there is no figure {', '.join(unknown)}"
    for match in _NUMBER.finditer(_CITED.sub(" ", claim[:MAX_CLAIM])):
        text, unit = match[1], (match[2] or "").strip()
        if "." not in text and not unit:
            continue
        if not any(_agrees(text, unit, figures[i]) for i in cited):
            held = ", ".join(f"{i} ({written(figures[i])})" for i in cited)
            return f"it says {text}{unit if unit == '%' else ''}, which is no value of {held}"
    return ""


def check_claims(claims: Iterable[str], figures: Iterable[Figure]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The claims that the figures carry, and the others with the reason."""
    known = {figure.id: figure for figure in figures}
    good: list[str] = []
    bad: list[str] = []
    for claim in claims:
        short = " ".join(claim.split())[:MAX_CLAIM]
        reason = why_unsupported(short, known)
        (bad.append(f"{short} (unsupported: {reason})") if reason else good.append(short))
    return tuple(good), tuple(bad)


def _agrees(text: str, unit: str, figure: Figure) -> bool:
    """The number is the figure's value, rounded as it is written, or a number of the figure's own note."""
    stated, digits = float(text.replace(",", "")), len(text.partition(".")[2])
    value = figure.value * 100 if unit == "%" else figure.value
    slack = 0.5000001 * 10.0**-digits
    signed = text[0] in "+-"
    if abs(stated - value) <= slack or (not signed and abs(stated - abs(value)) <= slack):
        return True
    noted = [float(n) for n in re.findall(r"[-+]?\d+(?:\.\d+)?", figure.detail)]
    return any(abs(stated - n) <= slack for n in noted)
