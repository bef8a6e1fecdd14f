"""How a model is asked and what it costs, from the settings and from what is known of it by name."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from midas_engine.llm.budget import DEAREST, listed_price
from midas_engine.model_options import ModelOptions, Price, options_of, price_of

if TYPE_CHECKING:
    from midas_engine.llm.client import ModelRequest
    from midas_engine.llm.endpoint import Endpoint
    from midas_engine.settings import ModelSettings

# Thoughts count in the limit of a reply: models that think get this much on top of what the caller wants to read.
THINKING_ALLOWANCE = 8_000
_THINK = ("gpt-5", "gpt-6", "o1", "o3", "o4", "claude-opus-4-7", "claude-opus-4-8", "claude-opus-5", "claude-sonnet-5",
          "claude-haiku-5", "claude-fable", "claude-mythos")  # fmt: skip
_RESPONSES_ONLY = ("-pro", "codex", "deep-research")


@dataclass(frozen=True, slots=True)
class Asking:
    """What a client needs to know of its model.

    Attributes:
        options: As the settings and the model's name say.
        price: By the settings, or by list; None: not known, and charged as the dearest.
        note: Said once, with the first call; empty when there is nothing to say.
    """

    options: ModelOptions = field(default_factory=ModelOptions)
    price: Price | None = None
    note: str = ""

    def usd(self, tokens_in: int, tokens_out: int, tokens_cached: int = 0) -> float:
        """What a call costs, or is taken to cost."""
        return (self.price or Price(*DEAREST, DEAREST[0])).usd(tokens_in, tokens_out, tokens_cached)

    def limit(self, request: ModelRequest, model: str) -> int:
        """The token limit that is sent: the caller's and what thoughts may take, or the model's own."""
        thoughts = int(self.options.thinking) if self.options.thinking.isdecimal() else 0
        if self.options.max_tokens:  # with what thoughts may take: a limit that they fill is refused
            own = self.options.max_tokens * request.longer
            return own if own > thoughts else thoughts + request.max_tokens
        thinks = model.startswith(_THINK) and self.options.thinking != "off" and self.options.effort != "none"
        thinks = thinks or self.options.thinking == "adaptive"
        return request.max_tokens + (thoughts or (THINKING_ALLOWANCE if thinks else 0))


def asking_of(settings: ModelSettings, model: str, endpoint: Endpoint) -> Asking:
    """How `model` is asked at `endpoint`, and what it costs there."""
    options = options_of(settings.options, model)
    given = price_of(settings.prices, model)
    local = endpoint.loopback and settings.provider == "compatible"
    price = given or (Price(0.0, 0.0, 0.0) if local else listed_price(model))
    if not options.api and settings.provider == "openai" and any(mark in model for mark in _RESPONSES_ONLY):
        options = dataclasses.replace(options, api="responses")
    if not options.tokens_parameter and settings.provider == "compatible":
        options = dataclasses.replace(options, tokens_parameter="max_tokens")
    if not options.structured:
        structured = settings.provider in ("openai", "anthropic")
        options = dataclasses.replace(options, structured="yes" if structured else "no")
    note = ""
    if price is None:
        note = (
            f"(the price of {model} is unknown: each call is charged to the budget at ${DEAREST[0]:g} and "
            f"${DEAREST[1]:g} per million tokens in and out; [model.prices] takes the right ones)\n"
        )
    return Asking(options, price, note)
