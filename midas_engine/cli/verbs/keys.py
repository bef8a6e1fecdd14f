"""`midas keys`: which keys and secrets are known by name and where they come from; put one away, or take it out."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from midas_engine.cli.context import Shared, Verb, pass_shared
from midas_engine.cli.output import ask, clean, table

if TYPE_CHECKING:
    from midas_engine.settings import Settings


@click.command(
    cls=Verb,
    example=("midas keys", "midas keys OPENAI_API_KEY --set", "midas keys MIDAS_SECRET_BOT --set --keyring"),
)
@click.argument("name", required=False)
@click.option("--set", "keep", is_flag=True, help="Keep what is typed, unseen, or comes by a pipe, under NAME.")
@click.option("--keyring", is_flag=True, help="With --set: in the system's keyring (extra keyring).")
@click.option("--forget", is_flag=True, help="Take NAME out of the key file, and out of the keyring.")
@pass_shared
def keys(shared: Shared, name: str | None, keep: bool, keyring: bool, forget: bool) -> None:
    """Show where each key and secret comes from, never the key itself.

    A secret is looked for by its name: in the environment; then in the key file, ~/.config/midas/keys or what
    MIDAS_KEY_FILE names, NAME=VALUE a line, which nobody but you may read (0600); then in the system's keyring, where
    the key file says NAME=keyring: for it.
    """
    if (keep or forget) and (name is None or keep == forget):
        raise click.UsageError("give one NAME, and --set or --forget")
    if keyring and not keep:
        raise click.UsageError("--keyring goes with --set")
    if keep and name is not None:
        _keep(shared, name, keyring)
    elif forget and name is not None:
        from midas_engine.secret_keeping import forget_secret

        done = forget_secret(name)
        shared.show(
            {"name": name, "forgotten": done}, lambda: f"{clean(name)} {'is kept no more' if done else 'was not kept'}"
        )
    else:
        _list(shared, name)


def _keep(shared: Shared, name: str, keyring: bool) -> None:
    import getpass

    from midas_engine.secret_keeping import keep_secret

    value = getpass.getpass(f"{name}: ") if sys.stdin.isatty() else ask(f"{clean(name)} from standard input")
    path = keep_secret(name, value, in_keyring=keyring)
    where = f"in the keyring; {path} says so" if keyring else f"in {path}"
    shared.show({"name": name, "file": str(path), "keyring": keyring}, lambda: f"{clean(name)} is kept {clean(where)}")


def _list(shared: Shared, only: str | None) -> None:
    import os

    from midas_engine.errors import SettingsError
    from midas_engine.secret_sources import KEYRING, key_file, read_keys

    path = key_file()
    kept = read_keys(path) if path is not None else {}
    uses = _uses(shared.settings())
    rows = []
    for name in dict.fromkeys([*uses, *kept]):
        if only is None or name == only:
            places = ["environment"] if os.environ.get(name, "").strip() else []
            places += ["keyring" if kept[name] == KEYRING else "key file"] if name in kept else []
            rows.append({"name": name, "from": places[0] if places else None, "use": uses.get(name, "")})
    if only is not None and not rows:
        known = ", ".join(dict.fromkeys([*uses, *kept]))
        raise SettingsError(f"no key is called {only!r} here", hint=f"known: {known}; --set keeps one under any name")
    document = {"file": None if path is None else str(path), "keys": rows}

    def told() -> str:
        head = f"key file: {path}{'' if kept else ' (none, or empty)'}"
        lines = [[clean(r["name"] or ""), r["from"] or "not set", clean(r["use"] or "")] for r in rows]
        return f"{head}\n{table(lines, ('name', 'from', 'for'))}"

    shared.show(document, told)


def _uses(settings: Settings) -> dict[str, str]:
    """The names that these settings may ask for, and what for."""
    from midas_engine.outbound.destination import addresses_of
    from midas_engine.providers import PROVIDERS
    from midas_engine.service.place import TOKEN_VARIABLE

    found = {p.key_name: f"model provider {p.name}" for p in PROVIDERS.values() if p.key_name}
    found[TOKEN_VARIABLE] = "the service's doors; without it the base has its own"
    outbound = settings.outbound
    for section in ("kills", "signals", "heads", "fills", "told"):
        for address in addresses_of(section, getattr(outbound, section), outbound.options):
            if section in ("kills", "signals", "fills"):
                found[address.secret_name] = f"outbound.{section}.{address.name}, where its kind has a secret"
            found |= dict.fromkeys(address.secret_names, f"outbound.{section}.{address.name}")
    return found
