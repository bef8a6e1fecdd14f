"""Settings: layers, ranges, and errors that name the key, the place and the nearest right one."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from midas_engine.errors import EvaluationError, SettingsError
from midas_engine.evaluator.context.history_split import split_history
from midas_engine.settings import Settings, known_keys, load_settings

if TYPE_CHECKING:
    from pathlib import Path


def written(folder: Path, text: str) -> Path:
    file = folder / "midas.toml"
    file.write_text(text, encoding="utf-8")
    return file


def test_each_layer_wins_over_the_one_before(tmp_path: Path) -> None:
    file = written(tmp_path, 'seed = 1\ndata = "synthetic"\n[costs]\nfee_bps = 2.5\nslippage_bps = 3\n')
    environ = {"MIDAS_SEED": "2", "MIDAS_COSTS_FEE_BPS": "5", "OTHER": "x"}
    settings = load_settings(file=file, environ=environ, flags={"seed": 3, "kb": None})
    assert settings.seed == 3
    assert settings.data == "synthetic"
    assert settings.costs.fee_bps == 5.0
    assert settings.costs.slippage_bps == 3.0
    assert settings.costs.one_way_bps == pytest.approx(5.0 + 1.0 + 3.0)
    assert settings.kb == "./midas-kb"


def test_defaults_alone_are_the_dataclass() -> None:
    assert load_settings(environ={}) == Settings()


def test_midas_toml_of_the_working_folder_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path, "seed = 11\n")
    monkeypatch.chdir(tmp_path)
    assert load_settings(environ={}).seed == 11


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sed = 1", "unknown setting 'sed' in .*midas.toml.*\n.*did you mean 'seed'"),
        ("[costs]\nfee = 1", "unknown setting 'costs.fee'.*\n.*costs.fee_bps"),
        ("seed = 1.5", "seed = 1.5 .*is not of type int"),
        ("seed = true", "seed = True .*is not of type int"),
        ("read_only = 2", "read_only = 2 .*is not of type bool"),
        ("[costs]\nfee_bps = 1e9", "costs.fee_bps = 1000000000.0 .*out of range.*\n.*use -10 to 1000"),
        ("[costs]\nfee_bps = nan", "costs.fee_bps = nan .*out of range"),
        ("[evaluation]\nhorizons = [0]", "evaluation.horizons = .*is not of type"),
        ("[evaluation]\nhorizons = []", "evaluation.horizons = .*is not of type"),
        ("[evaluation]\nsealed_share = 0.8", "evaluation.sealed_share = 0.8 .*out of range.*\n.*use 0.05 to 0.7"),
        ('[evaluation]\nembargo = "two days"', "evaluation.embargo = 'two days' is not a duration in .*\n.*12h"),
        ("[evaluation]\nholdout_share = 0.9", "evaluation.sealed_share = 1.1 .*out of range"),
        ('[model]\nprovider = "oracle"', "model.provider = 'oracle'.*\n.*one of local, mock"),
        ('[model.cutoffs]\n"some-model" = "last summer"', "model.cutoffs = .*is not of type"),
        ("seed = ", "cannot be read"),
    ],
)
def test_mistakes_in_the_file_are_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        load_settings(file=written(tmp_path, text), environ={})


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "midas.toml"
    file.write_bytes(b"\xff\xfe\x00seed")
    with pytest.raises(SettingsError, match=r"midas\.toml cannot be read"):
        load_settings(file=file, environ={})


def test_a_named_file_must_exist(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="does not exist"):
        load_settings(file=tmp_path / "none.toml", environ={})


def test_a_mistyped_environment_variable_is_not_passed_over() -> None:
    with pytest.raises(
        SettingsError, match="unknown setting MIDAS_COSTS_FEE_BP in the environment\n.*MIDAS_COSTS_FEE_BPS"
    ):
        load_settings(environ={"MIDAS_COSTS_FEE_BP": "3"})


def test_the_api_key_is_no_setting() -> None:
    assert load_settings(environ={"MIDAS_API_KEY": "secret"}) == Settings()
    assert not [key for key in known_keys() if "api_key" in key]


@pytest.mark.parametrize(("text", "wanted"), [("yes", True), ("0", False), ("TRUE", True)])
def test_booleans_from_the_environment(text: str, wanted: bool) -> None:
    assert load_settings(environ={"MIDAS_READ_ONLY": text}).read_only is wanted


def test_every_number_has_a_range_that_its_default_obeys() -> None:
    from midas_engine.setting_ranges import RANGES

    numbers = {key for key, kind in known_keys().items() if kind in (int, float)}
    assert numbers - set(RANGES) == {"seed"}
    defaults: Any = Settings()
    for key, (low, high) in RANGES.items():
        section, name = key.split(".")
        assert low <= getattr(getattr(defaults, section), name) <= high


def test_the_sealed_part_starts_after_what_the_model_may_remember(tmp_path: Path) -> None:
    file = written(tmp_path, '[model]\nmodel = "m-1"\n[model.cutoffs]\n"m-1" = 2025-12-31\n"m-2" = "2026-06-30"\n')
    settings = load_settings(file=file, environ={})
    assert settings.model.knowledge_ends == datetime(2026, 1, 1, tzinfo=UTC)
    assert Settings().model.knowledge_ends is None
    times = np.datetime64("2025-10-01", "ns") + np.arange(2400) * np.timedelta64(1, "h")
    plain, sealed = (split_history(times, s, 1) for s in (Settings(), settings))
    # the last 35 % begin on 2025-12-05; the model's knowledge pushes that to the new year
    assert str(times[plain.sealed.start])[:10] == "2025-12-05"
    assert str(times[sealed.sealed.start])[:13] == "2026-01-01T00"
    assert sealed.research.stop < sealed.sealed.start
    with pytest.raises(EvaluationError, match="the data ends before 2026-07-01"):
        split_history(times, load_settings(file=file, environ={}, flags={"model.model": "m-2"}), 1)


def test_shares_and_bars_of_before_are_converted_and_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = written(tmp_path, "[evaluation]\nconfirmation_share = 0.25\nembargo_bars = 24\n")
    environ = {"MIDAS_EVALUATION_EMBARGO_BARS": "12"}
    for _ in range(2):
        found = load_settings(file=file, environ=environ).evaluation
        assert (found.sealed_share, found.embargo) == (0.4, "12b")
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 3
    assert "evaluation.confirmation_share in" in said[0]
    assert "is read as evaluation.sealed_share = 0.4; write evaluation.sealed_share instead" in said[0]
    assert "embargo_bars in the environment is read as evaluation.embargo = 12b" in said[2]


def test_a_key_of_today_wins_over_one_of_before(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = written(tmp_path, "[evaluation]\nholdout_share = 0.1\nsealed_share = 0.5\n")
    assert load_settings(file=file, environ={}).evaluation.sealed_share == 0.5
    assert "is not used beside evaluation.sealed_share" in caplog.text


def test_no_share_at_all_is_the_least_one(tmp_path: Path) -> None:
    file = written(tmp_path, "[evaluation]\nconfirmation_share = 0\nholdout_share = 0\n")
    assert load_settings(file=file, environ={}).evaluation.sealed_share == 0.05
