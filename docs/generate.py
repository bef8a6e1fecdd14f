"""Write the references that come from the code: settings, commands, exit codes, thresholds, operators, API pages.

python docs/generate.py            write them
python docs/generate.py --check    exit 1 when one is not what the code gives now
"""

from __future__ import annotations

import argparse as arguments
import dataclasses
import importlib
import inspect
import re
import sys
import typing
from pathlib import Path
from typing import Any

import click

from midas_engine import errors, settings
from midas_engine.cli.app import app
from midas_engine.cli.context import LazyGroup, shared_options
from midas_engine.dsl.registry import OPERATORS
from midas_engine.evaluator.gates import thresholds as gates
from midas_engine.monitor.alerts import thresholds as alerts
from midas_engine.plugins import GROUPS
from midas_engine.promoter.rules import ACTIONS

HERE = Path(__file__).resolve().parent
HEAD = "<!-- Written by docs/generate.py from the code: edit the docstring or the help text, then `make docs`. -->\n\n"

FACES: dict[str, str] = {
    "midas": "`create_midas`: everything of one knowledge base, from Python.",
    "midas_engine.market": "Panels of bars: loading, importing, checking, making.",
    "midas_engine.market.feeds": "Live bars.",
    "midas_engine.market.store": "Market data on disk that grows.",
    "midas_engine.dsl": "The expression language.",
    "midas_engine.evaluator": "Metrics with their errors, and the six verdicts.",
    "midas_engine.journal": "The SQLite journal of a knowledge base.",
    "midas_engine.kb": "The knowledge base on disk.",
    "midas_engine.llm": "Clients of language models.",
    "midas_engine.proposer": "Researchers: who proposes.",
    "midas_engine.promoter": "The pipeline.",
    "midas_engine.loops": "The offline loop.",
    "midas_engine.monitor": "The online loop.",
    "midas_engine.monitor.diagnosis": "From an alarm to a cause.",
    "midas_engine.campaign": "Many sessions on one budget.",
    "midas_engine.executor": "Workers: threads, processes, a cluster.",
    "midas_engine.banks": "Lists of expressions judged as one family, the published alphas among them.",
    "midas_engine.calibrate": "How often Midas is fooled on your data.",
    "midas_engine.compound": "Whether memory makes the next session cheaper.",
    "midas_engine.demo": "Both loops on a market whose truth is known.",
    "midas_engine.runtime": "What the terminal and `midas run` run.",
    "midas_engine.outbound": "What leaves the process, and what comes back.",
    "midas_engine.events": "What is published while the loops work.",
}
MODULES: dict[str, str] = {
    "midas_engine.settings": "Settings and where they come from.",
    "midas_engine.models": "The dataclasses that travel.",
    "midas_engine.commands": "The one place that commands.",
    "midas_engine.workspace": "The one place that wires.",
    "midas_engine.errors": "Every failure a user can meet.",
    "midas_engine.plugins": "What installed packages add.",
    "midas_engine.providers": "Who can propose.",
    "midas_engine.clock": "The one place that reads the wall clock.",
    "midas_engine.bus": "The event bus.",
}


def cell(text: str) -> str:
    """Text for one cell of a table: on one line, nothing in it is markup; `[a][b]` outside code would be a link."""
    plain = re.sub(r"\s+", " ", text).replace("|", r"\|").replace("<", "&lt;").strip()
    return plain if "`" in plain else plain.replace("][", r"]\[")


def table(head: tuple[str, ...], rows: list[list[str]]) -> str:
    """A Markdown table; cells are taken as they are."""
    lines = ["| " + " | ".join(row) + " |" for row in [list(head), ["---"] * len(head), *rows]]
    return "\n".join(lines)


def meanings(kind: type) -> dict[str, str]:
    """Attribute -> what its class's docstring says of it."""
    part = (inspect.getdoc(kind) or "").partition("Attributes:\n")[2]
    found: dict[str, str] = {}
    name = ""
    for line in part.splitlines():
        start = re.match(r" {4}(\w+): (.*)", line)
        if start:
            name, found[start[1]] = start[1], start[2]
        elif name and line.startswith(" " * 8):
            found[name] += " " + line.strip()
        elif line.strip():
            break
    return found


def _value(value: Any) -> str:
    if isinstance(value, tuple):
        return "`" + ", ".join(map(str, value)) + "`"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return "" if value in ("", {}) else f"`{value}`"


