"""Asking a model until it answers or asking again is pointless."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from midas_engine.errors import ModelError, ModelLengthError, ModelOutageError, ModelStallError, ModelUnfinishedError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from midas_engine.clock import Clock
    from midas_engine.llm.budget import Budget
    from midas_engine.llm.client import ModelReply, ModelRequest, OnText

# After the SDK's own retries: long enough for a provider's hiccup, short enough for someone who watches.
OUTAGE_WAITS = (5.0, 20.0)
# A cut reply is asked for once more: models that think count their thoughts in the limit.
LONGER, MOST_TOKENS = 4, 64_000


async def ask_patiently(
    complete: Callable[[ModelRequest, OnText], Awaitable[ModelReply]],
    request: ModelRequest,
    on_text: OnText,
    *,
    budget: Budget,
    clock: Clock,
) -> ModelReply:
    """One reply. Each try is counted and charged to the budget, failed ones by what they used.

    | what failed | what is done |
    | --- | --- |
    | an outage, a broken stream, a full quota | asked again after each of `OUTAGE_WAITS` |
    | the token limit cut the reply | asked once more with a larger limit |
    | the call did not end in its time | asked once more |
    | the reply stopped for a reason that ends none: a call of a tool that there is not | asked once more |
    | a refusal, and everything else | raised |

    Raises:
        BudgetError: A further try would pass a limit.
        ModelError: The last try failed too.
    """
    waits = list(OUTAGE_WAITS)
    may_lengthen = may_stall = may_end = True
    while True:
        budget.reserve()
        try:
            reply = await complete(request, on_text)
        except ModelError as error:
            budget.charge(error.cost_usd, again=error.recorded)
            if isinstance(error, ModelLengthError) and may_lengthen and request.max_tokens < MOST_TOKENS:
                may_lengthen = False
                longest = min(request.max_tokens * LONGER, MOST_TOKENS)
                request = dataclasses.replace(request, max_tokens=longest, longer=LONGER)
                on_text(f"\n({error.message}; asking once more, for at most {request.max_tokens:,} tokens)\n")
            elif isinstance(error, ModelUnfinishedError) and may_end:
                may_end = False
                on_text(f"\n({error.message}; asking once more)\n")
            elif isinstance(error, ModelStallError) and may_stall:
                may_stall = False
                on_text(f"\n({error.message}; asking once more)\n")
            elif isinstance(error, ModelOutageError) and waits:
                wait = max(waits.pop(0), error.rest_seconds)
                on_text(f"\n({error.message}; asking again in {wait:.0f} s)\n")
                if not error.recorded:
                    await clock.sleep(wait)
            else:
                raise
        else:
            budget.charge(reply.cost_usd, again=reply.cached)
            return reply
