"""What every verb shares: the options that are understood everywhere, and the settings they make."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from midas_engine.cli.output import to_json
from midas_engine.text import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from midas_engine.plugins import Plugin
    from midas_engine.settings import Settings
    from midas_engine.trust import Request


@dataclass
class Shared:
    """The options understood before and after every verb. The one nearest to the verb wins."""

    kb: str | None = None
    data: str | None = None
    config: str | None = None
    as_json: bool = False
    debug: bool = False
    secrets: list[str] = field(default_factory=list)
    _base: Settings | None = None

    def settings(self, **flags: Any) -> Settings:
        """Defaults < settings file < environment < these options < `flags` (dots written as double underscores)."""
        from midas_engine.settings import load_settings

        dotted = {name.replace("__", "."): value for name, value in flags.items()}
        file = Path(self.config) if self.config is not None else None
        return load_settings(file=file, flags={"kb": self.kb, "data": self.data, **dotted})

    def base_settings(self) -> Settings:
        """Settings of a verb that uses the base alone, to stop something or to look at it: it waits for no consent.

        What else `midas.toml` asks consent for is left out and said; and with `--kb` a file that cannot be read at all
        stops no kill.
        """
        if self._base is None:
            from midas_engine.errors import SettingsError
            from midas_engine.settings import Settings, load_settings

            file = Path(self.config) if self.config is not None else None
            flags = {"kb": self.kb, "data": self.data}
            try:
                self._base = load_settings(file=file, flags=flags, left_out=self._tell_left_out)
            except SettingsError as error:
                if self.kb is None or file is not None:
                    raise
                self.note(f"note: {error.message}; nothing but --kb is taken")
                self._base = Settings(kb=self.kb)
        return self._base

    def _tell_left_out(self, requests: list[Request]) -> None:
        keys = ", ".join(request.key for request in requests)
        self.note(f"note: midas.toml only lies in this folder: {keys} are left out (`midas trust`)")

    def show(self, document: Any, text: Callable[[], str]) -> None:
        """Print `document` as JSON, or `text()` for a person."""
        click.echo(to_json(document) if self.as_json else text())

    def note(self, message: str) -> None:
        """A remark for a person; on standard error, so that it never mixes with a result."""
        if not self.as_json:
            click.echo(message, err=True)


pass_shared = click.make_pass_decorator(Shared, ensure=True)


def _store(ctx: click.Context, param: click.Parameter, value: Any) -> None:
    if value is not None and value is not False and param.name is not None:
        setattr(ctx.ensure_object(Shared), param.name, value)


def shared_options() -> list[click.Parameter]:
    """Fresh copies of the options that every group and every verb carries."""
    common: dict[str, Any] = {"expose_value": False, "callback": _store, "is_eager": True}
    return [
        click.Option(["--kb", "kb"], metavar="PATH", help="Knowledge base folder [default: ./midas-kb].", **common),
        click.Option(
            ["--data", "data"],
            metavar="SOURCE",
            help="sample, sample-1m, synthetic, synthetic:SEED, store:NAME[:SYMBOLS][@BAR], or a file or folder "
            "[default: sample].",
            **common,
        ),
        click.Option(
            ["--config", "config"], metavar="FILE", help="Settings file [default: midas.toml if there].", **common
        ),
        click.Option(["--json", "as_json"], is_flag=True, help="Print one JSON document.", **common),
        click.Option(["--debug", "debug"], is_flag=True, help="Show the traceback of an error.", **common),
    ]


class _SharedOptions(click.Command):
    """A command that carries the shared options and lists them apart from its own."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.shared = shared_options()
        self.params.extend(self.shared)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Own options first, then those understood everywhere."""
        own = [r for p in self.get_params(ctx) if p not in self.shared and (r := p.get_help_record(ctx))]
        everywhere = [r for p in self.shared if (r := p.get_help_record(ctx))]
        for title, records in (("Options", own), ("Options everywhere, before or after the verb", everywhere)):
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)
        if isinstance(self, click.Group):
            self.format_commands(ctx, formatter)


class Verb(_SharedOptions):
    """A verb with an example in its help."""

    def __init__(self, *args: Any, example: str | Sequence[str] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.examples = (example,) if isinstance(example, str) else tuple(example)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The examples, as they are typed."""
        if self.examples:
            with formatter.section("Example" if len(self.examples) == 1 else "Examples"):
                for line in self.examples:
                    formatter.write(f"{'':>{formatter.current_indent}}{line}\n")


