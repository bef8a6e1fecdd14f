"""Around every call: a deadline of our own, named errors, a circuit that opens after repeated failures."""

from __future__ import annotations

import asyncio
import ssl
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from midas_engine.errors import (
    ModelError,
    ModelKeyError,
    ModelOutageError,
    ModelSetupError,
    ModelStallError,
    ModelTruncatedError,
)
from midas_engine.llm.client import PIECES_A_TURN
from midas_engine.llm.replies import MAX_REPLY
from midas_engine.redaction import redact

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping
    from datetime import datetime

    from midas_engine.clock import Clock

T = TypeVar("T")

FAILURES_TO_OPEN = 4
MAX_TOLD = 20_000
REST_SECONDS = 60.0
# A provider that asks to be left alone for longer is not waited for: a session has other steps.
MOST_REST_SECONDS = 900.0
_IN_MID_REPLY = ("RemoteProtocolError", "ReadError", "DecodingError", "StreamError")


class Circuit:
    """Refuses calls for a minute after four failures in a row, so that an outage costs no retry storm."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._failures = 0
        self._open_until = 0.0
        self._last = ""

    def check(self) -> None:
        """ModelOutageError while the circuit is open."""
        left = self._open_until - self._clock.monotonic()
        if left > 0:
            raise ModelOutageError(
                f"the model failed {self._failures} times in a row; no further call for {left:.0f} s; {self._last}",
                hint="check the provider's status; the session keeps what it has",
                rest_seconds=left,
            )

    def failed(self, why: str = "") -> None:
        """Count a failure; `why` is told while the circuit is open."""
        self._failures += 1
        self._last = f"the last: {why}" if why else "the last gave no reason"
        if self._failures >= FAILURES_TO_OPEN:
            self._open_until = self._clock.monotonic() + REST_SECONDS

    def succeeded(self) -> None:
        """Close the circuit."""
        self._failures = 0


async def guarded(
    call: Callable[[], Awaitable[T]],
    *,
    provider: str,
    deadline_seconds: float,
    sdk_error: type[Exception],
    transport: type[Exception],
    now: Callable[[], datetime],
) -> T:
    """Run one call and name what goes wrong.

    The SDKs leak their transport's errors and JSON errors out of streams, so all three kinds are caught. `now` is the
    time that a provider's "not before" is read against.

    Raises:
        ModelKeyError, ModelTruncatedError, ModelError.
    """
    try:
        async with asyncio.timeout(deadline_seconds):
            return await call()
    except TimeoutError as error:
        raise ModelStallError(
            f"{provider} did not finish within {deadline_seconds:g} s",
            hint="raise model.deadline_seconds, or try later",
        ) from error
    except ModelError:
        raise
    except sdk_error as error:
        named = _named(error, provider)
        if isinstance(named, ModelOutageError):
            wait = asked_wait(getattr(getattr(error, "response", None), "headers", {}), now())
            named.rest_seconds = wait if wait <= MOST_REST_SECONDS else 0.0
        raise named from _told(error)
    except (TypeError, AttributeError, LookupError, RecursionError) as error:
        raise ModelOutageError(
            f"{provider} answered in a form that is not its API's ({type(error).__name__})",
            hint="nothing of it was used; is the address that of the API that was set?",
        ) from _told(error)
    except (transport, ValueError) as error:
        raise ModelOutageError(
            f"the connection to {provider} broke in mid-reply ({type(error).__name__})",
            hint="the partial reply was dropped; try again",
        ) from _told(error)


def asked_wait(headers: Mapping[str, str], now: datetime) -> float:
    """Seconds that a provider asks to be left alone for: `Retry-After` as seconds or as a date; 0 when it says nothing.

    Example:
        >>> from datetime import datetime, UTC
        >>> asked_wait({"retry-after": "Fri, 01 May 2026 00:01:00 GMT"}, datetime(2026, 5, 1, tzinfo=UTC))
        60.0
    """
    said = str(headers.get("retry-after-ms") or headers.get("retry-after") or "")[:100].strip()
    try:
        seconds = float(said) / (1000.0 if headers.get("retry-after-ms") else 1.0)
    except ValueError:
        try:
            until = parsedate_to_datetime(said)
            seconds = (until.replace(tzinfo=until.tzinfo or UTC) - now).total_seconds()
        except (ValueError, TypeError, OverflowError, IndexError):
            return 0.0
    return seconds if seconds > 0 else 0.0  # not a number is not more than none


def _told(error: Exception) -> Exception:
    """What stands for an SDK's error in a traceback: its words may echo the key."""
    return RuntimeError(redact(f"{type(error).__name__}: {str(error)[:MAX_TOLD]}")[:2_000])


