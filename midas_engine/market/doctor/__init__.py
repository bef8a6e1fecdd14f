"""The data doctor: what is wrong with market data, by name, place and count."""

from __future__ import annotations
