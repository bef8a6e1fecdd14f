"""What other libraries call the operators: pandas, numpy, TA-Lib, qlib, the 101 alphas and their simulators.

Each name has its forms by the number of arguments; `{0}` is the first. A form says the same, or the same up to scale.
A name whose meaning needs what an expression cannot see (a whole history, a fill) has none.
"""

from __future__ import annotations

# name -> the operator it is, argument for argument
SAME = {
    # arithmetic and conditions
    "fabs": "abs", "absolute": "abs", "ts_abs": "abs", "sgn": "sign", "ln": "log", "pow": "power", "subtract": "sub",
    "divide": "div", "safe_div": "div", "safe_divide": "div", "negative": "neg", "negate": "neg", "reverse": "neg",
    "where": "if_else", "iff": "if_else", "ifelse": "if_else", "if": "if_else", "if_then_else": "if_else",
    "cond": "if_else", "clamp": "clip", "logical_not": "not", "greater_than": "gt", "less_than": "lt",
    "greater_equal": "ge", "less_equal": "le", "equal": "eq", "not_equal": "ne",
    # the past
    "ts_delay": "delay", "ref": "delay", "lag": "delay", "ts_lag": "delay", "shift": "delay", "ts_shift": "delay",
    "prev": "delay", "ts_delta": "delta", "diff": "delta", "ts_diff": "delta", "difference": "delta", "mom": "delta",
    # moments
    "ma": "ts_mean", "sma": "ts_mean", "ts_ma": "ts_mean", "ts_sma": "ts_mean", "ts_avg": "ts_mean",
    "rolling_mean": "ts_mean", "moving_average": "ts_mean", "move_mean": "ts_mean", "avg": "ts_mean",
    "average": "ts_mean", "rolling_sum": "ts_sum", "ts_std_dev": "ts_std", "ts_stddev": "ts_std", "stddev": "ts_std",
    "stdev": "ts_std", "std_dev": "ts_std", "ts_stdev": "ts_std", "ts_sd": "ts_std", "rolling_std": "ts_std",
    "ts_z_score": "ts_zscore", "rolling_zscore": "ts_zscore", "skew": "ts_skew", "ts_skewness": "ts_skew",
    "skewness": "ts_skew", "rolling_skew": "ts_skew",
    "count": "ts_sum", "ts_count": "ts_sum", "product": "ts_product", "prod": "ts_product", "ts_prod": "ts_product",
    # pairs
    "correlation": "ts_corr", "corr": "ts_corr", "correl": "ts_corr", "ts_correlation": "ts_corr",
    "rolling_corr": "ts_corr", "covariance": "ts_cov", "cov": "ts_cov", "ts_covariance": "ts_cov", "covar": "ts_cov",
    "ts_covar": "ts_cov", "rolling_cov": "ts_cov",
    # order
    "highest": "ts_max", "hhv": "ts_max", "ts_highest": "ts_max", "rolling_max": "ts_max", "lowest": "ts_min",
    "llv": "ts_min", "ts_lowest": "ts_min", "rolling_min": "ts_min", "ts_arg_max": "ts_argmax",
    "ts_arg_min": "ts_argmin", "tsrank": "ts_rank", "rolling_rank": "ts_rank", "ts_med": "ts_median",
    "median": "ts_median", "med": "ts_median", "rolling_median": "ts_median", "quantile": "ts_quantile",
    "ts_percentile": "ts_quantile",
    "percentile": "ts_quantile", "rolling_quantile": "ts_quantile",
    # weights and lines
    "decay_linear": "ts_decay_linear", "decaylinear": "ts_decay_linear", "ts_decay": "ts_decay_linear",
    "linear_decay": "ts_decay_linear", "wma": "ts_decay_linear", "ts_wma": "ts_decay_linear", "ts_ema": "ema",
    "ewma": "ema", "ts_ewma": "ema", "exp_ma": "ema", "ewm_mean": "ema", "ewm": "ema", "slope": "ts_slope",
    "ts_linreg_slope": "ts_slope", "linearreg_slope": "ts_slope", "rsquare": "ts_rsquare", "ts_r2": "ts_rsquare",
    "resi": "ts_resid", "ts_residual": "ts_resid",
    # across symbols
    "csrank": "cs_rank", "rank_cs": "cs_rank", "cross_rank": "cs_rank", "cs_pct_rank": "cs_rank",
    "cs_z_score": "cs_zscore", "cross_zscore": "cs_zscore", "demean": "cs_demean", "cs_center": "cs_demean",
    "standardize": "cs_zscore", "cs_standardize": "cs_zscore",
    "neutralize": "cs_neutralize", "regression_neut": "cs_neutralize", "cs_residual": "cs_neutralize",
    "cs_resid": "cs_neutralize", "cs_regress": "cs_neutralize", "indneutralize": "cs_group_demean",
    "ind_neutralize": "cs_group_demean", "group_neutralize": "cs_group_demean", "group_demean": "cs_group_demean",
    "cs_group_neutralize": "cs_group_demean", "group_rank": "cs_group_rank", "group_mean": "cs_group_mean",
    # indicators
    "bb_pct": "bbands_pct", "percent_b": "bbands_pct", "bollinger_pct": "bbands_pct", "macd_hist": "macd",
    "ts_rsi": "rsi",
}  # fmt: skip

