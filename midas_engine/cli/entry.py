"""From arguments to an exit code: the one place where failures become messages.

| code | meaning |
| --- | --- |
| 0 | done |
| 1 | done, and the answer is no (a failed check) |
| 2 | wrong usage or settings |
| 3 to 9 | a named refusal; see `midas_engine.errors` |
| 70 | a fault in Midas |
| 71 | not enough memory, processes or threads |
| 74 | a file could not be read or written |
| 129, 130, 143 | its terminal closed, interrupted, terminated |
| 141 | the reader of the output went away |
"""

from __future__ import annotations

import errno
import sys
import warnings
from typing import Any, TextIO

import click

from midas_engine.cli.app import app
from midas_engine.cli.context import Shared
from midas_engine.cli.output import RedactedStream, clean, clean_block, point_away, redact, to_json
from midas_engine.cli.signals import Stopped, stoppable
from midas_engine.errors import ExpressionError, MidasError
from midas_engine.plugins import PluginWarning
from midas_engine.shortage import is_shortage

EXIT_FAULT = 70
EXIT_MEMORY = 71
EXIT_FILE = 74
EXIT_INTERRUPTED = 130
_STOPPED = {129: "its terminal closed", EXIT_INTERRUPTED: "interrupted", 143: "terminated"}
EXIT_PIPE = 141
MOST_TOLD = 400
"""Characters of a usage error."""


def run(argv: list[str] | None = None) -> int:
    """Run `argv` and return the exit code; every failure has been told by then."""
    arguments = sys.argv[1:] if argv is None else argv
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace")
    shared = Shared()
    warnings.showwarning = _show_warning
    streams = sys.stdout, sys.stderr
    # The last boundary: whatever a verb, a warning or a logger prints, no key is in it.
    sys.stdout, sys.stderr = RedactedStream(sys.stdout), RedactedStream(sys.stderr)
    try:
        with stoppable():
            return _guarded(arguments, shared)
    finally:
        sys.stdout, sys.stderr = streams


def _guarded(arguments: list[str], shared: Shared) -> int:
    try:
        code = _invoke(arguments, shared)
        sys.stdout.flush()
    except BrokenPipeError:
        code = _reader_gone()
    except OSError as error:  # what was said does not fit on the disk it was sent to
        code = _file_trouble(error, shared)
        point_away(sys.stdout)
    return code


_plain_warning = warnings.showwarning


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """One line for a plug-in that cannot be used, in this program's words; other warnings stay as they are."""
    if issubclass(category, PluginWarning):
        click.echo(f"note: {clean(message)}", err=True)
    else:
        _plain_warning(message, category, filename, lineno, file, line)


def _invoke(arguments: list[str], shared: Shared) -> int:
    try:
        result = app.main(arguments, prog_name="midas", standalone_mode=False, obj=shared)
    except click.exceptions.Exit as leave:
        return leave.exit_code
    except click.Abort as stop:
        return _aborted(stop, shared)
    except KeyboardInterrupt as stop:
        return _stopped(stop, shared)
    except click.ClickException as error:
        if "--json" in arguments:  # parsing may have failed before the option was read
            shared.as_json = True
        return _usage(error, shared)
    except SystemExit as leave:  # click leaves this way when the reader of the output is gone
        return _reader_gone() if leave.code == 1 else int(leave.code or 0)
    except BrokenPipeError:
        raise
    except MidasError as error:
        return _refusal(error, shared)
    except Exception as error:  # the last line of defence
        if is_shortage(error):
            return _shortage(error, shared)
        if isinstance(error, OSError):
            return _file_trouble(error, shared)
        return _fault(error, shared)
    return result if isinstance(result, int) else 0


def _reader_gone() -> int:
    """Nobody reads any more."""
    point_away(sys.stdout)  # so that the interpreter's last flush is quiet
    return EXIT_PIPE