def _range(key: str) -> str:
    if key in settings.CHOICES:
        return ", ".join(f"`{name}`" for name in settings.CHOICES[key])
    if key in settings.RANGES:
        low, high = settings.RANGES[key]
        return f"{low:,.12g} to {high:,.12g}"
    if key in settings.DURATIONS:
        return " or ".join(["a duration: `12h`, `30d`, `48b` (bars)", *(f"`{w}`" for w in settings.DURATIONS[key])])
    kind = settings.known_keys()[key]
    if typing.get_origin(kind) is tuple:
        return "whole numbers from 1, joined by commas"
    if typing.get_origin(kind) is dict:
        return "a table, in the file only"
    return {"bool": "true or false", "str": "text", "int": "a whole number"}[kind.__name__]


def settings_page() -> str:
    """Every key, section by section."""
    text = (
        "# Settings\n\nDefaults, then `midas.toml` in the working folder (or `--config FILE`), then `MIDAS_*` in the "
        "environment, then the command line; the later wins. An unknown key, a wrong type or a value out of range is "
        "an error that names the key, where it stood, and the nearest one that exists.\n\n"
        "A key `costs.fee_bps` is `fee_bps` under `[costs]` in the file and `MIDAS_COSTS_FEE_BPS` in the environment. "
        "Keys of model providers are never settings: they stay in `OPENAI_API_KEY`, `ANTHROPIC_API_KEY` and "
        "`MIDAS_API_KEY`.\n\n"
        "From a `midas.toml` that merely lies in the working folder nothing is taken that sends, spends, connects, "
        "reads elsewhere or kills by itself, before `midas trust` allowed that file. `--config FILE` needs none.\n"
    )
    groups: list[tuple[str, type, Any]] = [("", settings.Settings, settings.Settings())]
    top = [f for f in dataclasses.fields(settings.Settings) if not dataclasses.is_dataclass(f.default)]
    groups += [
        (f.name, type(f.default), f.default)
        for f in dataclasses.fields(settings.Settings)
        if dataclasses.is_dataclass(f.default) and not isinstance(f.default, type)
    ]
    for section, kind, default in groups:
        said = meanings(kind)
        fields = top if kind is settings.Settings else list(dataclasses.fields(kind))
        rows = []
        for field in fields:
            key = f"{section}.{field.name}".lstrip(".")
            if key not in settings.known_keys():
                continue
            rows.append([f"`{key}`", _value(getattr(default, field.name)), _range(key), cell(said[field.name])])
        intro = "" if kind is settings.Settings else cell((inspect.getdoc(kind) or "").partition("\n\n")[0]) + "\n\n"
        title = "Everywhere" if kind is settings.Settings else f"`[{section}]`"
        text += f"\n## {title}\n\n{intro}" + table(("key", "default", "range", "meaning"), rows) + "\n"
    return text


def _options(params: list[click.Parameter]) -> str:
    context = click.Context(click.Command("midas"))
    rows = []
    for param in params:
        if isinstance(param, click.Option):
            shown = param.get_help_record(context)
            assert shown is not None
            rows.append([f"`{shown[0]}`".replace("|", r"\|"), cell(shown[1])])
    return table(("option", ""), rows)


def _verb(name: str, command: click.Command, level: int) -> str:
    if isinstance(command, click.Group):
        inner = click.Context(command)
        text = f"{'#' * level} midas {name}\n\n{cell(command.help or '')}\n"
        for verb in command.list_commands(inner):
            found = command.get_command(inner, verb)
            assert found is not None
            text += "\n" + _verb(f"{name} {verb}", found, level + 1)
        return text
    taken = shared_options()
    names = {p.name for p in taken}
    own = [p for p in command.params if p.name not in names]
    words = [p.make_metavar(click.Context(command)) for p in own if isinstance(p, click.Argument)]
    usage = " ".join(["midas", name, *words, *(["[OPTIONS]"] if any(isinstance(p, click.Option) for p in own) else [])])
    text = f"{'#' * level} midas {name}\n\n`{usage}`\n\n{inspect.cleandoc(command.help or '').replace('<', '&lt;')}\n"
    if any(isinstance(p, click.Option) for p in own):
        text += "\n" + _options(own) + "\n"
    examples = getattr(command, "examples", ())
    return text + "\n```sh\n" + "\n".join(examples) + "\n```\n"


