"""The deployed features as every candidate meets them: ranked for correlation, squared for the regression."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from midas_engine.evaluator.context.byte_cache import ByteCache
from midas_engine.stats.correlation import Known, Singles, correlations, standard_ranks
from midas_engine.stats.marginal import Regressors, known_factor, residual
from midas_engine.stats.normal_scores import scores_of_ranks
from midas_engine.stats.ranks import own_ranks, sort_rows

if TYPE_CHECKING:
    from collections.abc import Mapping

    from midas_engine.stats._jit import Floats, Ints


class Ranked(Protocol):
    """The ranked layout of the cells; `EvaluationContext` is one."""

    @property
    def T(self) -> int: ...  # noqa: D102
    @property
    def S(self) -> int: ...  # noqa: D102
    @property
    def cross(self) -> bool: ...  # noqa: D102
    @property
    def minimum(self) -> int: ...  # noqa: D102
    def lay(self, values: Floats) -> Floats: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Deployed:
    """K features over the cells of the data; single precision halves the memory and costs 1e-7.

    Attributes:
        names: [K].
        ranks: Standardised ranks [K, cells], 0 where unknown.
        known: [K, cells].
        regressors: Normal scores; None without features.
        factors: Cross products, factorised once per validity mask.
    """

    names: tuple[str, ...]
    ranks: Singles
    known: Known
    regressors: Regressors | None
    factors: ByteCache

    @classmethod
    def build(cls, existing: Mapping[str, Floats], context: Ranked) -> Deployed:
        """Rank every feature, and square its normal scores."""
        size = context.T * context.S
        names = tuple(existing)
        if not names:  # nothing to compare with, and nothing to keep room for
            return cls((), np.zeros((0, size), np.float32), np.zeros((0, size), np.uint8), None, ByteCache())
        ranks = np.zeros((len(names), size), np.float32)
        known = np.zeros((len(names), size), np.uint8)
        scores = np.zeros((len(names) + 1, size), np.float32)
        for k, values in enumerate(existing.values()):
            finite = np.where(np.isfinite(values), values, np.nan)
            rows = context.lay(finite)
            order = sort_rows(rows)
            flat = standard_ranks(rows, order, context.minimum).reshape(-1)
            known[k] = ~np.isnan(flat)
            ranks[k] = np.nan_to_num(flat)
            scores[k] = np.nan_to_num(scores_of_ranks(*own_ranks(rows, order), context.minimum).reshape(-1))
        scores[-1] = 1.0
        return cls(names, ranks, known, Regressors.build(scores), ByteCache())

    def correlations(self, f_rows: Floats, f_order: Ints, minimum: int) -> Floats:
        """Rank correlation of a candidate with each of the K."""
        return correlations(standard_ranks(f_rows, f_order, minimum), self.ranks, self.known)

    def residual(self, z: Floats, key: bytes) -> Floats:
        """The candidate's normal scores less what the K explain of them; NaN where nothing is left to score.

        Args:
            z: Normal scores in the ranked layout.
            key: `mask_key` of z.
        """
        if self.regressors is None:
            return z.copy()
        regressors, flat = self.regressors, z.reshape(-1)
        factor = self.factors.get((key,), lambda: known_factor(flat != flat, regressors))
        return residual(flat, regressors, factor).reshape(z.shape)