async def take_turns(provider: str, pieces: int, size: int) -> None:
    """Between two pieces of a stream: the event loop's turn, and an end to a reply that has none.

    Raises:
        ModelTruncatedError: More has come than a reply may hold.
    """
    if size > MAX_REPLY:
        raise ModelTruncatedError(
            f"the reply of {provider} was stopped: it has more than {MAX_REPLY:,} characters",
            hint="nothing of it was used; try another model",
        )
    if pieces % PIECES_A_TURN == 0:
        await asyncio.sleep(0)


def _named(error: Exception, provider: str) -> ModelError:
    status = getattr(error, "status_code", None)
    detail = _detail(error)
    if status in (401, 403):
        return ModelKeyError(
            f"{provider} refused the API key ({status}){detail}", hint="check the key in the environment"
        )
    if isinstance(status, int) and 300 <= status < 400:
        return ModelSetupError(
            f"{provider} answered with a redirect ({status}){_redirect(error)}, which is not followed: a key and a "
            "prompt go to the address that was set, and nowhere else",
            hint="set model.base_url to the address that answers, if you trust it",
        )
    if status == 404:
        return ModelSetupError(
            f"{provider} does not know this model (404){detail}",
            hint="set model.model, or --model; a model.base_url without its /v1 answers so too",
        )
    if status == 429:
        return ModelOutageError(
            f"{provider} is rate-limiting (429) after the retries{detail}",
            hint="wait, or lower the session's calls",
        )
    if status in (400, 413):
        return ModelError(
            f"{provider} refused the request ({status}){detail}",
            hint="the prompt may be too long for the model's context",
        )
    if isinstance(status, int) and 400 <= status < 500 and status not in (408, 409):
        hint = "the account may have no credit left" if status == 402 else "check the model's name and settings"
        return ModelError(f"{provider} refused the request ({status}){detail}", hint=hint)
    if isinstance(status, int) and status >= 400:
        return ModelOutageError(f"{provider} failed with {status} after the retries{detail}", hint="try later")
    if _broke_off(error):
        return ModelOutageError(
            f"{provider} broke its reply off with an error{detail}", hint="nothing of it was used; try again"
        )
    return _unreached(error, provider)


def _unreached(error: Exception, provider: str) -> ModelError:
    """A connection that was refused, never came about, or broke."""
    causes = list(_causes(error))
    why = f"{type(causes[-1]).__name__}: {redact(' '.join(str(causes[-1])[:MAX_TOLD].split()))[:160]}".rstrip(": ")
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes):
        return ModelSetupError(
            f"the certificate of {provider} is not trusted ({why}): nothing was sent",
            hint="the variable SSL_CERT_FILE names the file of certificates to trust, if it is one of your own",
        )
    if any(type(cause).__name__ in _IN_MID_REPLY for cause in causes):
        return ModelOutageError(
            f"the connection to {provider} broke in mid-reply ({why})", hint="the partial reply was dropped; try again"
        )
    return ModelOutageError(
        f"{provider} could not be reached ({why})", hint="check the network; the local researcher needs none"
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error and what it came from, at most ten deep."""
    cause: BaseException | None = error
    for _ in range(10):
        if cause is None:
            return
        yield cause
        cause = cause.__cause__ or cause.__context__


def _broke_off(error: Exception) -> bool:
    """Whether an endpoint sent an error in place of the next piece of a stream, which has no status of its own."""
    return getattr(error, "body", None) is not None


def _redirect(error: Exception) -> str:
    headers = getattr(getattr(error, "response", None), "headers", {})
    try:
        host = urlsplit(str(headers.get("location", ""))[:500]).hostname
    except ValueError:
        host = None
    return f" to {host[:100]}" if host else ""


def _detail(error: Exception) -> str:
    """What the provider said, short, without a key; nothing of a page that was meant for a browser."""
    text = _words(getattr(error, "body", None))
    return ": " + redact(" ".join(text[:MAX_TOLD].split()))[:200] if text.strip() else ""


def _words(body: Any, depth: int = 4) -> str:
    """The first text in a body's field for it."""
    if isinstance(body, str):
        return "" if body.lstrip().startswith("<") else body
    if depth == 0:
        return ""
    if isinstance(body, dict):
        body = [body.get(name) for name in ("error", "message", "detail", "msg")]
    found = (_words(part, depth - 1) for part in body[:8]) if isinstance(body, list) else ()
    return next((text for text in found if text.strip()), "")