_E = "2.718281828459045"
# name -> forms, told apart by how many arguments they take
FORMS = {
    "sqrt": ("{0} ** 0.5",),
    "square": ("{0} ** 2",),
    "exp": (f"{_E} ** {{0}}",),
    "log1p": ("log(1 + {0})",),
    "inv": ("1 / {0}",),
    "inverse": ("1 / {0}",),
    "reciprocal": ("1 / {0}",),
    "relu": ("max({0}, 0)",),
    "sigmoid": (f"1 / (1 + {_E} ** -{{0}})",),
    "tanh": (f"1 - 2 / ({_E} ** (2 * {{0}}) + 1)",),
    "signed_power": ("sign({0}) * abs({0}) ** {1}",),
    "signedpower": ("sign({0}) * abs({0}) ** {1}",),
    "signed_sqrt": ("sign({0}) * abs({0}) ** 0.5",),
    "signed_log": ("sign({0}) * log(1 + abs({0}))",),
    "s_log_1p": ("sign({0}) * log(1 + abs({0}))",),
    "slog1p": ("sign({0}) * log(1 + abs({0}))",),
    "pct_change": ("returns({0}, 1)", "returns({0}, {1})"),
    "pctchange": ("returns({0}, 1)", "returns({0}, {1})"),
    "ts_pctchange": ("returns({0}, 1)", "returns({0}, {1})"),
    "ts_pct_change": ("returns({0}, 1)", "returns({0}, {1})"),
    "ts_return": ("returns({0}, 1)", "returns({0}, {1})"),
    "ts_returns": ("returns({0}, 1)", "returns({0}, {1})"),
    "ret": ("returns({0}, 1)", "returns({0}, {1})"),
    "rets": ("returns({0}, 1)", "returns({0}, {1})"),
    "rocp": ("returns({0}, {1})",),
    "roc": ("100 * returns({0}, {1})",),
    "ts_roc": ("returns({0}, {1})",),
    "log_return": ("log({0} / delay({0}, 1))", "log({0} / delay({0}, {1}))"),
    "log_returns": ("log({0} / delay({0}, 1))", "log({0} / delay({0}, {1}))"),
    "logret": ("log({0} / delay({0}, 1))", "log({0} / delay({0}, {1}))"),
    "log_diff": ("log({0} / delay({0}, 1))", "log({0} / delay({0}, {1}))"),
    "mean": ("ts_mean({0}, {1})",),
    "sum": ("ts_sum({0}, {1})",),
    "std": ("ts_std({0}, {1})",),
    "var": ("ts_std({0}, {1}) ** 2",),
    "variance": ("ts_std({0}, {1}) ** 2",),
    "ts_var": ("ts_std({0}, {1}) ** 2",),
    "ts_variance": ("ts_std({0}, {1}) ** 2",),
    "zscore": ("cs_zscore({0})", "ts_zscore({0}, {1})"),
    "z_score": ("cs_zscore({0})", "ts_zscore({0}, {1})"),
    "rank": ("cs_rank({0})", "ts_rank({0}, {1})"),
    "pct_rank": ("cs_rank({0})", "ts_rank({0}, {1})"),
    "percent_rank": ("cs_rank({0})", "ts_rank({0}, {1})"),
    "scale": ("cs_scale({0})",),
    "normalize": ("cs_demean({0})",),
    "cs_mean": ("{0} - cs_demean({0})",),
    "idxmax": ("{1} - ts_argmax({0}, {1})",),
    "idxmin": ("{1} - ts_argmin({0}, {1})",),
    "argmax": ("ts_argmax({0}, {1})",),
    "argmin": ("ts_argmin({0}, {1})",),
    "ts_av_diff": ("{0} - ts_mean({0}, {1})",),
    "ts_demean": ("{0} - ts_mean({0}, {1})",),
    "ts_max_diff": ("{0} - ts_max({0}, {1})",),
    "ts_min_diff": ("{0} - ts_min({0}, {1})",),
    "ts_range": ("ts_max({0}, {1}) - ts_min({0}, {1})",),
    "ts_scale": ("({0} - ts_min({0}, {1})) / (ts_max({0}, {1}) - ts_min({0}, {1}))",),
    "ts_minmax": ("({0} - ts_min({0}, {1})) / (ts_max({0}, {1}) - ts_min({0}, {1}))",),
    "ts_ir": ("ts_mean({0}, {1}) / ts_std({0}, {1})",),
    "ts_cv": ("ts_std({0}, {1}) / ts_mean({0}, {1})",),
    "adv": ("ts_mean(quote_volume, {0})",),
    "vwma": ("ts_sum({0} * {1}, {2}) / ts_sum({1}, {2})",),
    "true_range": ("atr({0}, {1}, {2}, 1)",),
    "trange": ("atr({0}, {1}, {2}, 1)",),
    "natr": ("100 * atr({0}, {1}, {2}, {3}) / {2}",),
    "autocorr": ("ts_corr({0}, delay({0}, 1), {1})", "ts_corr({0}, delay({0}, {2}), {1})"),
    "ts_autocorr": ("ts_corr({0}, delay({0}, 1), {1})", "ts_corr({0}, delay({0}, {2}), {1})"),
    "regbeta": ("ts_cov({0}, {1}, {2}) / ts_std({1}, {2}) ** 2",),
    "ts_beta": ("ts_cov({0}, {1}, {2}) / ts_std({1}, {2}) ** 2",),
    "beta": ("ts_cov({0}, {1}, {2}) / ts_std({1}, {2}) ** 2",),
    "between": ("({0} >= {1} and {0} <= {2})",),
}

