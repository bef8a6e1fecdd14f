"""What a watch holds is known, and refused where it does not fit, before anything is started."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pytest

from helpers_dsl import make_panel
from midas_engine.bus import EventBus
from midas_engine.clock import ManualClock
from midas_engine.dsl import StreamEngine, parse
from midas_engine.errors import MonitorError, SettingsError
from midas_engine.events import FaultReported
from midas_engine.market.feeds import FileSource, PollingFeed
from midas_engine.models import FeatureRecord, FeatureState
from midas_engine.monitor.figures.engine import EngineConfig, MonitorEngine
from midas_engine.monitor.shards.plan import cut, shards_of
from midas_engine.monitor.shards.reckoning import (
    FEATURE_BYTES,
    LANE_BYTES,
    MANY_FEATURES_BYTES,
    MB,
    allowed_memory,
    machine_bytes,
    reckon,
    refuse_long_windows,
    refuse_too_large,
)
from midas_engine.runtime import live_stream
from midas_engine.runtime.live import LiveWatch
from midas_engine.settings import DslLimits, MonitorSettings, Settings, load_settings

if TYPE_CHECKING:
    from pathlib import Path

SMALL = {
    "a": "ts_mean(returns(close, 3), 40) + volume",
    "b": "ts_std(returns(close, 3), 50)",
    "c": "cs_rank(ts_mean(returns(close, 3), 40)) * ts_corr(close, volume, 60)",
    "d": "ema(volume, 9)",
}
MANY = {f"f{i}": f"ts_std(close, {32 + i}) - ts_max(high, {40 + i // 2})" for i in range(40)}


def read(texts: dict[str, str]) -> dict[str, object]:
    return {name: parse(text) for name, text in texts.items()}


@pytest.mark.parametrize("compact", [False, True])
def test_the_windows_are_those_of_the_stream_to_the_byte(compact: bool) -> None:
    stream = StreamEngine(SMALL, ("close", "volume"), [f"s{i}" for i in range(7)], compact=compact)
    found = reckon(stream.expressions, 7, min_share=DslLimits().min_share, compact=compact)
    assert found.windows == sum(state.workspace.nbytes for state in stream._states.values())


def test_what_features_share_is_nobodys_own() -> None:
    found = reckon(read(SMALL), 7, min_share=0.5)  # type: ignore[arg-type]
    own = {w.name: (w.bars, w.part) for w in found.weights}
    assert own["a"] == (0, "")
    assert own["b"] == (50, "ts_std(.., 50)")
    assert own["c"] == (60, "ts_corr(.., 60)")
    assert sum(w.own for w in found.weights) < found.windows


def test_the_figures_are_at_least_those_of_the_monitor() -> None:
    features, symbols = 40, 60
    engine = MonitorEngine([f"f{i}" for i in range(features)], symbols=symbols, config=EngineConfig(bar_seconds=60))
    _, arrays = engine.parts()
    held = sum(a.nbytes for a in arrays.values()) + engine.scorer.z.nbytes
    reckoned = features * (symbols * LANE_BYTES + FEATURE_BYTES)
    assert held <= reckoned <= 1.35 * held


def test_one_feature_that_is_the_cause_is_named_with_its_megabytes() -> None:
    texts = {**MANY, "deep": "ts_median(close, 700)"}
    found = reckon(read(texts), 500, min_share=0.5)  # type: ignore[arg-type]
    allowed = int(found.total(0) / MB) - 2
    with pytest.raises(MonitorError) as refused:
        refuse_too_large(found, 0, allowed)
    told = f"{refused.value.message} {refused.value.hint}"
    assert f"more than the limit monitor.memory_mb = {allowed:,}" in told
    assert "nothing was started" in told
    assert "without them it fits: deep 5.3 MB for 700 bars of its own (of it ts_median(.., 700) 5.3 MB)" in told
    refuse_too_large(found, 0, allowed + 3)


def test_more_than_forty_distinct_long_windows_are_refused_by_name() -> None:
    # 40 long ones, each of two features, and as many of 240 bars as one likes
    shared = {f"s{i}{k}": f"ts_mean(close, {241 + i}) * {k + 2}" for i in range(40) for k in range(2)}
    short = {f"w{i}": f"ts_std(close - {i}, 240)" for i in range(50)}
    found = reckon(read({**shared, **short}), 500, min_share=0.5)  # type: ignore[arg-type]
    assert found.long_windows == 40
    refuse_long_windows(found)
    one_more = reckon(read({**shared, **short, "lonely": "ts_max(high, 700)"}), 500, min_share=0.5)  # type: ignore[arg-type]
    with pytest.raises(MonitorError) as refused:
        refuse_long_windows(one_more)
    told = f"{refused.value.message} {refused.value.hint}"
    assert "watching 131 features on 500 symbols in shards takes 41 distinct windows of more than 240 bars, " in told
    assert " MB of them; at most 40 may be distinct; nothing was started" in told
    assert "least shared are ts_max(.., 700) 2.8 MB of lonely; write them so that features share them" in told
    many = reckon(read({f"f{i}": f"ts_mean(close, {300 + i})" for i in range(60)}), 500, min_share=0.5)  # type: ignore[arg-type]
    with pytest.raises(MonitorError) as refused:
        refuse_long_windows(many)
    assert "of f52; and 12 more; write them" in refused.value.hint


def test_a_large_watch_is_refused_before_any_shard_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    panel = make_panel(1, 50, 4)
    settings = Settings(monitor=MonitorSettings(shards="2", memory_mb=8000))
    texts = read({f"f{i}": f"ts_mean(close, {300 + i})" for i in range(41)})
    live_stream.stream_of(texts, panel, settings).close()  # type: ignore[arg-type,union-attr]  # a small one may
    monkeypatch.setattr(live_stream, "LARGE_LANES", 41 * 4)
    with pytest.raises(MonitorError, match="41 distinct windows of more than 240 bars"):
        live_stream.stream_of(texts, panel, settings)  # type: ignore[arg-type]


def test_where_no_feature_is_the_cause_it_says_how_much_would_fit() -> None:
    found = reckon(read(MANY), 500, min_share=0.5)  # type: ignore[arg-type]
    with pytest.raises(MonitorError, match="watching 40 features on 500 symbols holds") as refused:
        refuse_too_large(found, 2, 770)
    assert "no single feature is the cause: of these about" in refused.value.hint
    assert found.total(2) - found.total(0) == 2 * 250 * MB


def test_features_that_share_windows_are_cut_together_and_evenly() -> None:
    texts = {f"{k}{i}": f"ts_std(ts_mean(delta(close, {k}), 100), {40 + i})" for i in range(4) for k in (1, 2, 3, 4)}
    found = reckon(read(texts), 50, min_share=0.5)  # type: ignore[arg-type]
    names, plan = list(texts), cut(found, 2)
    assert sorted(row for rows in plan.rows for row in rows) == list(range(len(texts)))
    families = [{names[row][0] for row in rows} for rows in plan.rows]
    assert families[0] & families[1] == set()
    assert sum(plan.windows) == found.windows
    assert max(plan.windows) <= 1.2 * min(plan.windows)
    assert cut(found, 2) == plan
    assert len(cut(found, 4).rows) == 4


def test_how_many_shards_the_setting_means(tmp_path: Path) -> None:
    assert shards_of("auto", 1_000, 20) == 0
    assert shards_of("3", 2, 20) == 2
    file = tmp_path / "midas.toml"
    file.write_text("[monitor]\nshards = 2\nmemory_mb = 9000\n", encoding="utf-8")
    found = load_settings(file=file, environ={}).monitor
    assert (found.shards, found.memory_mb) == ("2", 9000)
    for wrong in ("0", "65", "two", "1.5", "true"):
        file.write_text(f"[monitor]\nshards = {wrong if wrong != 'two' else chr(34) + wrong + chr(34)}\n", "utf-8")
        with pytest.raises(SettingsError, match="monitor.shards"):
            load_settings(file=file, environ={})


def test_the_limit_is_the_machines_unless_it_is_set(tmp_path: Path) -> None:
    limit = tmp_path / "memory.max"
    limit.write_text("1073741824\n", encoding="ascii")
    assert machine_bytes((limit,)) == 2**30
    limit.write_text("max\n", encoding="ascii")
    assert machine_bytes((limit,)) == machine_bytes(()) > 2**30
    assert allowed_memory(123) == 123
    assert allowed_memory(0) == max(512, machine_bytes() * 3 // 4 // MB)


def test_a_worst_case_of_the_bar_fits_into_16_gb() -> None:
    # ten thousand features whose own windows are 240 bars: reckoned from one of them
    one = reckon({"f": parse("ts_zscore(close, 240)")}, 500, min_share=0.5)
    kept = 2 * 9_000 * 500 * 9 * 8  # a week of minutes of nine columns, and its copy
    held = 10_000 * (one.windows + 500 * LANE_BYTES + MANY_FEATURES_BYTES) + 3 * 250 * MB + kept
    assert held <= 16e9
    assert np.isclose(one.windows, 8 * 500 * (8 + 240 + 3 * 8))


async def test_a_live_watch_that_does_not_fit_is_refused_and_a_book_that_no_longer_fits_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel, file = make_panel(1, 60, 12), tmp_path / "bars.parquet"
    panel.save(file)
    end = datetime.fromisoformat(str(panel.timestamps[-1].astype("datetime64[s]"))).replace(tzinfo=UTC)
    clock, bus = ManualClock(end + timedelta(seconds=3605)), EventBus()
    told: list[FaultReported] = []
    bus.tap(lambda e: told.append(e) if isinstance(e, FaultReported) else None)
    small = FeatureRecord("small", "cs_rank(close)", FeatureState.DEPLOYED)
    deep = replace(small, name="deep", expression="ts_median(close, 48)")

    def watch(allowed: int) -> LiveWatch:
        feed = PollingFeed(FileSource(file), clock)
        return LiveWatch(feed, Settings(monitor=MonitorSettings(memory_mb=allowed)), bus=bus, clock=clock)

    refused = watch(250)
    with pytest.raises(MonitorError, match="1 features on 12 symbols holds 250 MB, .* history 0, processes 250"):
        await refused.begin([small])
    assert refused._monitor is None
    await refused.close()
    live = watch(251)
    await live.begin([small])
    assert live.fleet.engine.bars == 59
    await live.rebook([small, replace(deep, expression="ts_median(ts_sum(close, 500) + ts_sum(open, 600), 700)")] * 1)
    assert live.fleet.names == ["small", "deep"]
    await live.rebook([small, *(replace(deep, name=f"deep{i}") for i in range(9))])
    assert live.fleet.names == ["small", "deep"]
    assert "the book changed and is not watched as it is now: watching 10 features" in told[-1].message
    assert told[-1].severity == "critical"
    await live.close()
    monkeypatch.setattr(live_stream, "JUDGED_VALUES", 12 * 20)
    large = watch(0)
    await large.begin([replace(deep, expression="ts_median(close, 20)")])
    assert (large.fleet.engine.bars, large._stream and large._stream.bars) == (19, 20 + 20)
    assert told[-1].message == "of 60 bars of history the last 20 are judged: 12 values a bar"
    await large.close()
