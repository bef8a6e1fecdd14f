"""From arguments to an exit code: every failure is one readable message, in JSON when asked."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import click
import pytest

from midas_engine import errors
from midas_engine.cli import app as app_module
from midas_engine.cli import entry
from midas_engine.cli.context import Shared, Verb, pass_shared
from midas_engine.errors import ExpressionSyntaxError, MidasError, TransitionError
from tests.helpers_cli import ROOT, call_midas, run_midas


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Registers a verb `boom` that raises what it is given."""

    def register(error: BaseException) -> None:
        @click.command("boom", cls=Verb, example="midas boom")
        @pass_shared
        def boom(shared: Shared) -> None:
            raise error

        monkeypatch.setitem(app_module.app.commands, "boom", boom)

    return register


def _all_errors(base: type[MidasError] = MidasError) -> list[type[MidasError]]:
    return [base, *(leaf for sub in base.__subclasses__() for leaf in _all_errors(sub))]


@pytest.mark.parametrize("kind", _all_errors(), ids=lambda kind: kind.__name__)
def test_every_named_refusal_has_its_exit_code(kind: type[MidasError], failing: Any, capsys: Any) -> None:
    failing(kind("it is wrong", hint="do this"))
    ran = call_midas(capsys, "boom")
    assert ran.code == kind.exit_code
    assert 0 < ran.code < 64
    assert ran.err == "error: it is wrong\n  hint: do this\n"
    assert ran.out == ""


def test_a_refusal_in_json(failing: Any, capsys: Any) -> None:
    failing(TransitionError("alpha is archived", hint="promote a candidate"))
    ran = call_midas(capsys, "boom", "--json")
    assert ran.code == errors.TransitionError.exit_code
    assert ran.err == ""
    assert ran.document == {
        "error": {
            "type": "TransitionError",
            "message": "alpha is archived",
            "hint": "promote a candidate",
            "exit_code": ran.code,
        }
    }


def test_a_bad_expression_is_underlined(failing: Any, capsys: Any) -> None:
    failing(
        ExpressionSyntaxError("a parenthesis is not closed", text="cs_rank(close", position=7, length=1, hint="add )")
    )
    ran = call_midas(capsys, "boom")
    assert ran.err.splitlines() == [
        "error: a parenthesis is not closed (column 8)",
        "  cs_rank(close",
        "         ^",
        "  hint: add )",
    ]
    document = call_midas(capsys, "--json", "boom").document["error"]
    assert (document["column"], document["expression"]) == (8, "cs_rank(close")


def test_control_characters_in_a_message_do_not_reach_the_terminal(failing: Any, capsys: Any) -> None:
    failing(MidasError("no such feature \x1b]0;x\x07\nhint: run rm", hint="\x9b2J"))
    ran = call_midas(capsys, "boom")
    assert "\x1b" not in ran.err
    assert "\x9b" not in ran.err
    assert len(ran.err.splitlines()) == 2


def test_an_unexpected_failure_is_one_line_and_says_how_to_report(failing: Any, capsys: Any) -> None:
    failing(ZeroDivisionError("division by zero"))
    ran = call_midas(capsys, "boom")
    assert ran.code == 70
    assert ran.err.startswith("error: Midas failed unexpectedly: ZeroDivisionError: division by zero\n")
    assert "--debug" in ran.err
    assert "Traceback" not in ran.err


