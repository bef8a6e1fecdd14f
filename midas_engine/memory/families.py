"""Which family of signals an expression belongs to, from what it reads and its sign: a rule of thumb, and stable."""

from __future__ import annotations

import re
from functools import lru_cache

from midas_engine.dsl.expression import canonical
from midas_engine.errors import ExpressionError
from midas_engine.proposer.families import FAMILIES, families_of

_NAME = re.compile(r"[a-z_][a-z0-9_]{0,80}")
_NUMBER = re.compile(r"(?<![a-z0-9_.])\d+(?:\.\d+)?(?:e-?\d+)?")
# The rarest column decides: a signal on funding that also reads the close is about funding.
_BY_COLUMN = (
    ("funding", {"funding_rate", "mark_close"}),
    ("flow", {"taker_buy_volume", "taker_buy_quote_volume", "bid_volume", "ask_volume", "open_interest"}),
    ("liquidity", {"vwap", "cap"}),
    ("volume", {"volume", "quote_volume", "trades"}),
)
_SPREADS = {"ts_std", "ts_skew", "ts_kurt", "bbands_pct", "atr", "ts_rsquare"}


@lru_cache(maxsize=8192)
def skeleton(form: str) -> str:
    """A canonical form without its numbers: windows and constants do not make another idea.

    Example:
        >>> skeleton("cs_rank(ts_mean(funding_rate, 24))") == skeleton("cs_rank(ts_mean(funding_rate, 72))")
        True
    """
    return _NUMBER.sub("#", form[:8_000])


@lru_cache(maxsize=8192)
def reads(expression: str) -> bool:
    """Whether a text is an expression, of whatever columns."""
    try:
        canonical(expression)
    except ExpressionError:
        return False
    return True


@lru_cache(maxsize=8192)
def form_of(expression: str) -> str:
    """The canonical form of a text; the text itself where it is no expression."""
    try:
        return canonical(expression)
    except ExpressionError:
        return expression


def family_of(form: str) -> str:
    """The family of a canonical form.

    Example:
        >>> family_of("cs_rank(ts_mean(funding_rate, 24))"), family_of("-1*cs_rank(returns(close, 4))")
        ('funding', 'reversal')
    """
    names = set(_NAME.findall(form[:8_000]))
    for family, columns in _BY_COLUMN:
        if names & columns:
            return family
    if names & _SPREADS and "returns" not in form[:30]:
        return "volatility"
    return "reversal" if re.search(r"-\d*\.?\d*\*|\bneg\b", form[:8_000]) else "momentum"


def asked_families(text: str) -> list[str]:
    """The families that a goal names; none where it names none."""
    found = families_of(text)
    return [] if len(found) == len(FAMILIES) else found
