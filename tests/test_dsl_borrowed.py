"""What is written for another library is understood, but never to look ahead, and every refusal says why."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from midas_engine.compound.markets import market
from midas_engine.dsl import FeatureEngine
from midas_engine.dsl.borrowed import understood
from midas_engine.dsl.borrowed_names import FOLDED, FORMS, SAME
from midas_engine.dsl.expression import parse
from midas_engine.dsl.registry import OPERATORS
from midas_engine.errors import ExpressionError, LookAheadError
from tests.helpers_replies import COLUMNS, first_pass, read_replies

if TYPE_CHECKING:
    from pathlib import Path

READ = functools.partial(parse, columns=(*COLUMNS, "sector"))


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("rank(close.pct_change(24).rolling(12).mean())", "cs_rank(ts_mean(returns(close, 24), 12))"),
        ("-1 * correlation(rank(open), rank(volume), 10)", "-1 * ts_corr(cs_rank(open), cs_rank(volume), 10)"),
        ("Mean($close, 24*7) / Ref($close, 1)", "ts_mean(close, 168) / delay(close, 1)"),
        (
            "(close > open ? (volume > 5 ? 1 : 2) : -volume)",
            "if_else(close > open, if_else(volume > 5, 1, 2), -volume)",
        ),
        ("volume if close > open else -volume", "if_else(close > open, volume, -volume)"),
        ("if(close > open, 1, 0) * IF(low < high, 2, 3)", "if_else(close > open, 1, 0) * if_else(low < high, 2, 3)"),
        ("(close > open) & !(volume > 3) | (low < 1)", "close > open and not(volume > 3) or low < 1"),
        ("close > open AND NOT (volume > 3)", "close > open and not(volume > 3)"),
        ("1 < close < 9", "1 < close and close < 9"),
        ("(-close) ^ 2", "(-close) ** 2"),
        ("max(open, high, low)", "max(max(open, high), low)"),
        ("close.sub(close.mean(axis=1), axis=0)", "close - (close - cs_demean(close))"),
        ("df.groupby('symbol')['close'].transform(lambda s: s.rolling(24).std())", "ts_std(close, 24)"),
        ("df.groupby('timestamp')['volume'].rank(pct=True)", "cs_rank(volume)"),
        ("IndNeutralize(returns, sector)", "cs_group_demean(returns(close, 1), sector)"),
        ("ts_quantile(q=0.9, n=24, x=close)", "ts_quantile(close, 24, 0.9)"),
        ("alpha = `rank(oi)`;", "cs_rank(open_interest)"),
        ("adv20 \u2212 funding \u00d7 2", "ts_mean(quote_volume, 20) - funding_rate * 2"),
        ("((close > open) & (low > 1)).astype(int)", "close > open and low > 1"),
        ("close.pct_change(24).groupby(level='timestamp').rank()", "cs_rank(returns(close, 24))"),
        ("if close > open then volume else 0", "if_else(close > open, volume, 0)"),
        ("SMA(CLOSE, 24, 2) / $return", "ema(close, 23) / returns(close, 1)"),
        ("ts_quantile(close, 0.9, 24) > VWAP", "ts_quantile(close, 24, 0.9) > quote_volume / volume"),
        ("talib.RSI(close, timeperiod=14) + atr(24)", "rsi(close, 14) + atr(high, low, close, 24)"),
    ],
)
def test_other_libraries_are_read(text: str, meant: str) -> None:
    found, borrowed = understood(text, READ)
    assert (found.text, borrowed) == (meant, True)


def test_what_the_language_reads_stands_as_it_is() -> None:
    for text in ("max(close, 24)", "cs_rank( -close )", "returns(close,24)"):
        assert understood(text, READ)[0].text == text
        assert not understood(text, READ)[1]


def test_a_column_that_is_there_is_not_renamed() -> None:
    read = functools.partial(parse, columns=("funding", "funding_rate", "returns"))
    assert understood("rank(funding) + rank(returns)", read)[0].text == "cs_rank(funding) + cs_rank(returns)"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("close.shift(-1)", "negative"),
        ("Ref($close, -24) / $close - 1", "negative"),
        ("delay(close, 2 - 3)", "cannot be computed"),
        ("close.rolling(24, center=True).mean()", "center has no counterpart"),
        ("close.rank()", "whole history"),
        ("close.rank(pct=True)", "whole history"),
        ("close.mean()", "whole history"),
        ("(close - close.mean()) / close.std()", "whole history"),
        ("df.groupby('symbol')['close'].rank()", "whole history"),
        ("close.bfill()", "whole history"),
        ("close.rolling(-24).mean()", "negative"),
        ("close[1]", "no subscripts"),
        ("close.iloc[5]", "no subscripts"),
        ("next_close / close", "future"),
        ("rank(ts_kurt(close, 24))", "ts_kurt with 2 arguments has no counterpart"),
        ("rank(nothing_there)", "nothing_there"),
        ("close.rolling(24).apply(lambda x: x[-1])", "has no counterpart"),
        ("__import__('os').system('ls')", ""),
        ("(lambda: close)()", ""),
        ("[x for x in close]", ""),
        ("f'{close}'", ""),
        ("close if", ""),
        ("(" * 3_000, ""),
        ("-" * 4_000 + "close", ""),
        ("a?" * 1_500, ""),
        ("x.a" * 1_000, ""),
        ("rank(" * 500 + "close" + ")" * 500, ""),
        ("9" * 4_000, ""),
    ],
)
def test_what_has_no_counterpart_is_refused_with_its_reason(text: str, why: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        understood(text, READ)
    assert why in str(caught.value)
    if why == "negative":
        assert isinstance(caught.value, LookAheadError)


@given(
    st.lists(
        st.sampled_from(
            ["close", "volume", "rank(", "ts_mean(", ".rolling(", ").mean()", ")", ",", "24", "-", "?", ":", "if ",
             " else ", "&", "!", "lambda x:", "x", "[", "]", ".shift(", "df", "'close'", "np.", "=", "^", "$"]
        ),
        max_size=14,
    )
)  # fmt: skip
def test_no_text_does_more_than_be_read_or_refused(parts: list[str]) -> None:
    try:
        found, _ = understood("".join(parts), READ)
    except ExpressionError:
        return
    assert READ(found.text).canonical == found.canonical


def test_every_name_of_another_library_leads_to_an_operator() -> None:
    assert not [name for name, here in (SAME | FOLDED).items() if here not in OPERATORS]
    assert not [name for name in SAME if name in FORMS or name in FOLDED]
    for name, forms in FORMS.items():
        for form in forms:
            given = (
                ("24",) * 4,
                ("close", "24", "12", "6"),
                ("close", "open", "24", "12"),
                ("high", "low", "close", "24"),
            )
            assert any(_valid(form.format(*args)) for args in given), name


def _valid(text: str) -> bool:
    try:
        READ(text)
    except ExpressionError:
        return False
    return True


def test_the_values_are_those_of_pandas() -> None:
    panel = market(1, (), 0.0, bars=240, symbols=6)  # without a gap
    frames = {name: pd.DataFrame(panel.fields[name]) for name in ("close", "volume")}
    engine = FeatureEngine(panel, cache_bytes=0)
    for text, expected in {
        "close.pct_change(24).rank(axis=1, pct=True)": frames["close"].pct_change(24).rank(axis=1, pct=True),
        "close.rolling(24).std() / close.shift(3)": frames["close"].rolling(24).std() / frames["close"].shift(3),
        "close.rolling(24).corr(volume)": frames["close"].rolling(24).corr(frames["volume"]),
        "close.rolling(24).var()": frames["close"].rolling(24).var(),
        "close.sub(close.mean(axis=1), axis=0)": frames["close"].sub(frames["close"].mean(axis=1), axis=0),
    }.items():
        found = engine.values(understood(text, functools.partial(parse, columns=panel.columns))[0].text)
        np.testing.assert_allclose(found[30:], expected.to_numpy()[30:], rtol=1e-6, atol=1e-9)


def test_a_person_is_told_the_name_here() -> None:
    with pytest.raises(ExpressionError, match=r"here that is delay\(x, n\)"):
        READ("ts_delay(close, 4)")
    with pytest.raises(ExpressionError, match=r"here that is cs_rank\(x\) or ts_rank\(x, n\)"):
        READ("rank(close)")


# -- a strong model's replies, played through a session ---------------------------------------------


async def test_a_strong_models_expressions_are_valid_at_first_pass(tmp_path: Path) -> None:
    replies = read_replies()
    every = [text for kind in replies.values() for text in kind]
    played = await first_pass(tmp_path, every)
    assert played.asked_again == 0
    assert len(played.written) >= 90
    assert len(played.scored) >= 0.97 * len(played.written), played.refused
    (said,) = [e for e in played.scored if e.name == "wq_price_volume"]
    assert said.expression == "-1 * ts_corr(cs_rank(close), cs_rank(volume), 48)"
    assert "written as -1 * correlation(rank(close), rank(volume), 48)" in said.rationale