def commands_page() -> str:
    """Every verb of `midas`, and the options of `midas-tui`."""
    assert isinstance(app, LazyGroup)
    context = click.Context(app)
    text = (
        "# Command line\n\n`midas` works, `midas-tui` shows. `python -m midas` and `python -m midas_tui` are the same "
        "commands. What a command ended with is in [exit codes](exit-codes.md).\n\n## Options everywhere\n\n"
        "Before or after the verb; the one nearest to the verb wins.\n\n" + _options(shared_options()) + "\n"
    )
    for title, names in app.sections.items():
        text += f"\n## {title}\n"
        for name in names:
            command = app.get_command(context, name)
            assert command is not None
            text += "\n" + _verb(name, command, 3)
    from midas_tui.cli import parser

    text += "\n## midas-tui\n\nThe terminal: see [the guide](../guide/terminal.md).\n"
    for group in parser()._action_groups:
        rows = []
        for action in group._group_actions:
            if action.option_strings and action.help != arguments.SUPPRESS:
                value = action.metavar or ("{" + ",".join(action.choices) + "}" if action.choices else "")
                shown = " ".join([", ".join(action.option_strings), *([str(value)] if value else [])])
                rows.append([f"`{shown}`", cell(action.help or "")])
        if rows:
            text += f"\n### midas-tui, {group.title}\n\n" + table(("option", ""), rows) + "\n"
    return text


def exit_codes_page() -> str:
    """Every code, and the error that ends with it."""
    listed = re.findall(r"(\d+) ([^,.]+)", (app.epilog or "").partition(":")[2])
    text = "# Exit codes\n\n" + table(("code", "meaning"), [[code, cell(what)] for code, what in listed]) + "\n"
    text += (
        "\n## Errors\n\nA refusal is a class of `midas_engine.errors`. With `--json` it is printed as one document, "
        '`{"error": {"type": ..., "message": ..., "hint": ..., "exit_code": ...}}`.\n\n'
    )
    kinds = [k for k in vars(errors).values() if isinstance(k, type) and issubclass(k, errors.MidasError)]
    rows = [[f"`{k.__name__}`", str(k.exit_code), cell((inspect.getdoc(k) or "").partition("\n")[0])] for k in kinds]
    return text + table(("error", "code", ""), rows) + "\n"


def thresholds_page() -> str:
    """What the six agents and the alert rules read."""
    text = (
        "# Thresholds\n\n## Of the six agents\n\n`knowledge/thresholds.json` in the knowledge base; any part of it may "
        "be there, the rest keeps its default. Editing it changes the next verdict. What each gate compares is in "
        "[the statistics](../statistics.md#gates).\n\n"
    )
    rows = [
        [f"`{agent}`", f"`{key}`", f"`{value}`", "{:,.12g} to {:,.12g}".format(*gates._RANGES[key])]
        for agent, values in gates.DEFAULT_THRESHOLDS.items()
        for key, value in values.items()
    ]
    text += table(("agent", "threshold", "default", "range"), rows) + "\n"
    said = meanings(alerts.AlertThresholds)
    text += (
        "\n## Of the alert rules\n\nUnder `alerts` in the same file, and `alert_thresholds` of `build_online`. "
        "Partial overrides merge with the defaults.\n\n"
    )
    rows = [
        [f"`{f.name}`", f"`{f.default}`", "{:,.12g} to {:,.12g}".format(*alerts._RANGES[f.name]), cell(said[f.name])]
        for f in dataclasses.fields(alerts.AlertThresholds)
    ]
    return text + table(("threshold", "default", "range", "meaning"), rows) + "\n"


def operators_page() -> str:
    """Every operator of the language, by family."""
    text = (
        "# Operators\n\nWhat an expression may use; `midas dsl list` prints the same, plug-ins included. A window `n` "
        "is a number of bars that ends at the current one: no operator sees a later bar.\n"
    )
    own = [operator for name, operator in OPERATORS.items() if not OPERATORS.origin(name)]
    for family in dict.fromkeys(operator.family for operator in own):
        rows = [[f"`{o.signature}`", cell(o.doc), f"`{o.example}`"] for o in own if o.family == family]
        title = family.replace("_", " ").capitalize()
        text += f"\n## {title}\n\n" + table(("operator", "", "example"), rows) + "\n"
    return text


