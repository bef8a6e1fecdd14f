"""A model client of the user's own, in whatever form it comes: the original's `llm_client=`."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from midas_engine.daemon_thread import call_in_thread
from midas_engine.errors import (
    MidasError,
    ModelError,
    ModelLengthError,
    ModelRefusedError,
    ModelStallError,
    ModelUnfinishedError,
    SettingsError,
)
from midas_engine.llm import anthropic_client, openai_client
from midas_engine.llm.budget import listed_price
from midas_engine.llm.client import ModelReply
from midas_engine.llm.reply_pieces import CUTS, ENDS, counted, text_of
from midas_engine.llm.streaming import CHARACTERS_A_TOKEN, REFUSALS
from midas_engine.model_options import price_of
from midas_engine.settings import ModelSettings

if TYPE_CHECKING:
    from midas_engine.llm.client import ModelClient, ModelRequest, OnText

_MODELS = {"anthropic": anthropic_client.DEFAULT_MODEL, "openai": openai_client.DEFAULT_MODEL}


def given_client(client: Any, settings: ModelSettings | None = None) -> ModelClient:
    """`client` as Midas asks it.

    Args:
        client: A `ModelClient`; something with `messages.create(...)`, as Anthropic's SDK has it, or with
            `chat.completions.create(...)`, as OpenAI's; or a function from a prompt to a reply. Any may be awaitable.
        settings: The model's name, its price and the time of a call. An SDK's client is asked for its provider's usual
            model where they name none. A function's calls cost the budget nothing: nobody knows what it asks.

    Raises:
        SettingsError: It is none of these.
    """
    known = settings or ModelSettings()
    if hasattr(client, "complete") and hasattr(client, "provider"):
        return _Given(client.complete, "client", known, client)
    completions = getattr(getattr(client, "chat", None), "completions", None)
    for create, form in ((getattr(getattr(client, "messages", None), "create", None), "anthropic"),
                         (getattr(completions, "create", None), "openai"),
                         (client, "function")):  # fmt: skip
        if callable(create):
            return _Given(create, form, known, client)
    raise SettingsError(
        f"llm_client is a {type(client).__name__}, which cannot be asked",
        hint="give an OpenAI or Anthropic client, a ModelClient, or a function from a prompt to a reply",
    )


class _Given:
    """Asks what was given, within the time of a call; what it raises is a model's failure, named."""

    def __init__(self, create: Any, form: str, settings: ModelSettings, client: Any) -> None:
        self._create, self._form, self._settings, self._client = create, form, settings, client
        self.provider = str(client.provider) if form == "client" else "given"
        own = getattr(client, "model", "") if form == "client" else settings.model or _MODELS.get(form, "given")
        self.model = str(own)
        if form == "client" and hasattr(client, "endpoint"):
            self.endpoint = client.endpoint

    async def complete(self, request: ModelRequest, on_text: OnText | None = None) -> ModelReply:
        """See `ModelClient.complete`."""
        seconds = self._settings.deadline_seconds
        scope = asyncio.timeout(seconds)
        try:
            async with scope:
                return await self._reply(request, on_text)
        except MidasError:
            raise
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is not None and task.cancelling():  # it is the session that ends
                raise
            raise ModelError("llm_client gave its own call up (CancelledError)") from error
        except (Exception, SystemExit) as error:
            if scope.expired():
                raise ModelStallError(
                    f"llm_client did not finish within {seconds:g} s", hint="raise model.deadline_seconds"
                ) from error
            raise ModelError(f"llm_client failed: {type(error).__name__}: {str(error)[:200]}") from error

    async def _reply(self, request: ModelRequest, on_text: OnText | None) -> ModelReply:
        if self._form == "client":
            found: ModelReply = await self._create(request, on_text)
            return found
        # A thread of its own: what hangs in one of the loop's would keep the process from ending.
        answer = await call_in_thread(self._ask, request, name="midas-llm-client")
        if inspect.isawaitable(answer):
            answer = await answer
        read = _plain(answer) if isinstance(answer, Mapping) and self._form != "function" else answer
        text, reason, asked, answered = self._read(read)
        if not isinstance(text, str):
            raise ModelError(f"llm_client gave {type(text).__name__}, not text")
        _check(reason, request)
        if on_text is not None and text:
            on_text(text)
        usage = getattr(read, "usage", None)
        tokens_in = counted(usage, asked, (len(request.system) + len(request.prompt)) // CHARACTERS_A_TOKEN)
        tokens_out = counted(usage, answered, len(text) // CHARACTERS_A_TOKEN)
        return ModelReply(
            str(text), self.provider, self.model, tokens_in, tokens_out, cost_usd=self._usd(tokens_in, tokens_out)
        )  # fmt: skip

    def _ask(self, request: ModelRequest) -> Any:
        if self._form == "function":
            return self._create(request.prompt)
        turns = [{"role": "user", "content": request.prompt}]
        if self._form == "anthropic":
            more = {"system": request.system} if request.system else {}
            return self._create(model=self.model, max_tokens=request.max_tokens, messages=turns, **more)
        if request.system:
            turns.insert(0, {"role": "system", "content": request.system})
        return self._create(model=self.model, messages=turns, max_completion_tokens=request.max_tokens)

    def _read(self, answer: Any) -> tuple[Any, str, str, str]:
        """The text, why it ended, and what the answer calls its token counts."""
        if self._form == "anthropic":
            return text_of(answer.content), _word(answer, "stop_reason"), "input_tokens", "output_tokens"
        if self._form == "openai":
            choice = answer.choices[0]
            content = choice.message.content
            refused = "refusal" if content is None and getattr(choice.message, "refusal", None) else ""
            text = content if content is None or isinstance(content, str) else text_of(content)
            return (
                ("" if refused else text),
                refused or _word(choice, "finish_reason"),
                "prompt_tokens",
                "completion_tokens",
            )
        return answer, "", "", ""

    def _usd(self, tokens_in: int, tokens_out: int) -> float:
        price = price_of(self._settings.prices, self.model) or listed_price(self.model)
        return price.usd(tokens_in, tokens_out) if price is not None and self._form != "function" else 0.0

    async def close(self) -> None:
        """It is not ours to close."""


def _word(answer: Any, name: str) -> str:
    """Why a reply ended, where it says so in a word; a stand-in for an SDK may say anything."""
    said = getattr(answer, name, "")
    return said.lower() if isinstance(said, str) else ""


def _check(reason: str, request: ModelRequest) -> None:
    if reason in CUTS:
        raise ModelLengthError(
            f"the reply of llm_client ended early: it was longer than max_tokens ({request.max_tokens:,})",
            hint="nothing of it was used; raise model.max_tokens",
        )
    if reason in REFUSALS:
        raise ModelRefusedError(f"llm_client would not answer: it gave the reason {reason!r}")
    if reason and reason not in ENDS:
        raise ModelUnfinishedError(f"the reply of llm_client ended early: it gave the reason {reason!r}")


class _Fields:
    """A mapping's fields as attributes."""

    def __init__(self, fields: Mapping[str, Any]) -> None:
        self.__dict__.update({name: _plain(value) for name, value in fields.items()})


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return _Fields(value)
    return [_plain(item) for item in value] if isinstance(value, list) else value
