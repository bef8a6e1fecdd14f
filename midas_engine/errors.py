"""The error tree: every failure a user can meet, with a hint that says what to do.

* `MidasError`
    * `SettingsError`            a setting or threshold is wrong (file, key, line)
    * `DataError`                market data cannot be used
        * `DataFormatError`      a file is not in a layout Midas reads
        * `DataDefectError`      the data doctor found defects that forbid computing
    * `ExpressionError`          an expression is refused; carries text and position
        * `ExpressionSyntaxError`
        * `UnknownNameError`     no such column, operator or feature
        * `ExpressionTypeError`  wrong argument count or type
        * `LookAheadError`       the expression would see the future
        * `LimitError`           a size limit was passed
    * `EvaluationError`          a feature cannot be scored
        * `AdapterError`         a user's compute function broke its contract
        * `WorkerLostError`      no worker survived a task
            * `WorkersGoneError` nobody can do any task: it is no task's fault
        * `TimeLimitError`       a task took longer than it may
    * `KnowledgeBaseError`
        * `NameRefusedError`     a feature or document name is not allowed
        * `DocumentDamagedError`
        * `StoreVersionError`    written by a newer Midas
        * `LockTimeoutError`     another process holds the knowledge base
    * `PipelineError`
        * `TransitionError`      the feature is not in a state that allows the action
        * `UndoError`            what the undo would restore has changed since
        * `ReadOnlyError`        replay or --read-only refuses actions
    * `JournalError`
        * `JournalDamagedError`  the file itself is broken
    * `ModelError`               a language model call failed for good
        * `ModelSetupError`      no call can succeed as things are set
            * `ModelKeyError`    no API key, or the provider refused it
        * `ModelOutageError`     busy, down or out of reach; the same call may work later
        * `ModelStallError`      the call did not end within its time
        * `ModelReplyError`      the reply could not be parsed after one repair
        * `ModelTruncatedError`  the reply ended early; it is never parsed
            * `ModelLengthError` cut by the token limit: a larger one may do
            * `ModelRefusedError` the model or its filter would not answer
            * `ModelUnfinishedError` it stopped for a reason that ends no reply
        * `BudgetError`          the call, token or cost budget is spent
    * `FeedError`
        * `FeedLostError`        the feed failed too often in a row and is given up
    * `MonitorError`
    * `SessionError`             a discovery session cannot start or go on
        * `SessionInterruptedError` it can later, from where it is
"""

from __future__ import annotations

from typing import ClassVar


class MidasError(Exception):
    """Base of every error Midas raises on purpose.

    Args:
        message: What was wrong and where, in one line.
        hint: What to do about it; empty when there is nothing to add.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        """Message and hint, as a user should read them."""
        return f"{self.message}\n  hint: {self.hint}" if self.hint else self.message

    def __reduce__(self) -> tuple[object, ...]:
        """Survive the trip from a worker process with every attribute."""
        return (_rebuild, (type(self), self.args, self.__dict__))


def _rebuild(cls: type[MidasError], args: tuple[object, ...], state: dict[str, object]) -> MidasError:
    error = cls.__new__(cls)
    Exception.__init__(error, *args)
    error.__dict__.update(state)
    return error


class SettingsError(MidasError):
    """A setting or threshold is wrong."""

    exit_code = 2


class DataError(MidasError):
    """Market data cannot be used."""

    exit_code = 3


class DataFormatError(DataError):
    """A file is not in a layout Midas reads."""


class DataDefectError(DataError):
    """The data doctor found defects that forbid computing."""


class ExpressionError(MidasError):
    """An expression is refused.

    Args:
        message: What is wrong.
        text: The whole expression.
        position: Zero-based offset of the offending character in `text`.
        length: How many characters to underline.
        hint: What to write instead.
    """

    exit_code = 4

    def __init__(self, message: str, *, text: str = "", position: int = 0, length: int = 1, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.text = text
        self.position = position
        self.length = length

    @property
    def caret(self) -> str:
        """The expression around the fault with a caret line under it; at most 100 columns wide."""
        if not self.text:
            return ""
        clean = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in self.text)
        start = max(0, self.position - 60)
        window = clean[start : start + 100]
        offset = min(self.position - start, len(window))
        carets = "^" * max(1, min(self.length, len(window) - offset))
        return f"  {window}\n  {' ' * offset}{carets}"

    def __str__(self) -> str:
        """Message with column, caret line and hint."""
        parts = [f"{self.message} (column {self.position + 1})" if self.text else self.message]
        if self.caret:
            parts.append(self.caret)
        if self.hint:
            parts.append(f"  hint: {self.hint}")
        return "\n".join(parts)


class ExpressionSyntaxError(ExpressionError):
    """The text is not an expression of the language."""


class UnknownNameError(ExpressionError):
    """No such column, operator or feature."""


class ExpressionTypeError(ExpressionError):
    """Wrong number or type of arguments."""


class LookAheadError(ExpressionError):
    """The expression would see the future."""


class LimitError(ExpressionError):
    """The expression passes a size limit."""


class EvaluationError(MidasError):
    """A feature cannot be scored."""

    exit_code = 5


class AdapterError(EvaluationError):
    """A user's compute function broke its contract."""


