"""A client whose calls are kept as they happen, and given again instead of being made."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Protocol

from midas_engine import errors
from midas_engine.errors import MidasError, ModelError, SessionError
from midas_engine.journal.transcript import text_hash
from midas_engine.llm.client import ModelReply
from midas_engine.redaction import redact

if TYPE_CHECKING:
    from collections.abc import Mapping

    from midas_engine.llm.client import ModelClient, ModelRequest, OnText

MAX_PARTIAL = 20_000


class CallRecord(Protocol):
    """Where calls are kept."""

    def next_call(self) -> tuple[str, Mapping[str, Any]] | None:
        """The next call that was made already, "call" or "failed" and what is kept of it; None after the last."""
        ...

    async def keep(self, kind: str, body: Mapping[str, Any]) -> None:
        """Keep a call that was just made."""
        ...


class RecordedClient:
    """Gives the replies of a record as long as it has any, then asks `inner` and keeps what it answers.

    A question that differs from the recorded one is never answered by its reply.

    Args:
        inner: Who is asked; None: nobody, the record is all there is.
        record: Where calls are kept.
        provider: The name in records, where there is no `inner`.
        model: The model's name, where there is no `inner`.
    """

    def __init__(self, inner: ModelClient | None, record: CallRecord, *, provider: str = "", model: str = "") -> None:
        self._inner, self._record = inner, record
        self.provider = inner.provider if inner is not None else provider
        self.model = inner.model if inner is not None else model
        self.calls = 0

    async def complete(self, request: ModelRequest, on_text: OnText | None = None) -> ModelReply:
        """See `ModelClient.complete`.

        Raises:
            SessionError: The record is of another question, or ends here and nobody can be asked.
        """
        self.calls += 1
        kept = self._record.next_call()
        if kept is not None:
            return self._again(request, *kept, on_text)
        if self._inner is None:
            raise SessionError(f"the record ends before call {self.calls} ({request.purpose})")
        return await self._ask(self._inner, request, on_text)

    def _again(self, request: ModelRequest, kind: str, kept: Mapping[str, Any], on_text: OnText | None) -> ModelReply:
        if kept["prompt_hash"] != _question_hash(request):
            raise SessionError(
                f"call {self.calls} ({request.purpose}) asks something else than the recorded one "
                f"({kept.get('purpose', '')}, {str(kept['prompt_hash'])[:12]})",
                hint="the program, its settings or the data differ from those of the recorded session",
            )
        text = str(kept["reply"])
        shown = text if kept.get("streamed") is None else str(kept["streamed"])
        if shown and on_text is not None:
            on_text(shown)
        if kind == "failed":
            raise _failure(kept)
        return ModelReply(
            text, str(kept["provider"]), str(kept["model"]), int(kept["tokens_in"]), int(kept["tokens_out"]),
            float(kept["seconds"]), float(kept["cost_usd"]), cached=True,
            tokens_cached=int(kept.get("tokens_cached", 0)),
        )  # fmt: skip

    async def _ask(self, inner: ModelClient, request: ModelRequest, on_text: OnText | None) -> ModelReply:
        heard: list[str] = []

        def hear(piece: str) -> None:
            heard.append(piece)
            if on_text is not None:
                on_text(piece)

        asked = {
            "purpose": request.purpose, "system": request.system, "prompt": request.prompt,
            "max_tokens": request.max_tokens, "prompt_hash": _question_hash(request), "provider": self.provider,
            "model": self.model,
        }  # fmt: skip
        try:
            reply = await _named(inner, request, hear)
        except ModelError as error:
            partial = redact("".join(heard)[:MAX_PARTIAL])
            await self._record.keep("failed", asked | _told(error) | {"reply": partial})
            raise
        text, streamed = redact(reply.text), redact("".join(heard))
        await self._record.keep(
            "call",
            asked
            | {
                "reply": text, "streamed": None if streamed == text else streamed,
                "reply_hash": text_hash(text), "tokens_in": reply.tokens_in,
                "tokens_out": reply.tokens_out, "tokens_cached": reply.tokens_cached, "cost_usd": reply.cost_usd,
                "seconds": reply.seconds, "model": reply.model,
            },
        )  # fmt: skip
        return dataclasses.replace(reply, text=text)

    async def close(self) -> None:
        """Close who is asked."""
        if self._inner is not None:
            await self._inner.close()


async def _named(inner: ModelClient, request: ModelRequest, hear: OnText) -> ModelReply:
    """A reply of `inner`; what a client of somebody's own raises or gives besides is a model's failure too.

    A failure that is in no record would not be repeated by it.
    """
    try:
        reply: Any = await inner.complete(request, hear)
        if not isinstance(reply, ModelReply) or not isinstance(reply.text, str):
            given = reply.text if isinstance(reply, ModelReply) else reply
            raise TypeError(f"it gave {type(given).__name__} for a reply")
    except MidasError:
        raise
    except Exception as error:
        raise ModelError(
            f"{inner.provider} failed: {type(error).__name__}: {redact(str(error)[:2_000])[:200]}"
        ) from error
    else:
        found: ModelReply = reply
        return found


def _question_hash(request: ModelRequest) -> str:
    return text_hash(redact(request.system), redact(request.prompt), request.max_tokens, request.purpose)


def _told(error: ModelError) -> dict[str, Any]:
    return {
        "error": type(error).__name__, "message": error.message, "hint": error.hint, "tokens_in": error.tokens_in,
        "tokens_out": error.tokens_out, "cost_usd": error.cost_usd, "rest_seconds": getattr(error, "rest_seconds", 0.0),
    }  # fmt: skip


def _failure(kept: Mapping[str, Any]) -> ModelError:
    kind = getattr(errors, str(kept.get("error")), ModelError)
    if not (isinstance(kind, type) and issubclass(kind, ModelError)):
        kind = ModelError
    error: ModelError = kind(str(kept.get("message", "")), hint=str(kept.get("hint", "")))
    error.tokens_in, error.tokens_out = int(kept.get("tokens_in", 0)), int(kept.get("tokens_out", 0))
    error.cost_usd = float(kept.get("cost_usd", 0.0))
    error.recorded = True
    if isinstance(error, errors.ModelOutageError):
        error.rest_seconds = float(kept.get("rest_seconds", 0.0))
    return error
