"""The `midas` group: which verbs there are, where they live and how the help page orders them."""

from __future__ import annotations

import click

from midas_engine.cli.context import LazyGroup

_HERE = "midas_engine.cli.verbs"

VERBS = {
    "status": f"{_HERE}.status:status",
    "demo": f"{_HERE}.demo:demo",
    "discover": f"{_HERE}.discover:discover",
    "campaign": f"{_HERE}.campaign:campaign",
    "replay": f"{_HERE}.replay:replay",
    "mcp": f"{_HERE}.mcp:mcp",
    "proposals": f"{_HERE}.proposals:proposals",
    "evaluate": f"{_HERE}.evaluate:evaluate",
    "bank": f"{_HERE}.bank:bank",
    "explain": f"{_HERE}.explain:explain",
    "run": f"{_HERE}.run:run",
    "runs": f"{_HERE}.runs:runs",
    "ack": f"{_HERE}.alert:ack",
    "snooze": f"{_HERE}.alert:snooze",
    "backup": f"{_HERE}.keep:backup",
    "restore": f"{_HERE}.keep:restore",
    "monitor": f"{_HERE}.monitor:monitor",
    "report": f"{_HERE}.report:report",
    "tearsheet": f"{_HERE}.tearsheet:tearsheet",
    "book": f"{_HERE}.book:book",
    "calibrate": f"{_HERE}.calibrate:calibrate",
    "compound": f"{_HERE}.compound:compound",
    "ledger": f"{_HERE}.ledger:ledger",
    "learnings": f"{_HERE}.learnings:learnings",
    **{
        action: f"{_HERE}.pipeline:{action}"
        for action in (
            "promote",
            "shadow",
            "demote",
            "reject",
            "kill",
            "pause",
            "resume",
            "redeploy",
            "rollback",
            "undo",
            "redo",
        )
    },
    "kills": f"{_HERE}.kills:kills",
    "signals": f"{_HERE}.signals:signals",
    "mlflow": f"{_HERE}.mlflow:mlflow",
    "fills": f"{_HERE}.fills:fills",
    "attest": f"{_HERE}.proof:attest",
    "verify": f"{_HERE}.proof:verify",
    "data": f"{_HERE}.data:data",
    "dsl": f"{_HERE}.dsl:dsl",
    "kb": f"{_HERE}.kb:kb",
    "trust": f"{_HERE}.trust:trust",
    "keys": f"{_HERE}.keys:keys",
    "warmup": f"{_HERE}.warmup:warmup",
    "plugins": f"{_HERE}.plugins:plugins",
}

SECTIONS: dict[str, tuple[str, ...]] = {
    "Research": (
        "demo",
        "discover",
        "campaign",
        "replay",
        "mcp",
        "proposals",
        "evaluate",
        "bank",
        "explain",
        "tearsheet",
        "calibrate",
        "compound",
        "ledger",
        "learnings",
    ),
    "Pipeline": (
        "status",
        "promote",
        "shadow",
        "demote",
        "reject",
        "pause",
        "resume",
        "redeploy",
        "rollback",
        "kill",
        "undo",
        "redo",
    ),
    "Monitoring": (
        "run",
        "runs",
        "monitor",
        "ack",
        "snooze",
        "report",
        "book",
        "kills",
        "signals",
        "fills",
        "mlflow",
        "attest",
        "verify",
    ),
    "Data, language, upkeep": ("data", "dsl", "kb", "backup", "restore", "trust", "keys", "warmup", "plugins"),
}


def _version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from importlib.metadata import version

        click.echo(f"midas {version('midas-alpha')}")
        ctx.exit()


@click.group(
    cls=LazyGroup,
    name="midas",
    verbs=VERBS,
    sections=SECTIONS,
    plugin_group="midas.verbs",
    invoke_without_command=True,
    epilog="Exit codes: 0 done, 1 the check says no, 2 usage or settings, 3 data, 4 expression, 5 evaluation, "
    "6 knowledge base, 7 pipeline, 8 model, 9 session or monitor, 70 a fault in Midas, 71 not enough memory, "
    "74 files, 129 its terminal closed, 130 interrupted, 141 the reader of the output went away, 143 terminated.",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option(
    "--version", is_flag=True, expose_value=False, is_eager=True, callback=_version, help="Print the version."
)
@click.pass_context
def app(ctx: click.Context) -> None:
    """Find, watch and retire predictive features on crypto perpetual futures.

    Nothing here needs a key or a network: real market data is bundled, and so is a researcher that searches on its own.
    The terminal is `midas-tui`.
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())
