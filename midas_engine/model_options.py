"""Prices and options of models as settings give them, by name."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from midas_engine.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping

FEWEST_THOUGHTS = 1_024
"""Tokens for thoughts that Anthropic takes at least."""
EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
_CHOICES = {
    "effort": EFFORTS,
    "api": ("chat", "responses"),
    "structured": ("yes", "no"),
    "usage": ("yes", "no"),
}


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars per million tokens: asked, answered, and asked again from what the provider kept."""

    asked: float
    answered: float
    kept: float

    def usd(self, tokens_in: int, tokens_out: int, tokens_cached: int = 0) -> float:
        """What a call costs; `tokens_cached` is a part of `tokens_in`."""
        kept = min(tokens_cached, tokens_in)
        return ((tokens_in - kept) * self.asked + kept * self.kept + tokens_out * self.answered) / 1e6


@dataclass(frozen=True, slots=True)
class ModelOptions:
    """How a model is asked; what is empty is left to the provider.

    Attributes:
        effort: How hard it thinks.
        thinking: "off", "adaptive", or the tokens its thoughts may take (Anthropic).
        max_tokens: Longest reply, thoughts included; 0: the caller's, and an allowance for models that think.
        tokens_parameter: What the endpoint calls that limit.
        api: "chat" or "responses" (OpenAI).
        structured: Ask for JSON by its schema.
        usage: Ask for the token counts of a stream.
    """

    effort: str = ""
    thinking: str = ""
    max_tokens: int = 0
    tokens_parameter: str = ""
    api: str = ""
    structured: str = ""
    usage: str = ""


def read_price(text: str, name: str) -> Price:
    """A price from "in,out" or "in,out,cached".

    Raises:
        SettingsError: It is none.

    Example:
        >>> read_price("1.0,4.0", "my-model").usd(1_000_000, 0)
        1.0
    """
    try:
        numbers = [float(part) for part in text.strip("[]() ").split(",")]
    except ValueError:
        numbers = []
    if len(numbers) not in (2, 3) or not all(math.isfinite(n) and n >= 0 for n in numbers):
        raise SettingsError(
            f"the price of {name!r} in model.prices is {text!r}",
            hint="US dollars per million tokens as [in, out] or [in, out, cached], none below 0",
        )
    return Price(numbers[0], numbers[1], numbers[2] if len(numbers) == 3 else numbers[0])


def price_of(prices: Mapping[str, str], model: str) -> Price | None:
    """The price that the settings give a model: an exact name before the longest that it begins with."""
    fitting = [name for name in prices if model == name or model.startswith(name)]
    return read_price(prices[max(fitting, key=len)], max(fitting, key=len)) if fitting else None


def options_of(options: Mapping[str, str], model: str) -> ModelOptions:
    """The options of a model: those of "*", then of names it begins with, the longest last.

    Raises:
        SettingsError: An option is unknown or has a value it cannot have.

    Example:
        >>> options_of({"*.effort": "low", "m.effort": "high", "m.max_tokens": "9000"}, "m-2").max_tokens
        9000
    """
    found: dict[str, str] = {}
    for key in sorted(options, key=lambda k: (not k.startswith("*."), len(k.rpartition(".")[0]))):
        name, _, option = key.rpartition(".")
        if name == "*" or (name and model.startswith(name)):
            found[option] = options[key]
    return _checked(found, model)


def check_options(options: Mapping[str, str]) -> None:
    """Refuse what no model could have.

    Raises:
        SettingsError: Names the option.
    """
    for key, value in options.items():
        name, _, option = key.rpartition(".")
        if not name:
            raise SettingsError(
                f"model.options.{option} names no model", hint=f'[model.options."*"] with {option} = "{value}"'
            )
        _checked({option: value}, name)


def _checked(found: Mapping[str, str], model: str) -> ModelOptions:
    values: dict[str, str | int] = {}
    known = [f.name for f in dataclasses.fields(ModelOptions)]
    for option, value in found.items():
        if option not in known:
            raise SettingsError(f"unknown option {option!r} of {model!r} in model.options", hint=", ".join(known))
        if option in _CHOICES and value not in _CHOICES[option]:
            raise SettingsError(
                f"model.options of {model!r}: {option} = {value!r}", hint="one of " + ", ".join(_CHOICES[option])
            )
        fewest = FEWEST_THOUGHTS if option == "thinking" else 1
        whole = value.isdecimal() and fewest <= int(value) <= 1_000_000
        if (option == "max_tokens" or (option == "thinking" and value not in ("off", "adaptive"))) and not whole:
            raise SettingsError(
                f"model.options of {model!r}: {option} = {value!r}",
                hint=f"a whole number of tokens, from {fewest} to 1000000",
            )
        values[option] = int(value) if option == "max_tokens" else value
    return ModelOptions(**values)  # type: ignore[arg-type]
