"""`DiagnosisLimits`: what explaining episodes may cost."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class DiagnosisLimits:
    """What a `DiagnoseAgent` may spend.

    Attributes:
        per_day: Diagnoses a UTC day; 0 switches them off.
        seconds: How long a researcher, and then a mender, may take.
        max_tokens: Of a researcher's reply.
    """

    per_day: int = 12
    seconds: float = 180.0
    max_tokens: int = 2000
