"""Few symbols, long history: cut time into pieces that run side by side, as symbols do.

The kernels work across symbols, several to an instruction. One series would use one lane of them, so its
history is laid out as pieces of whole blocks, each preceded by the block before it. The blocks keep their
places, which is why the values are bit-equal to those of the uncut history.
"""

from __future__ import annotations

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
    laid = [_lay(arg, n, length, count) for arg in args]
    result = np.empty(laid[0].shape)
    assert operator.run is not None
    operator.run(laid, params, need, operator.new_state(params, count * symbols), result)
    whole = result[n:].reshape(length, count, symbols).transpose(1, 0, 2).reshape(length * count, symbols)
    out[:] = whole[:bars]
    return True


def _lay(x: Array, n: int, length: int, count: int) -> Array:
    bars, symbols = x.shape
    padded = np.empty((n + length * count, symbols))
    padded[:n] = np.nan
    padded[n : n + bars] = x
    padded[n + bars :] = np.nan
    step = padded.strides[0]
    view = np.lib.stride_tricks.as_strided(
        padded, (length + n, count, symbols), (step, step * length, padded.strides[1]), writeable=False
    )
    return np.ascontiguousarray(view).reshape(length + n, count * symbols)