# folded from the left over two arguments and more
FOLDED = {
    "add": "add", "plus": "add", "multiply": "mul", "mul": "mul", "times": "mul", "max": "max", "maximum": "max",
    "fmax": "max", "greater": "max", "min": "min", "minimum": "min", "fmin": "min", "less": "min",
    "logical_and": "and", "logical_or": "or",
}  # fmt: skip

# columns by their names elsewhere; taken where the data has the one and not the other
COLUMNS = {
    "open_price": "open", "high_price": "high", "low_price": "low", "close_price": "close", "price": "close",
    "last": "close", "adj_close": "close", "vol": "volume", "base_volume": "volume", "amount": "quote_volume",
    "dollar_volume": "quote_volume", "quote_asset_volume": "quote_volume", "turnover": "quote_volume",
    "num_trades": "trades", "number_of_trades": "trades", "trade_count": "trades", "n_trades": "trades",
    "taker_buy_base_volume": "taker_buy_volume", "taker_buy_base_asset_volume": "taker_buy_volume",
    "taker_volume": "taker_buy_volume", "funding": "funding_rate", "fundingrate": "funding_rate",
    "oi": "open_interest", "openinterest": "open_interest", "mark": "mark_close", "mark_price": "mark_close",
    "market_cap": "cap", "eps": "1e-9", "_eps": "1e-9", "epsilon": "1e-9",
}  # fmt: skip

# arguments by keyword: what comes first, what is a number of bars, and what changes nothing here
SERIES_WORDS = ("x", "y", "a", "b", "cond", "condition", "x1", "x2", "real", "other")
WINDOW_WORDS = (
    "n", "window", "win", "span", "period", "periods", "timeperiod", "time_period", "length", "lag", "d",
    "lookback", "bars", "size",
)  # fmt: skip
IDLE_WORDS = ("min_periods", "adjust", "pct", "method", "ascending", "fill_method", "raw", "engine", "ddof", "dense")
