"""Few symbols, long history: cut time into pieces that run side by side, as symbols do.

The kernels work across symbols, several to an instruction. One series would use one lane of them, so its
history is laid out as pieces of whole blocks, each preceded by the block before it. The blocks keep their
places, which is why the values are bit-equal to those of the uncut history.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from midas_engine.dsl.registry import Array, Operator, Params

# More symbols than this fill the lanes by themselves.
MAX_SYMBOLS = 8
_LANES = 64
# Blocks in a piece: with fewer the repeated block costs more than the lanes save.
_MIN_BLOCKS = 3
_SCRATCH_SIZE = 2**18
_LOCAL = threading.local()


def pieces(bars: int, symbols: int, n: int) -> tuple[int, int]:
    """(bars in a piece, number of pieces); one piece means not worth cutting."""
    if symbols > MAX_SYMBOLS:
        return bars, 1
    wanted = max(1, _LANES // symbols)
    length = n * max(_MIN_BLOCKS, -(-bars // (wanted * n)))
    count = -(-bars // length)
    return (length, count) if count * symbols >= 4 and count > 1 else (bars, 1)


def run_cut(operator: Operator, args: Sequence[Any], params: Params, need: int, out: Array) -> bool:
    """Run a windowed operator on pieces; False when it is not worth it and nothing was done."""
    bars, symbols = out.shape
    n = int(params[0])
    length, count = pieces(bars, symbols, n)
    if count == 1:
        return False
    shape = (length + n, count * symbols)
    laid = [_lay(arg, n, length, count, _scratch(1 + i, shape)) for i, arg in enumerate(args)]
    result = _scratch(0, shape)
    assert operator.run is not None
    operator.run(laid, params, need, operator.new_state(params, count * symbols), result)
    whole = result[n:].reshape(length, count, symbols).transpose(1, 0, 2)
    full = bars // length
    out[: full * length].reshape(full, length, symbols)[:] = whole[:full]
    if full < count:
        out[full * length :] = whole[full, : bars - full * length]
    return True


def _lay(x: Array, n: int, length: int, count: int, laid: Array) -> Array:
    """Pieces side by side in `laid`: first the block before a piece, then its own bars; NaN outside the history."""
    bars, symbols = x.shape
    cells = laid.reshape(length + n, count, symbols)
    full = bars // length
    cells[n:, :full] = x[: full * length].reshape(full, length, symbols).transpose(1, 0, 2)
    if full < count:
        rest = bars - full * length
        cells[n : n + rest, full] = x[full * length :]
        cells[n + rest :, full] = np.nan
    cells[:n, 0] = np.nan
    cells[:n, 1:] = cells[length:, :-1]
    return laid


def _scratch(slot: int, shape: tuple[int, int]) -> Array:
    """A buffer of this thread's that keeps its pages; a large one is new each time."""
    size = shape[0] * shape[1]
    if size > _SCRATCH_SIZE:
        return np.empty(shape)
    name = f"slot{slot}"
    buffer: Array | None = getattr(_LOCAL, name, None)
    if buffer is None or buffer.size < size:
        buffer = np.empty(size)
        setattr(_LOCAL, name, buffer)
    return buffer[:size].reshape(shape)
