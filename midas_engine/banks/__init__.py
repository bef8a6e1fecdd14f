"""Banks: fixed lists of expressions, the published alphas among them, each judged as one family."""

from __future__ import annotations

from typing import TYPE_CHECKING

from midas_engine.lazy import lazy_face

if TYPE_CHECKING:
    from midas_engine.banks.judging import Charge, judge_bank
    from midas_engine.banks.reading import SHIPPED, Bank, BankEntry, read_bank
    from midas_engine.banks.result import BankResult, BankRow

__all__ = ["SHIPPED", "Bank", "BankEntry", "BankResult", "BankRow", "Charge", "judge_bank", "read_bank"]

__getattr__, __dir__ = lazy_face(
    __name__,
    {
        "SHIPPED": ".reading",
        "Bank": ".reading",
        "BankEntry": ".reading",
        "BankResult": ".result",
        "BankRow": ".result",
        "Charge": ".judging",
        "judge_bank": ".judging",
        "read_bank": ".reading",
    },
)
