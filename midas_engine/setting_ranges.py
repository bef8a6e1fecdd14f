"""What a setting's value may be: the range of numbers, the words to choose from."""

from __future__ import annotations

from midas_engine.providers import PROVIDERS

RANGES: dict[str, tuple[float, float]] = {
    "dsl.depth": (1, 64),
    "dsl.nodes": (1, 10_000),
    "dsl.text_bytes": (1, 1_000_000),
    "dsl.min_share": (0.01, 1.0),
    "dsl.memory_mb": (1, 1_000_000),
    "costs.fee_bps": (-10, 1000),
    "costs.half_spread_bps": (0, 1000),
    "costs.slippage_bps": (0, 1000),
    "evaluation.sealed_share": (0.05, 0.7),
    "evaluation.workers": (0, 256),
    "evaluation.candidate_seconds": (0.1, 3600),
    "evaluation.target": (1, 10_000),
    "evaluation.screened": (0, 10_000_000),
    "evaluation.memory": (0.0, 1.0),
    "executor.memory_mb": (0, 10_000_000),
    "executor.cache_mb": (0, 1_000_000),
    "executor.opening_seconds": (1, 86_400),
    "model.max_tokens": (1, 1_000_000),
    "model.session_calls": (0, 100_000),
    "model.session_usd": (0, 100_000),
    "model.day_usd": (0, 100_000),
    "model.deadline_seconds": (1, 3600),
    "model.session_minutes": (0, 100_000),
    "model.session_failures": (1, 1000),
    "model.transcripts_mb": (1, 1_000_000),
    "model.transcripts_days": (0.0, 36_500.0),
    "monitor.diagnoses_per_day": (0, 10_000),
    "monitor.callback_seconds": (0.1, 3600),
    "monitor.expected_slippage_bps": (0, 1000),
    "monitor.feed_failures": (0, 1_000_000),
    "monitor.memory_mb": (0, 100_000_000),
    "terminal.refresh_hz": (0.5, 20),
    "book.capital_usd": (1, 1e12),
    "outbound.lease_seconds": (0, 86_400),
    "outbound.again_seconds": (0, 86_400),
    "book.symbol_cap": (0.001, 1.0),
    "book.net_cap": (0.0, 1.0),
    "service.runs_mb": (1, 1_000_000),
    "service.keep_days": (0, 36_500),
    "service.iterations": (1, 10_000),
    "service.log_mb": (0, 10_000),
    "service.clients": (1, 1000),
}
CHOICES: dict[str, tuple[str, ...]] = {
    "model.provider": tuple(PROVIDERS),
    "evaluation.mode": ("auto", "time", "cross-section"),
    "executor.kind": ("processes", "threads", "dask"),
    "monitor.kill_policy": ("manual", "confirm", "auto"),
    "book.neutrality": ("none", "dollar"),
    "outbound.told_from": ("info", "warning", "critical"),
}
COUNTS: dict[str, tuple[str, int, int]] = {
    "monitor.shards": ("auto", 1, 64),
}
"""Settings that are a word or a number between two."""
DURATIONS: dict[str, tuple[str, ...]] = {
    "evaluation.embargo": ("auto",),
    "dsl.lookback": (),
    "dsl.total_lookback": (),
    "monitor.arl0": (),
}
"""Settings that are durations, and the words they may be instead."""
