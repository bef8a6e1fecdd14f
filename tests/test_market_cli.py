"""`midas data`: check, import and info, as they are typed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from helpers_cli import call_midas
from helpers_market import bars, funding, write

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_sound_data_is_called_sound(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(bars(), tmp_path / "BTCUSDT-1h.csv")
    result = call_midas(capsys, "data", "check", str(path))
    assert result.code == 0
    assert "60 rows, 1 symbols, 2026-01-05 00:00 to 2026-01-07 11:00 UTC" in result.out
    assert "no defects" in result.out


def test_defects_come_with_place_count_and_advice(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frame = bars(60, ("BTCUSDT", "ETHUSDT")).drop(index=[5, 65])
    frame.loc[9, "low"] = -1.0
    write(frame, tmp_path / "bad.csv")
    result = call_midas(capsys, "data", "check", str(tmp_path))
    assert result.code == 1
    assert "not usable as it is" in result.out
    lines = [" ".join(line.split()) for line in result.out.splitlines()]
    assert any(line.startswith("error no-price BTCUSDT low 1 2026-01-05 09:00 lowest -1") for line in lines)
    assert any(line.startswith("warning gaps BTCUSDT +1 - 2 2026-01-05 05:00") for line in lines)
    assert "no-price: remove the rows: a price is above zero" in lines
    document = call_midas(capsys, "data", "check", str(tmp_path), "--json").document
    assert document["ok"] is False
    assert [d["code"] for d in document["defects"]] == ["no-price", "gaps", "gaps"]
    assert document["defects"][0]["first_at"] == "2026-01-05T09:00:00+00:00"


def test_an_import_is_read_by_its_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    klines = write(bars(60, ("BTCUSDT", "ETHUSDT")), tmp_path / "bars.csv")
    rates = write(funding(), tmp_path / "funding.csv")
    out = tmp_path / "market"
    done = call_midas(capsys, "data", "import", str(klines), str(rates), "--out", str(out))
    assert done.code == 0
    assert "2 symbols x 60 bars of 60 min" in done.out
    document = call_midas(capsys, "data", "info", str(out), "--json").document
    columns = {c["column"]: c["coverage"] for c in document["columns"]}
    assert columns["close"] == 1.0
    assert 0.4 < columns["funding_rate"] <= 0.5  # one of two symbols has rates
    assert document["bars"] == 60
    again = call_midas(capsys, "data", "import", str(klines), str(rates), "--out", str(out), "--json").document
    assert again["panel"]["snapshot"] == document["snapshot"]
    assert again["ok"] is True


def test_an_import_of_bad_data_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(bars().assign(close=-1.0), tmp_path / "bad.csv")
    result = call_midas(capsys, "data", "import", str(path), "--out", str(tmp_path / "market"))
    assert result.code == 1
    assert "no-price" in result.out
    assert not (tmp_path / "market").exists()
    assert (
        call_midas(capsys, "data", "import", str(path), "--out", str(tmp_path / "market"), "--json").document["ok"]
        is False
    )


def test_what_cannot_be_read_is_refused_with_a_hint(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "page.csv").write_text("<html>")
    for arguments, words in (
        (("data", "check", str(tmp_path / "no.csv")), "cannot be read: No such file"),
        (("data", "check", str(tmp_path / "page.csv")), "is a web page"),
        (("data", "import", str(tmp_path / "page.csv"), "--out", str(tmp_path / "m")), "is a web page"),
        (("data", "info", str(tmp_path / "no")), "no data at"),
    ):
        result = call_midas(capsys, *arguments)
        assert result.code == 3
        assert words in result.err
        assert "hint:" in result.err


def test_a_bar_length_is_chosen(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import pandas as pd

    frame = pd.concat([bars(48).assign(interval="1h"), bars(60, seconds=300, seed=3).assign(interval="5m")])
    path = write(frame, tmp_path / "two.csv")
    assert "mixed-bars" in call_midas(capsys, "data", "check", str(path)).out
    assert call_midas(capsys, "data", "check", str(path), "--bar", "5m").code == 0
    refused = call_midas(capsys, "data", "check", str(path), "--bar", "5 moons")
    assert refused.code == 3
    assert "no bar length" in refused.err
