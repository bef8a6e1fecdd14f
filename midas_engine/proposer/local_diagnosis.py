"""Diagnoses without a model: one explanation a cause, resting on the figures that were measured."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from midas_engine.proposer.protocol import DiagnosisDraft

if TYPE_CHECKING:
    from midas_engine.proposer.protocol import DiagnosisBrief

_FIGURE = re.compile(r"^\[?(?P<id>F\d+)\]?:? *(?P<label>.*?)(?: = (?P<value>[^(]*?))?(?: *\((?P<note>.*)\))?$")
_LINE = 400  # a figure's line is shorter; the pattern takes the square of what it is given
_CITED = 3
_EVIDENCE = 6

_TEXTS: dict[str, tuple[str, str]] = {
    "data_fault": (
        "The input is at fault, not the signal: values are missing, frozen or rescaled",
        "mend the feed, then let the monitor warm up again; an expression cannot mend data",
    ),
    "cost": (
        "The signal still predicts; what it earns is eaten by execution",
        "trade it slower or through a cheaper route before touching the expression",
    ),
    "crowding": (
        "The feature moves with another live one, so that both trade the same thing",
        "keep the residual of it after the other, or retire the weaker one",
    ),
    "regime_shift": (
        "The feature fails in the present regime and held in the others",
        "stand aside in this regime rather than retire it",
    ),
    "true_decay": (
        "The feature no longer predicts, on good data, at ordinary cost, whatever the regime",
        "retire it; if a smoothed or flipped version passes the gates on the data after the break, test that in shadow",
    ),
    "noise": (
        "The figures are within what a healthy feature does by chance",
        "do nothing; the detector starts again",
    ),
}


def explain_cause(brief: DiagnosisBrief) -> DiagnosisDraft:
    """The explanation of `brief.cause`; every statement cites the figures it rests on."""
    text, advice = _TEXTS.get(brief.cause, _TEXTS["noise"])
    figures = [match for line in brief.figures if (match := _FIGURE.match(line[:_LINE]))]
    said = "; ".join(_sentence(match) for match in figures[:_CITED])
    evidence = tuple(_sentence(match, note=True) for match in figures[:_EVIDENCE])
    fix, why = _fix(brief)
    return DiagnosisDraft(
        root_cause=f"{text}: {said}." if said else f"{text}.",
        evidence=evidence,
        fix_expression=fix,
        fix_reason=why,
        kill=brief.cause == "true_decay" and not fix and brief.confidence >= 0.8,
        kill_reason="the tests find true decay with high confidence" if brief.cause == "true_decay" and not fix else "",
        learning=advice,
    )


def _sentence(figure: re.Match[str], *, note: bool = False) -> str:
    """A figure in words, with its id."""
    value = f" is {figure['value'].strip()}" if figure["value"] else ""
    beside = f" ({figure['note']})" if note and figure["note"] else ""
    return f"{figure['label']}{value}{beside} [{figure['id']}]"


def _fix(brief: DiagnosisBrief) -> tuple[str, str]:
    expression = brief.expression
    if not expression:
        return "", ""
    if brief.cause == "cost":
        return f"ts_mean({expression}, 24)", "holding for a day cuts the turnover that execution charges for"
    if brief.cause == "regime_shift":
        return (
            f"if_else(ts_rank(ts_std(returns(close, 1), 24), 168) < 0.67, {expression}, 0)",
            "stand aside while volatility is in its upper third",
        )
    return "", ""
