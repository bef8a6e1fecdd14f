"""`base_digest`: one hash of everything a base concluded, to compare runs that must conclude the same."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from midas_engine.journal.schema import LEDGER_TABLES

if TYPE_CHECKING:
    from pathlib import Path

DOCUMENTS = ("knowledge", "reports")
_ASIDE = ("/revoked/", "/superseded/")


def base_digest(folder: Path) -> dict[str, str]:
    """Hashes of the ledger's rows and of every document, byte for byte.

    With an injected clock they are equal for any number of workers, local or on a cluster, whoever died on the way.
    Learnings that were set aside, such as that of an interruption, are left out.

    Args:
        folder: The base; nobody writes in it meanwhile.

    Returns:
        A table's or a document's name to its hash, and `whole` over all of them.
    """
    found = {table: _rows(folder / "journal.sqlite", table) for table in LEDGER_TABLES}
    for top in DOCUMENTS:
        for path in sorted((folder / top).rglob("*")):
            name = path.relative_to(folder).as_posix()
            if path.is_file() and not any(mark in name for mark in _ASIDE):
                found[name] = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    whole = hashlib.sha256("\n".join(f"{name} {value}" for name, value in sorted(found.items())).encode())
    return {**found, "whole": whole.hexdigest()[:16]}


def _rows(path: Path, table: str) -> str:
    import sqlite3
    from contextlib import closing

    digest = hashlib.sha256()
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        for row in database.execute(f"SELECT * FROM {table} ORDER BY seq"):
            digest.update(repr(row).encode())
    return digest.hexdigest()[:16]