class WorkerLostError(EvaluationError):
    """No worker survived a task."""


class WorkersGoneError(WorkerLostError):
    """Nobody can do any task: no scheduler, no worker that can begin. It says nothing of what was to be done.

    Attributes:
        reason: Why workers cannot make what they work on, where that is one of ours.
    """

    def __init__(self, message: str, *, hint: str = "", reason: MidasError | None = None) -> None:
        super().__init__(message, hint=hint)
        self.reason = reason


class TimeLimitError(EvaluationError):
    """A task took longer than it may."""


class KnowledgeBaseError(MidasError):
    """The knowledge base cannot do what was asked."""

    exit_code = 6


class NameRefusedError(KnowledgeBaseError):
    """A feature or document name is not allowed."""


class DocumentDamagedError(KnowledgeBaseError):
    """A document cannot be read."""


class StoreVersionError(KnowledgeBaseError):
    """The store was written by a newer Midas."""


class LockTimeoutError(KnowledgeBaseError):
    """Another process holds the knowledge base."""


class PipelineError(MidasError):
    """The feature pipeline refuses an action."""

    exit_code = 7


class TransitionError(PipelineError):
    """The feature is not in a state that allows the action."""


class UndoError(PipelineError):
    """There is nothing to undo, or the files changed since."""


class ReadOnlyError(PipelineError):
    """Replay or read-only mode refuses actions."""


class JournalError(MidasError):
    """The journal cannot be read or written."""

    exit_code = 6


class JournalDamagedError(JournalError):
    """The journal's file is broken: trying again cannot help, salvaging may."""


class ModelError(MidasError):
    """A language model call failed for good.

    Attributes:
        tokens_in: Tokens that the failed call is charged for; an estimate.
        tokens_out: The same of what it had said.
        cost_usd: What that costs.
        recorded: It comes from a session's record: nothing is waited for.
    """

    exit_code = 8

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.tokens_in = 0
        self.tokens_out = 0
        self.cost_usd = 0.0
        self.recorded = False


class ModelSetupError(ModelError):
    """No call can succeed as things are set: a model nobody knows, an address that only redirects, no SDK."""


class ModelKeyError(ModelSetupError):
    """No API key, or the provider refused it."""


class ModelOutageError(ModelError):
    """The provider is busy, down or out of reach: the same call may work later.

    Attributes:
        rest_seconds: How long nothing is asked of it in any case.
    """

    def __init__(self, message: str, *, hint: str = "", rest_seconds: float = 0.0) -> None:
        super().__init__(message, hint=hint)
        self.rest_seconds = rest_seconds


class ModelStallError(ModelError):
    """The call did not end within its time."""


class ModelReplyError(ModelError):
    """The reply could not be parsed after one repair round."""


class ModelTruncatedError(ModelError):
    """The reply ended early; it is never parsed."""


class ModelLengthError(ModelTruncatedError):
    """The reply was cut by the token limit: the same question with a larger one may be answered."""


class ModelRefusedError(ModelTruncatedError):
    """The model, or a filter before it, would not answer this question."""


class ModelUnfinishedError(ModelTruncatedError):
    """The reply stopped for a reason that ends none, such as a call of a tool that was never offered."""


class BudgetError(ModelError):
    """The call, token or cost budget is spent.

    Attributes:
        of_day: It is the day's, which others spend from too: a replay does not meet it again.
    """

    of_day = False


class FeedError(MidasError):
    """The market feed failed."""

    exit_code = 3


class FeedLostError(FeedError):
    """The feed failed too often in a row and is given up."""


class MonitorError(MidasError):
    """The online monitor cannot go on."""

    exit_code = 9


class SessionError(MidasError):
    """A discovery session cannot start or go on."""

    exit_code = 9


class SessionInterruptedError(SessionError):
    """Nobody computes for the session any more: nothing was concluded from that, and it can go on from where it is."""
