"""Rolling covariance and correlation of two series by merging blocks; see `moments` for the method.

Only bars where both are valid count.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from midas_engine.dsl.jit import kernel
from midas_engine.dsl.registry import Array, Layout, Operator, Params, Run, State, register, series, window

if TYPE_CHECKING:
    from collections.abc import Sequence


@kernel("xxiiiwpw")
def _co_moment(x: Any, y: Any, n: int, need: int, mode: int, ws: Any, pos: Any, out: Any) -> None:
    rows, symbols = x.shape
    cx1, cy1, cx2, cy2 = ws[0], ws[1], ws[2], ws[3]
    px, py, pxx, pyy, pxy, pc = ws[4], ws[5], ws[6], ws[7], ws[8], ws[9]
    bx, by = 10, 10 + n
    tx, m = 10 + 2 * n, n + 1
    j = pos[0]
    for t in range(rows):
        xr, yr, ox, oy, o = x[t], y[t], ws[bx + j], ws[by + j], out[t]
        i = tx + j + 1
        ax, ay, axx, ayy, axy, k = ws[i], ws[i + m], ws[i + 2 * m], ws[i + 3 * m], ws[i + 4 * m], ws[i + 5 * m]
        for s in range(symbols):
            v, w, cv, cw = xr[s], yr[s], cx2[s], cy2[s]
            sx, sy, sxx, syy, sxy, count = px[s], py[s], pxx[s], pyy[s], pxy[s], pc[s]
            both = v + w
            ok = both == both
            v = v if ok else np.nan
            w = w if ok else np.nan
            ox[s] = v
            oy[s] = w
            cv = cv if count > 0.0 else v
            cw = cw if count > 0.0 else w
            cv = cv if cv == cv else 0.0
            cw = cw if cw == cw else 0.0
            d = v - cv
            e = w - cw
            d = d if ok else 0.0
            e = e if ok else 0.0
            sx += d
            sy += e
            sxx += d * d
            syy += e * e
            sxy += d * e
            count += 1.0 if ok else 0.0
            cx2[s] = cv
            cy2[s] = cw
            px[s] = sx
            py[s] = sy
            pxx[s] = sxx
            pyy[s] = syy
            pxy[s] = sxy
            pc[s] = count
        # A second loop: one loop over so many rows is more than the compiler will vectorise.
        if mode == 0:
            for s in range(symbols):
                cv, cw, rx, ry, count, ka = cx2[s], cy2[s], cx1[s], cy1[s], pc[s], k[s]
                sx, sy, sxy, qx, qy, qxy = px[s], py[s], pxy[s], ax[s], ay[s], axy[s]
                sxx, syy, qxx, qyy = pxx[s], pyy[s], axx[s], ayy[s]
                rx = rx if ka > 0.0 else cv
                ry = ry if ka > 0.0 else cw
                f = cv - rx
                g = cw - ry
                size = ka + count
                mx = qx + sx + count * f
                my = qy + sy + count * g
                mxy = qxy + sxy + f * sy + g * sx + count * f * g
                vxx = qxx + sxx + f * (2.0 * sx + count * f)
                vyy = qyy + syy + g * (2.0 * sy + count * g)
                top = size * mxy - mx * my
                # Rounding noise of a sum that cancels is no covariance: a rank would tell such zeros apart.
                top = top if top * top > 1e-28 * (size * vxx) * (size * vyy) else top * 0.0
                r = top / (size * (size - 1.0))
                o[s] = r if size >= need and r - r == 0.0 else np.nan
        else:
            for s in range(symbols):
                cv, cw, rx, ry, count, ka = cx2[s], cy2[s], cx1[s], cy1[s], pc[s], k[s]
                sx, sy, sxy, qx, qy, qxy = px[s], py[s], pxy[s], ax[s], ay[s], axy[s]
                sxx, syy, qxx, qyy = pxx[s], pyy[s], axx[s], ayy[s]
                rx = rx if ka > 0.0 else cv
                ry = ry if ka > 0.0 else cw
                f = cv - rx
                g = cw - ry
                size = ka + count
                mx = qx + sx + count * f
                my = qy + sy + count * g
                mxy = qxy + sxy + f * sy + g * sx + count * f * g
                vxx = qxx + sxx + f * (2.0 * sx + count * f)
                vyy = qyy + syy + g * (2.0 * sy + count * g)
                # Over one denominator, which is exact for whole numbers whatever the references are.
                mxx = size * vxx - mx * mx
                myy = size * vyy - my * my
                # Rounding noise of a flat window is not a correlation.
                mxx = mxx if mxx > 1e-14 * size * vxx else 0.0
                myy = myy if myy > 1e-14 * size * vyy else 0.0
                top = size * mxy - mx * my
                # Nor is what is left of a sum that cancels: a rank would tell such zeros apart.
                top = top if top * top > 1e-28 * (size * vxx) * (size * vyy) else top * 0.0
                r = top / (np.sqrt(mxx) * np.sqrt(myy))
                finite = r - r == 0.0
                r = r if r < 1.0 else 1.0
                r = r if r > -1.0 else -1.0
                o[s] = r if size >= need and finite else np.nan
        j += 1
        if j == n:
            j = 0
            for s in range(symbols):
                cx1[s] = 0.0
                cy1[s] = 0.0
                px[s] = 0.0
                py[s] = 0.0
                pxx[s] = 0.0
                pyy[s] = 0.0
                pxy[s] = 0.0
                pc[s] = 0.0
            for h in range(n - 1, -1, -1):
                i = tx + h
                ox, oy = ws[bx + h], ws[by + h]
                ax, ay, axx, ayy, axy, k = ws[i], ws[i + m], ws[i + 2 * m], ws[i + 3 * m], ws[i + 4 * m], ws[i + 5 * m]
                for s in range(symbols):
                    v, w, cv, cw = ox[s], oy[s], cx1[s], cy1[s]
                    sx, sy, sxx, syy, sxy, count = px[s], py[s], pxx[s], pyy[s], pxy[s], pc[s]
                    ok = v == v
                    cv = cv if count > 0.0 else v
                    cw = cw if count > 0.0 else w
                    cv = cv if cv == cv else 0.0
                    cw = cw if cw == cw else 0.0
                    d = v - cv
                    e = w - cw
                    d = d if ok else 0.0
                    e = e if ok else 0.0
                    sx += d
                    sy += e
                    sxx += d * d
                    syy += e * e
                    sxy += d * e
                    count += 1.0 if ok else 0.0
                    cx1[s] = cv
                    cy1[s] = cw
                    px[s] = sx
                    py[s] = sy
                    pxx[s] = sxx
                    pyy[s] = syy
                    pxy[s] = sxy
                    pc[s] = count
                    ax[s] = sx
                    ay[s] = sy
                    axx[s] = sxx
                    ayy[s] = syy
                    axy[s] = sxy
                    k[s] = count
            for s in range(symbols):
                px[s] = 0.0
                py[s] = 0.0
                pxx[s] = 0.0
                pyy[s] = 0.0
                pxy[s] = 0.0
                pc[s] = 0.0
    pos[0] = j


def _pair(mode: int) -> Run:
    def run(args: Sequence[Any], params: Params, need: int, state: State | None, out: Array) -> None:
        assert state is not None
        _co_moment(args[0], args[1], int(params[0]), need, mode, state.workspace, state.counters, out)

    return run


def _rows(params: Params) -> int:
    n = int(params[0])
    return 10 + 2 * n + 6 * (n + 1)


_LAYOUT = Layout(10, (0.0,) * 6, rings=2)


def _memory(params: Params) -> int:
    return int(params[0]) - 1


register(
    Operator("ts_cov", "time_series", (series("x"), series("y"), window(low=2)),
             "Sample covariance (n - 1) over the last n.", "ts_cov(returns(close, 1), funding_rate, 48)",
             "product", memory=_memory, run=_pair(0), state_rows=_rows, blocked=True,
             layout=_LAYOUT, min_bars=2, commutative=True,
             scale="out", shift_free=True, odd=True, symmetric_pair=True)
)  # fmt: skip
register(
    Operator("ts_corr", "time_series", (series("x"), series("y"), window(low=2)),
             "Pearson correlation over the last n; NaN when either is flat; over 2 bars only a sign.",
             "ts_corr(close, volume, 48)", "pure",
             memory=_memory, run=_pair(1), state_rows=_rows, blocked=True,
             layout=_LAYOUT, min_bars=2, commutative=True, scale="free",
             shift_free=True, odd=True, symmetric_pair=True)
)  # fmt: skip
