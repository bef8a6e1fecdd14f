"""JSON answers of exchanges to frames, however deep their rows lie."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from midas_engine.errors import DataFormatError
from midas_engine.market.importers.columns import SPELLINGS, canonical, spelling
from midas_engine.market.importers.names import name_hints

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

_DEEPEST = 6
_FEWEST_COLUMNS = 2


def read_json(source: str, text: str) -> pd.DataFrame:
    """The rows of an answer: a list of rows or of objects, an object of columns, or either under wrappers and symbols.

    Raises:
        DataFormatError: It is no JSON, or holds no rows.
    """
    import pandas as pd

    cut = ""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        document, cut = _lines(text)
        if document is None:
            raise DataFormatError(
                f"{source} is no JSON: {str(error)[:120]}", hint="Midas reads CSV, JSON, Parquet and Feather"
            ) from error
    pieces = []
    for symbol, rows in _rows(document, None, 0):
        frame = _frame(source, rows)
        if symbol is not None and "symbol" not in canonical(frame.columns).values():
            frame["symbol"] = symbol
        pieces.append(frame)
    if not pieces:
        raise DataFormatError(
            f"{source} holds no list of rows", hint="give the exchange's answer with its klines in it"
        )
    if len(pieces) > 1 and any(set(p.columns) != set(pieces[0].columns) for p in pieces):
        raise DataFormatError(
            f"{source} holds several tables of different columns", hint="save each of them to a file of its own"
        )
    whole = pd.concat(pieces, ignore_index=True) if len(pieces) > 1 else pieces[0]
    whole.attrs["cut"] = cut
    return whole


def _lines(text: str) -> tuple[list[Any] | None, str]:
    """JSON of one row a line, and a last line that ends inside its row; None where lines are no JSON."""
    rows: list[Any] = []
    lines = [line for line in text.splitlines() if line.strip()]
    for i, line in enumerate(lines):
        try:
            rows.append(json.loads(line))
        except (ValueError, RecursionError):
            return (rows, line[:60]) if 0 < i == len(lines) - 1 else (None, "")
    return rows, ""


def _rows(node: Any, symbol: str | None, depth: int) -> Iterator[tuple[str | None, Any]]:
    """Every list of rows, or object of columns, below a node, with the symbol that stands over it."""
    if depth > _DEEPEST:
        return
    if isinstance(node, list):
        if not node or len({type(r) for r in node}) > 1 or not isinstance(node[0], list | dict):
            return
        if isinstance(node[0], dict) and all(_nested(r) for r in node):
            for row in node:
                yield from _rows(row, symbol, depth + 1)
        elif not isinstance(node[0], list) or not any(isinstance(c, list | dict) for c in node[0]):
            yield symbol, node
        return
    if not isinstance(node, dict):
        return
    symbol = next((node[k] for k in node if spelling(k) in SPELLINGS["symbol"] and isinstance(node[k], str)), symbol)
    if _is_columns(node):
        yield symbol, {k: v for k, v in node.items() if isinstance(v, list)}
        return
    for key, below in node.items():
        if isinstance(below, list | dict):
            yield from _rows(below, name_hints(key.replace("/", "").split(":")[0]).symbol or symbol, depth + 1)


def _nested(row: dict[str, Any]) -> bool:
    """Whether an object is no row but stands over rows: a list of objects or of lists is in it."""
    return any(isinstance(v, list) and v and all(isinstance(c, list | dict) for c in v) for v in row.values())


def _is_columns(node: dict[str, Any]) -> bool:
    """Whether an object holds columns: lists of figures, all of one length."""
    lists = [v for v in node.values() if isinstance(v, list)]
    lengths = {len(v) for v in lists}
    plain = all(not isinstance(c, list | dict) for v in lists for c in v)
    return len(lists) >= _FEWEST_COLUMNS and len(lengths) == 1 and lengths != {0} and plain


def _frame(source: str, rows: Any) -> pd.DataFrame:
    import pandas as pd

    if isinstance(rows, list) and isinstance(rows[0], list):
        lengths = {len(row) for row in rows}
        if len(lengths) > 1 or lengths == {0}:
            raise DataFormatError(f"{source} is no regular table: its rows have {min(lengths)} to {max(lengths)} cells")
    frame = pd.DataFrame(rows)
    for column in [c for c in frame if frame[c].dtype.kind == "O"]:
        # A cell holds a figure or a word; a list or an object in one is shown as its text.
        frame[column] = [str(cell)[:80] if isinstance(cell, list | dict) else cell for cell in frame[column]]
    return frame
