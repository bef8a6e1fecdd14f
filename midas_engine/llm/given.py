"""A model client of the user's own, in whatever form it comes: the original's `llm_client=`."""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Any

from midas_engine.errors import MidasError, ModelError, SettingsError
from midas_engine.llm.client import ModelReply

if TYPE_CHECKING:
    from midas_engine.llm.client import ModelClient, ModelRequest, OnText


def given_client(client: Any) -> ModelClient:
    """`client` as Midas asks it.

    Args:
        client: A `ModelClient`; something with `messages.create(...)`, as Anthropic's SDK has it, or with
            `chat.completions.create(...)`, as OpenAI's; or a function from a prompt to a reply. Any may be awaitable.

    Raises:
        SettingsError: It is none of these.
    """
    if hasattr(client, "complete") and hasattr(client, "provider"):
        made: ModelClient = client
        return made
    completions = getattr(getattr(client, "chat", None), "completions", None)
    for create, form in ((getattr(getattr(client, "messages", None), "create", None), "anthropic"),
                         (getattr(completions, "create", None), "openai"),
                         (client, "function")):  # fmt: skip
        if callable(create):
            return _Given(create, form)
    raise SettingsError(
        f"llm_client is a {type(client).__name__}, which cannot be asked",
        hint="give an OpenAI or Anthropic client, a ModelClient, or a function from a prompt to a reply",
    )


class _Given:
    """Asks what was given; what it raises is a model's failure, named."""

    provider, model = "given", "given"

    def __init__(self, create: Any, form: str) -> None:
        self._create, self._form = create, form

    async def complete(self, request: ModelRequest, on_text: OnText | None = None) -> ModelReply:
        """See `ModelClient.complete`."""
        try:
            answer = await asyncio.to_thread(self._ask, request)
            if inspect.isawaitable(answer):
                answer = await answer
            text = self._text(answer)
        except MidasError:
            raise
        except Exception as error:
            raise ModelError(f"llm_client failed: {type(error).__name__}: {str(error)[:200]}") from error
        if on_text is not None:
            on_text(text)
        sizes = (len(request.system) + len(request.prompt)) // 4, len(text) // 4
        return ModelReply(text, self.provider, self.model, *sizes)

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

    def _text(self, answer: Any) -> str:
        if self._form == "anthropic":
            answer = "".join(part.text for part in answer.content if hasattr(part, "text"))
        elif self._form == "openai":
            answer = answer.choices[0].message.content
        if not isinstance(answer, str):
            raise ModelError(f"llm_client gave {type(answer).__name__}, not text")
        return answer

    async def close(self) -> None:
        """It is not ours to close."""
