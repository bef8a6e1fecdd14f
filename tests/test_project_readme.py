"""README and reference cannot drift: every verb is there and has help and an example; what is shown exists."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

import click
import pytest

from midas_engine.cli.app import app
from midas_engine.cli.context import LazyGroup, Verb
from tests.helpers_cli import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

README = (ROOT / "README.md").read_text(encoding="utf-8")
REFERENCE = (ROOT / "docs" / "reference" / "commands.md").read_text(encoding="utf-8")


def _verbs(group: click.Group, prefix: str = "") -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from _verbs(command, f"{prefix}{name} ")
        else:
            yield f"{prefix}{name}", command


VERBS = dict(_verbs(app))


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_is_in_the_reference(verb: str) -> None:
    assert re.search(rf"^#+ midas {re.escape(verb)}$", REFERENCE, flags=re.MULTILINE), f"midas {verb} is not there"


def test_the_readme_leads_to_the_references_and_stays_short() -> None:
    for page in ("commands", "exit-codes", "settings", "thresholds"):
        assert f"(docs/reference/{page}.md)" in README
    assert len(README.splitlines()) <= 130


def test_the_sentence_of_the_promise_is_that_of_the_report() -> None:
    """The figures that stand in the README are those of the committed calibration."""
    report = (ROOT / "demo_artifacts" / "calibration" / "report.md").read_text(encoding="utf-8")
    quotes = re.findall(r"^> .*(?:\n> .*)*", README, flags=re.MULTILINE)
    said = [" ".join(line.removeprefix("> ") for line in quote.splitlines()) for quote in quotes]
    (measured,) = [text for text in said if re.match(r"Of the \d", text)]
    assert measured in " ".join(report.replace("> ", "").split())


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_and_an_example_that_parses(verb: str) -> None:
    command = VERBS[verb]
    assert isinstance(command, Verb)
    assert command.help
    assert len(command.get_short_help_str(200)) <= 120
    assert command.examples
    assert command.examples[0].startswith(f"midas {verb}")
    for example in command.examples:  # a later one may show what to do next
        _parse(shlex.split(example.removeprefix("midas ")))


def _parse(words: list[str]) -> None:
    """A command line without its `midas`, up to where the shell takes over."""
    until = next((i for i, word in enumerate(words) if word in (">", ">>", "|", "&&")), len(words))
    name = " ".join(words[:2]) if " ".join(words[:2]) in VERBS else words[0]
    assert name in VERBS, words
    VERBS[name].make_context(name, words[len(name.split()) : until])


def test_every_option_has_help() -> None:
    for verb, command in VERBS.items():
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert parameter.help, f"midas {verb} {parameter.opts}"


def test_every_verb_takes_the_shared_options() -> None:
    for verb, command in VERBS.items():
        options = {name for p in command.params for name in p.opts}
        assert {"--kb", "--data", "--config", "--json", "--debug"} <= options, verb


def test_the_help_page_puts_every_verb_in_a_section() -> None:
    assert isinstance(app, LazyGroup)
    listed = [name for names in app.sections.values() for name in names]
    assert sorted(listed) == sorted(app.verbs)
    assert len(set(listed)) == len(listed)


def test_commands_shown_are_commands() -> None:
    shell = "".join(re.findall(r"^```sh\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL))
    shown = re.findall(r"^(?:\$ )?(?:midas|python -m midas) (.+?)(?:\s+#.*)?$", shell, flags=re.MULTILINE)
    assert shown
    for line in shown:
        _parse(shlex.split(line))


def test_make_targets_shown_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"^make ([a-z]+)", README, flags=re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target


def test_linked_files_exist() -> None:
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", README):
        assert (ROOT / target).exists(), target
    for folder in re.findall(r"`([a-z_]+/)`", README):
        assert (ROOT / folder).is_dir(), folder
