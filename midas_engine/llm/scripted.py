"""A client that replies from a script: for tests and for the mock provider."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from midas_engine.errors import ModelError
from midas_engine.llm.client import PIECES_A_TURN, ModelReply, ModelRequest, OnText

MOST_PIECES = 4_000
Answer = str | Exception | Callable[[ModelRequest], str]


class ScriptedClient:
    """Replies in order; an exception in the script is raised, a function is called with the request.

    Attributes:
        requests: What was asked, oldest first.
    """

    provider = "mock"

    def __init__(self, answers: Iterable[Answer], *, model: str = "scripted") -> None:
        self.model = model
        self._answers = iter(answers)
        self.requests: list[ModelRequest] = []

    async def complete(self, request: ModelRequest, on_text: OnText | None = None) -> ModelReply:
        """The next answer, streamed in words; a long one in groups of them."""
        self.requests.append(request)
        try:
            answer = next(self._answers)
        except StopIteration:
            raise ModelError("the script has no further answer") from None
        if isinstance(answer, Exception):
            raise answer
        text = answer if isinstance(answer, str) else answer(request)
        if on_text is not None:
            words = text.split(" ")
            step = len(words) // MOST_PIECES + 1
            for count, start in enumerate(range(0, len(words), step)):
                on_text(" ".join(words[start : start + step]) + " ")
                if count % PIECES_A_TURN == 0:
                    await asyncio.sleep(0)
        return ModelReply(text, self.provider, self.model, len(request.prompt) // 4, len(text) // 4)

    async def close(self) -> None:
        """Nothing to let go of."""
