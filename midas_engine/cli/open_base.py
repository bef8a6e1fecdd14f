"""How the verbs reach the engine: the knowledge base, the pipeline and the panel that the settings name."""

from __future__ import annotations

import os
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import click

from midas_engine.cli.output import clean
from midas_engine.errors import KnowledgeBaseError
from midas_engine.regular import obstacle

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from midas_engine.commands import Commands
    from midas_engine.evaluator.trials.ledger import Trial
    from midas_engine.kb import KnowledgeBase
    from midas_engine.models import FeatureRecord
    from midas_engine.promoter import FeaturePromoter
    from midas_engine.service.client import RemoteCommands
    from midas_engine.settings import Settings
    from midas_engine.workspace import Workspace


def require_base(settings: Settings) -> None:
    """Refuse when there is no knowledge base yet, so that a typo in --kb does not create one.

    Raises:
        KnowledgeBaseError: Nothing is there.
    """
    if not settings.kb_path.is_dir():
        refuse_other(settings)
        raise KnowledgeBaseError(
            f"there is no knowledge base at {settings.kb_path}",
            hint="`midas demo` and `midas discover GOAL` create one; --kb PATH names another",
        )


def refuse_other(settings: Settings) -> None:
    """Refuse when something other than a folder stands where the knowledge base belongs.

    Raises:
        KnowledgeBaseError: Says what it is.
    """
    path = settings.kb_path
    if os.path.lexists(path) and not path.is_dir():
        kind = obstacle(path, follow=True) or obstacle(path) or "file"
        raise KnowledgeBaseError(f"{path} is a {kind}, where a folder belongs", hint="give another --kb")


def open_base(settings: Settings, *, read_only: bool = False, create: bool = False) -> KnowledgeBase:
    """The knowledge base; created and seeded only with `create`."""
    if not create:
        require_base(settings)
    from midas_engine.kb import KnowledgeBase

    base = KnowledgeBase(settings.kb_path, read_only=read_only or settings.read_only)
    verb = click.get_current_context(silent=True)
    if verb is not None:
        verb.call_on_close(lambda: _tell(base.notices()))  # what the verb's listings left out
    return base


def _tell(notices: Iterable[str]) -> None:
    for notice in notices:
        click.echo(f"note: {clean(notice)}", err=True)


def find_record(settings: Settings, name: str) -> FeatureRecord | None:
    """The feature called so; None when `name` is no name or there is no such feature, but it may be an expression."""
    if not settings.kb_path.is_dir() or not all(c.isalnum() or c in "_@" for c in name):
        return None
    return open_base(settings, read_only=True).find_feature(name)


def find_trial(settings: Settings, name: str) -> Trial | None:
    """The latest scored trial of that name in the ledger: refused candidates are kept nowhere else."""
    path = settings.kb_path / "journal.sqlite"
    if not name.isidentifier() or not os.path.lexists(path):
        return None
    from midas_engine.evaluator.trials.ledger import TrialLedger

    with TrialLedger(path, read_only=True) as ledger:
        found = [t for t in ledger.history() if t.outcome == "scored" and t.summary.get("name") == name]
    return found[-1] if found else None


@contextmanager
def open_workspace(settings: Settings, *, create: bool = False, read_only: bool = False) -> Iterator[Workspace]:
    """The base with its journal, pipeline and commands, closed at the end."""
    if not create:
        require_base(settings)
    from midas_engine.workspace import Workspace

    workspace = Workspace(settings, via="command line", read_only=read_only)
    try:
        yield workspace
    finally:
        _tell(workspace.kb.notices())
        workspace.close()


@contextmanager
def open_commands(settings: Settings, *, read_only: bool = False) -> Iterator[Commands | RemoteCommands]:
    """What moves features: through the service that holds the base, where one does, else here.

    Args:
        settings: Name the base.
        read_only: Open nothing for writing before a command needs it: a kill must not wait for another process.
    """
    require_base(settings)
    from midas_engine.service.client import RemoteCommands, reach

    with ExitStack() as stack:
        client = None if settings.read_only else reach(settings.kb_path)
        if client is not None:
            stack.callback(client.close)
            yield RemoteCommands(client, lambda: stack.enter_context(open_workspace(settings, read_only=True)).commands)
            return
        workspace = stack.enter_context(open_workspace(settings, read_only=read_only))
        if not read_only:
            tell_notices(workspace)
        yield workspace.commands


@contextmanager
def open_pipeline(settings: Settings, *, create: bool = False) -> Iterator[FeaturePromoter]:
    """The pipeline with the base's journal, so that every action can be undone; closed at the end."""
    with open_workspace(settings, create=create) as workspace:
        tell_notices(workspace)
        yield workspace.promoter


def tell_notices(workspace: Workspace) -> None:
    """A journal that had to be mended, or a session that had died, is said aloud, whatever the verb."""
    assert workspace.journal  # the notices come with it
    _tell(workspace.notices)