def _aborted(stop: click.Abort, shared: Shared) -> int:
    if isinstance(stop.__cause__, EOFError):
        hint = "answer on a terminal, or give the option that answers beforehand (see --help)"
        return _say(shared, "Unanswered", "the question was not answered", hint, 2)
    return _stopped(stop.__cause__, shared)


def _stopped(stop: BaseException | None, shared: Shared) -> int:
    code = stop.code if isinstance(stop, Stopped) else EXIT_INTERRUPTED
    return _say(shared, "Interrupted", _STOPPED[code], "", code)


def _usage(error: click.ClickException, shared: Shared) -> int:
    ctx = getattr(error, "ctx", None)
    where = ctx.command_path if ctx is not None else "midas"
    told = error.format_message()
    if len(told) > MOST_TOLD:  # it may quote a whole page that was typed without quotes
        told = f"{told[:MOST_TOLD]}..."
    return _say(shared, "UsageError", told, f"try: {where} --help", error.exit_code)


def _refusal(error: MidasError, shared: Shared) -> int:
    _trace(shared)
    extra: dict[str, Any] = {}
    message = error.message
    caret = ""
    if isinstance(error, ExpressionError) and error.text:
        extra = {"expression": error.text[:200], "column": error.position + 1, "length": error.length}
        message = f"{message} (column {error.position + 1})"
        caret = error.caret
    return _say(shared, type(error).__name__, message, error.hint, error.exit_code, caret=caret, **extra)


def _file_trouble(error: OSError, shared: Shared) -> int:
    _trace(shared)
    reason = error.strerror or type(error).__name__
    named = f"{error.filename}: {reason}" if error.filename else reason
    hints = {
        errno.ENOSPC: "free some space and try again; nothing half-written was kept",
        errno.EACCES: "check the owner and the permissions of the folder",
        errno.EROFS: "the file system is read-only; choose another folder with --kb",
    }
    return _say(shared, type(error).__name__, named, hints.get(error.errno or 0, "check the path"), EXIT_FILE)


def _shortage(error: Exception, shared: Shared) -> int:
    """Memory ran out: what was in it, and what to give up."""
    error.__traceback__ = None if not shared.debug else error.__traceback__  # the frames hold the arrays
    _trace(shared)
    sources = sys.modules.get("midas_engine.market.sources")
    panel = sources.last_panel() if sources is not None else ""
    said = " ".join(str(error).split())[:200]
    message = "there is not enough memory" + (f": {said}" if said else "") + (f"; {panel}" if panel else "")
    hint = (
        "give fewer symbols, columns or bars (`midas data import` makes smaller panels), fewer workers "
        "(evaluation.workers), or the process more memory (see `ulimit -v`)"
    )
    return _say(shared, "OutOfMemory", message, hint, EXIT_MEMORY)


def _fault(error: Exception, shared: Shared) -> int:
    _trace(shared)
    message = f"Midas failed unexpectedly: {type(error).__name__}: {error}"[:500]
    hint = "this is a fault in Midas; run the same command with --debug and report what it prints"
    return _say(shared, "Fault", message, hint, EXIT_FAULT)


def _trace(shared: Shared) -> None:
    if shared.debug:
        import traceback

        click.echo(clean_block(redact(traceback.format_exc(), shared.secrets)), err=True)


def _say(shared: Shared, kind: str, message: str, hint: str, code: int, *, caret: str = "", **extra: Any) -> int:
    message = redact(message, shared.secrets)
    hint = redact(hint, shared.secrets)
    if shared.as_json:
        document = {"error": {"type": kind, "message": message, "hint": hint, "exit_code": code, **extra}}
        click.echo(to_json(document))
        return code
    lines = [f"error: {clean(message)}"]
    if caret:
        lines.append(clean_block(redact(caret, shared.secrets)))
    if hint:
        lines.append(f"  hint: {clean(hint)}")
    click.echo("\n".join(lines), err=True)
    return code