def actions_page() -> str:
    """What can be done to a feature or an alert, from the one table that every door reads."""
    asks = {0: "nothing", 1: "a dialog", 2: "the name, typed"}
    rows = []
    for name, rule in ACTIONS.items():
        moves = "<br>".join(f"{before.value} -> {after.value}" for before, after in rule.after.items())
        yes = {True: "yes", False: "no"}
        row = [f"`{name}`", moves, yes[rule.needs_reason], yes[rule.undoable and bool(rule.after)]]
        rows.append([*row, asks[rule.confirmation], ", ".join(rule.doors)])
    text = (
        "# Actions\n\nTerminal, command line, Python and service read this one table "
        "(`midas_engine/promoter/rules.py`). A model stands at none of these doors: it proposes.\n\n"
    )
    head = ("action", "moves", "needs a reason", "undo takes it back", "the terminal asks for", "doors")
    return text + table(head, rows) + "\n"


def plugins_page() -> str:
    """The entry-point groups."""
    rows = [[f"`{group}`", cell(what)] for group, what in GROUPS.items()]
    return (
        "# Plug-in groups\n\nHow to write one is in [Extending Midas](../extending.md). `midas plugins` lists what is "
        "installed, `midas plugins --check` tries each.\n\n"
        + table(("entry-point group", "what it names"), rows)
        + "\n"
    )


def _shown_under(face: str, name: str) -> str:
    """The module a page shows a name of: the face itself, where a reader of the source finds what it imports."""
    if face == "midas":
        return str(getattr(importlib.import_module(face), name).__module__)
    homes: dict[str, str] = getattr(importlib.import_module(face), "_HOMES", {})
    return face + homes[name] if name in homes else face


def api_page(face: str, what: str) -> str:
    """One package face: every public name, from its docstring."""
    text = f"# {face}\n\n{what}\n"
    for name in sorted(importlib.import_module(face).__all__, key=str.lower):
        home = getattr(getattr(importlib.import_module(face), name), "__module__", "")
        elsewhere = str(home).startswith("midas_engine.stats.")
        shown = _shown_under(face, name)
        text += (
            f"\n`{name}`: see [the statistics](midas_engine.stats.md).\n" if elsewhere else f"\n::: {shown}.{name}\n"
        )
    return text


def module_page(name: str, what: str) -> str:
    """One module, whole."""
    return f"# {name}\n\n{what}\n\n::: {name}\n    options:\n      show_root_heading: false\n"


def stats_page() -> str:
    """The statistics: one module each."""
    folder = Path(str(importlib.import_module("midas_engine.stats").__file__)).parent
    names = sorted(p.stem for p in folder.glob("*.py") if not p.stem.startswith("_") and "kernels" not in p.stem)
    text = "# midas_engine.stats\n\nOne small statistic a file: pure functions on arrays, T (time) x S (symbols).\n"
    return text + "".join(
        f"\n## {n}\n\n::: midas_engine.stats.{n}\n    options:\n      heading_level: 3\n" for n in names
    )


def pages() -> dict[str, str]:
    """File under docs/ -> what must stand in it."""
    found = {
        "reference/settings.md": settings_page(),
        "reference/commands.md": commands_page(),
        "reference/exit-codes.md": exit_codes_page(),
        "reference/thresholds.md": thresholds_page(),
        "reference/operators.md": operators_page(),
        "reference/plugins.md": plugins_page(),
        "reference/actions.md": actions_page(),
        "api/midas_engine.stats.md": stats_page(),
        **{f"api/{face}.md": api_page(face, what) for face, what in FACES.items()},
        **{f"api/{name}.md": module_page(name, what) for name, what in MODULES.items()},
    }
    rows = [[f"[`{n}`]({n}.md)", w] for n, w in ({**FACES, **MODULES, "midas_engine.stats": "The statistics."}).items()]
    found["api/index.md"] = (
        "# API\n\nFrom the docstrings. What stands on these pages is public: it stays importable from the package it "
        "is listed under, and `tests/data/public_names.json` pins it.\n\n" + table(("package", ""), rows) + "\n"
    )
    return {name: HEAD + text for name, text in found.items()}


def main() -> int:
    """Write the pages, or compare them."""
    parser = arguments.ArgumentParser(description="Write the references that come from the code.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when a page is stale")
    check = parser.parse_args().check
    stale = [n for n, text in pages().items() if not (HERE / n).is_file() or (HERE / n).read_text("utf-8") != text]
    for name in stale:
        print(f"{'stale' if check else 'wrote'} docs/{name}")
        if not check:
            (HERE / name).parent.mkdir(exist_ok=True)
            (HERE / name).write_text(pages()[name], encoding="utf-8")
    return int(check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
