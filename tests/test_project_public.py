"""The public names: what stands in `__all__` of a package's face stays importable from there, whatever moves inside."""

from __future__ import annotations

import importlib
import json

import pytest

from tests.helpers_cli import ROOT

PINNED: dict[str, list[str]] = json.loads((ROOT / "tests" / "data" / "public_names.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("face", PINNED, ids=str)
def test_pinned_names_stay_importable(face: str) -> None:
    module = importlib.import_module(face)
    missing = [name for name in PINNED[face] if not hasattr(module, name)]
    assert missing == [], f"{face} lost {missing}; a public import path stays, or the change is named in CHANGELOG.md"
    unlisted = sorted(set(PINNED[face]) - set(module.__all__))
    assert unlisted == [], f"{face}.__all__ lost {unlisted}"


@pytest.mark.parametrize("face", PINNED, ids=str)
def test_new_public_names_are_pinned(face: str) -> None:
    added = sorted(set(importlib.import_module(face).__all__) - set(PINNED[face]))
    assert added == [], f"add {added} to tests/data/public_names.json: what is public is a promise"