class ExpressionVerb(Verb):
    """A verb whose argument is an expression, which may start with a minus: `midas evaluate "-delta(close, 4)"`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read `args` with expressions that look like short options moved behind a `--`."""
        takes_value = {
            name: not p.is_flag
            for p in self.params
            if isinstance(p, click.Option)
            for name in (*p.opts, *p.secondary_opts)
        }
        options: list[str] = []
        expressions: list[str] = []
        waiting = iter(args)
        for arg in waiting:
            if arg == "--":
                expressions.extend(waiting)
            elif arg.startswith("-") and not arg.startswith("--") and arg != "-h":
                expressions.append(arg)
            else:
                options.append(arg)
                if takes_value.get(arg):
                    options.extend(value for value in (next(waiting, None),) if value is not None)
        return super().parse_args(ctx, [*options, *(["--", *expressions] if expressions else [])])


class LazyGroup(_SharedOptions, click.Group):
    """A group whose verbs live in modules that are imported when asked for.

    Args:
        verbs: Verb name -> "module:attribute".
        sections: Title -> verb names, for the help page; verbs left out come under "From plug-ins".
        plugin_group: Entry-point group whose commands belong here too.
    """

    def __init__(
        self,
        *args: Any,
        verbs: dict[str, str] | None = None,
        sections: dict[str, tuple[str, ...]] | None = None,
        plugin_group: str = "",
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.verbs = verbs or {}
        self.sections = sections or {}
        self.plugin_group = plugin_group

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Verbs in the order they were listed, those registered directly, then those of plug-ins."""
        own = [*self.verbs, *(name for name in super().list_commands(ctx) if name not in self.verbs)]
        return [*own, *(plugin.name for plugin in self._plugins() if plugin.name not in own)]

    def _plugins(self) -> tuple[Plugin, ...]:
        if not self.plugin_group:
            return ()
        from midas_engine.plugins import listed

        return listed(self.plugin_group)

    def _plugin_command(self, name: str) -> click.Command | None:
        from midas_engine.plugins import give_up

        for plugin in self._plugins():
            if plugin.name == name:
                try:
                    command = plugin.load()
                    if not isinstance(command, click.Command):
                        raise TypeError(f"{plugin.target} is no click command")
                    return command
                except Exception as error:
                    give_up(plugin, error)
        return None

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the verb's module and take the verb from it."""
        if cmd_name not in self.verbs:
            return super().get_command(ctx, cmd_name) or self._plugin_command(cmd_name)
        import importlib

        module, _, attribute = self.verbs[cmd_name].partition(":")
        command = getattr(importlib.import_module(module), attribute)
        if not isinstance(command, click.Command):
            raise TypeError(f"{self.verbs[cmd_name]} is not a command")
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The verb named by the first argument; an unknown one is answered with the nearest."""
        if self.get_command(ctx, args[0]) is None:
            from midas_engine.cli.output import clean

            names = self.list_commands(ctx)
            ask = did_you_mean(args[0], names, cutoff=0.5, otherwise="one of: " + ", ".join(names))
            raise click.UsageError(f"no such verb {clean(args[0])[:60]!r}; {ask}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The verbs by section."""
        listed = {name for names in self.sections.values() for name in names}
        rest = tuple(name for name in self.list_commands(ctx) if name not in listed)
        for title, names in [*self.sections.items(), ("From plug-ins" if self.plugin_group else "Commands", rest)]:
            rows = [(n, c.get_short_help_str(120)) for n in names if (c := self.get_command(ctx, n)) is not None]
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)
