"""`DSLValidator`: says whether an expression is allowed, without computing anything."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from midas_engine.dsl.doubts import doubts
from midas_engine.dsl.expression import Expression, parse
from midas_engine.errors import ExpressionError
from midas_engine.settings import DslLimits

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping


@dataclass(frozen=True, slots=True)
class ValidationResult:
    """The verdict on one text.

    Attributes:
        ok: Whether it may be computed.
        expression: The checked expression when ok.
        error: What was wrong when not.
        message: The error as a user should read it; empty when ok.
        warnings: Doubts that do not refuse it, such as mixed units.
    """

    ok: bool
    expression: Expression | None = None
    error: ExpressionError | None = None
    message: str = ""
    warnings: tuple[str, ...] = ()

    @property
    def valid(self) -> bool:
        """`ok`, by the original's name."""
        return self.ok

    def __bool__(self) -> bool:
        return self.ok


class DSLValidator:
    """Validates expressions against the columns that exist.

    Args:
        columns: The columns of the data; None accepts any lower-case name.
        limits: Size limits.
        features: Expressions usable by name.

    Example:
        >>> DSLValidator(["close"]).validate("delay(close, -1)").ok
        False
    """

    def __init__(
        self,
        columns: Collection[str] | None = None,
        limits: DslLimits | None = None,
        features: Mapping[str, str] | None = None,
    ) -> None:
        self.columns = None if columns is None else frozenset(columns)
        self.limits = limits if limits is not None else DslLimits()
        self.features = dict(features or {})

    def validate(self, expr: str) -> ValidationResult:
        """The verdict; never raises for anything an expression can contain."""
        try:
            expression = parse(expr, columns=self.columns, limits=self.limits, features=self.features)
        except ExpressionError as error:
            return ValidationResult(False, error=error, message=str(error))
        warnings = tuple(w.message for w in doubts(expression))
        return ValidationResult(True, expression, warnings=warnings)
