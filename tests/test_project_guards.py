"""The tests' own guards hold: no network, no keys, nobody's home."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

REFUSED = "only loopback is allowed"


def test_the_network_is_out_of_reach() -> None:
    with socket.socket() as plug:
        plug.settimeout(1)
        with pytest.raises(RuntimeError, match=REFUSED):
            plug.connect(("192.0.2.1", 80))
        with pytest.raises(RuntimeError, match=REFUSED):
            plug.connect_ex(("192.0.2.1", 80))
    with pytest.raises(RuntimeError, match=REFUSED):
        socket.create_connection(("example.com", 80), timeout=1)
    with pytest.raises(RuntimeError, match=REFUSED):
        socket.getaddrinfo("example.com", 80)


async def test_asyncio_is_guarded_too() -> None:
    import asyncio

    with pytest.raises(RuntimeError, match=REFUSED):
        await asyncio.open_connection("example.com", 80)


def test_loopback_works() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname(), timeout=5) as plug,
    ):
        plug.sendall(b"x")
        peer, _ = server.accept()
        with peer:
            assert peer.recv(1) == b"x"


def test_the_environment_is_clean() -> None:
    names = [n for n in os.environ if n.startswith(("MIDAS_", "OPENAI_", "ANTHROPIC_")) or n.endswith("_API_KEY")]
    assert names == ["MIDAS_EVALUATION_SCREENED"]  # conftest's own: a screen takes many seconds
    assert list(Path.home().glob(".ssh")) == []
    assert "midas-tests-home-" in str(Path.home())
