"""`midas trust`: allow a settings file that lies in a folder, as it is."""

from __future__ import annotations

from pathlib import Path

import click

from midas_engine.cli.context import Shared, Verb, pass_shared
from midas_engine.cli.output import clean


@click.command(cls=Verb, example=("midas trust", "midas trust ./midas.toml --dry-run", "midas trust --forget"))
@click.argument("path", required=False, type=click.Path(path_type=Path), default=Path("midas.toml"))
@click.option("--dry-run", is_flag=True, help="Show what it asks for; allow nothing.")
@click.option("--forget", is_flag=True, help="Take the consent back.")
@pass_shared
def trust(shared: Shared, path: Path, dry_run: bool, forget: bool) -> None:
    """Allow what a folder's midas.toml sends, spends, connects to or reads elsewhere.

    Without it, only harmless settings are taken from a file that merely lies in the working folder. Consent is to this
    file with this content: a changed byte ends it. It is kept in your own configuration folder.
    """
    from midas_engine import trust as consent
    from midas_engine.errors import SettingsError
    from midas_engine.settings import file_requests

    path = path / "midas.toml" if path.is_dir() else path
    if forget:
        done = consent.forget(path)
        said = f"{path} is no longer allowed" if done else f"{path} was not allowed"
        shared.show({"path": str(consent.folder_of(path) / path.name), "forgotten": done}, lambda: clean(said))
        return
    if not path.is_file():
        raise SettingsError(f"there is no settings file {path}", hint="name it: midas trust PATH")
    data, asked = file_requests(path)
    if not dry_run:
        consent.allow(path, data)
    document = {
        "path": str(consent.folder_of(path) / path.name),
        "sha256": consent.digest(data),
        "allowed": consent.standing(path, data) == "allowed",
        "asks": [{"setting": r.key, "value": r.value, "does": r.does} for r in asked],
        "kept_in": str(consent.store_path()),
    }

    def text() -> str:
        lines = [f"{path} asks for:" if asked else f"{path} asks for nothing that needs consent"]
        lines += [f"  {r}" for r in asked]
        lines.append(
            "nothing was allowed (--dry-run)" if dry_run else f"allowed as it is; kept in {document['kept_in']}"
        )
        return "\n".join(clean(line) for line in lines)

    shared.show(document, text)