def test_debug_shows_the_traceback_without_secrets(failing: Any, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sentinel-key-12345")
    failing(RuntimeError("header x-api-key: sentinel-key-12345"))
    for args in (["boom", "--debug"], ["--debug", "boom"], ["boom", "--debug", "--json"]):
        ran = call_midas(capsys, *args)
        assert "Traceback" in ran.err
        assert "sentinel" not in ran.err + ran.out


def test_file_trouble_names_the_file(failing: Any, capsys: Any) -> None:
    failing(PermissionError(13, "Permission denied", "/somewhere/kb"))
    ran = call_midas(capsys, "boom")
    assert ran.code == 74
    assert ran.err.startswith("error: /somewhere/kb: Permission denied\n")


def test_ctrl_c_exits_130(failing: Any, capsys: Any) -> None:
    failing(KeyboardInterrupt())
    ran = call_midas(capsys, "boom")
    assert ran.code == 130
    assert ran.err.strip() == "error: interrupted"


def test_an_unanswered_question_is_not_an_interrupt(failing: Any, capsys: Any) -> None:
    failing(EOFError())
    ran = call_midas(capsys, "boom")
    assert ran.code == 2
    assert "not answered" in ran.err


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["warmpu"], "did you mean 'warmup'?"),
        (["\x1b[2Jstatus"], "no such verb"),
        (["--debgu"], "--debug"),
        (["warmup", "--kb"], "requires an argument"),
        (["warmup", "surplus"], "unexpected extra argument"),
    ],
)
def test_wrong_usage_is_explained(args: list[str], expected: str, capsys: Any) -> None:
    ran = call_midas(capsys, *args)
    assert ran.code == 2
    assert expected in ran.err
    assert "--help" in ran.err
    assert "\x1b" not in ran.err
    in_json = call_midas(capsys, *args, "--json")
    if args[-1] != "--kb":  # there, --json is the value
        assert in_json.document["error"]["type"] == "UsageError"


def test_a_page_that_was_typed_without_quotes_is_not_repeated(capsys: Any) -> None:
    ran = call_midas(capsys, "kb", "search", *["word"] * 3_000)
    assert ran.code == 2
    assert "unexpected extra argument" in ran.err
    assert len(ran.err) < 600


def test_shared_options_work_before_and_after_the_verb(capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Shared] = []

    @click.command("look", cls=Verb, example="midas look")
    @pass_shared
    def look(shared: Shared) -> None:
        seen.append(shared)

    monkeypatch.setitem(app_module.app.commands, "look", look)
    call_midas(capsys, "--kb", "a", "--data", "x", "look")
    call_midas(capsys, "look", "--kb", "a", "--data", "x")
    call_midas(capsys, "--kb", "outer", "look", "--kb", "a", "--data", "x")
    assert [(s.kb, s.data) for s in seen] == [("a", "x")] * 3
    assert call_midas(capsys, "look", "--kb", "z").code == 0
    assert seen[-1].data is None  # nothing is remembered between calls


def test_a_setting_that_is_not_known_is_refused(capsys: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command("look", cls=Verb, example="midas look")
    @pass_shared
    def look(shared: Shared) -> None:
        shared.settings()

    monkeypatch.setitem(app_module.app.commands, "look", look)
    file = tmp_path / "midas.toml"
    file.write_text("[costs]\nfee_bsp = 3\n")
    ran = call_midas(capsys, "look", "--config", str(file))
    assert ran.code == 2
    assert "costs.fee_bsp" in ran.err
    assert "costs.fee_bps" in ran.err
    assert call_midas(capsys, "look", "--config", str(tmp_path / "none.toml")).code == 2


def test_a_reader_that_goes_away_is_not_an_error() -> None:
    """`midas --help | head -c 1`: quiet, and the conventional exit code."""
    process = subprocess.Popen(
        [sys.executable, "-c", "from midas_engine.cli import main; main(['--help'])"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=ROOT,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()  # before the child has imported click, let alone printed
    error = process.stderr.read()
    process.stderr.close()
    assert process.wait(timeout=110) == 141
    assert error == b""


def test_undecodable_bytes_and_a_narrow_locale() -> None:
    done = subprocess.run(
        [sys.executable.encode(), b"-m", b"midas", b"\xff\xfe\x1b[2J"],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 2
    assert b"\x1b" not in done.stderr
    assert b"no such verb" in done.stderr


def test_the_help_page_names_the_exit_codes_that_there_are(capsys: Any) -> None:
    shown = " ".join(call_midas(capsys, "--help").out.partition("Exit codes:")[2].split())
    for kind in _all_errors():
        assert f"{kind.exit_code} " in shown, kind
    for code in (entry.EXIT_FAULT, entry.EXIT_FILE, entry.EXIT_INTERRUPTED):
        assert f"{code} " in shown


def test_help_and_version_in_a_fresh_process() -> None:
    assert run_midas("--help").code == 0
    assert run_midas("--version").out.startswith("midas 0.")
    bare = run_midas()
    assert bare.code == 0
    assert bare.out.startswith("Usage: midas")
