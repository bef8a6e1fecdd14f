"""Campaigns, sessions and verdicts as runs of MLflow: a mirror that is only ever written (extra `mlflow`).

The ledger stays the truth. Nothing that MLflow holds is read back into a verdict; the one question asked of it is which
runs are there already, and whether they are whole, so that mirroring twice adds nothing and what a death cut short is
completed the next time.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import math
import os
import threading
from collections import defaultdict
from concurrent.futures import Future, wait
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from midas_engine.clock import WallClock
from midas_engine.errors import MidasError, SettingsError
from midas_engine.outbound.mlflow_folder import check_room, folder_of, torn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from midas_engine.evaluator.trials.ledger import Trial
    from midas_engine.kb import KnowledgeBase

ID = "midas.id"
_PARENT = "mlflow.parentRunId"
_FIGURES = ("rank_ic", "rank_ic_se", "line_t", "composite", "turnover", "net_bps", "trials", "evaluated", "level")
SILENCE_SECONDS = 60.0
"""What one step may take: a run that is written, a page of a thousand that is read."""
_AGAIN_SECONDS = 0.1
_MOST_TEXT = 5000
_PAGE = 1000


@dataclass(frozen=True, slots=True)
class Mirrored:
    """What a call added: runs of each kind."""

    campaigns: int
    sessions: int
    verdicts: int


@dataclass(frozen=True, slots=True)
class _Entry:
    """One run to be: its words never change, its tags and figures may when what it mirrors goes on."""

    id: str
    parent: str
    name: str
    begun: datetime
    ended: datetime
    failed: bool = False
    words: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    figures: dict[str, float] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """campaign, session or verdict."""
        return self.id.partition(" ")[0]


@dataclass(frozen=True, slots=True)
class _Run:
    """A run that MLflow has; `ended` is None until everything of it is written: that it ended is written last."""

    number: str
    ended: int | None = None
    figures: Mapping[str, float] = field(default_factory=dict)


def mirror(kb: KnowledgeBase, address: str) -> Mirrored:
    """Write what the base has and `address` has not: a run a campaign, a session in it, a verdict in that.

    Args:
        kb: The base; it is only read.
        address: A folder (`file:PATH`), or the URI of a tracking server or database.

    Raises:
        SettingsError: The extra is not installed, or the address is none.
        MidasError: It cannot be written to; nothing of the base is lost by that.
    """
    client, entities = _client(address)
    folder = folder_of(address)

    def write(step: Callable[[], None]) -> Mirrored:
        def go_on() -> None:
            step()
            check_room(folder)

        return _write(kb, client, entities, go_on)

    try:
        with _alone(kb):
            return _while_it_answers(write, address)
    except MidasError:
        raise
    except Exception as error:
        raise MidasError(
            f"MLflow at {_told(address)} cannot be written to: {type(error).__name__}: {str(error)[:200]}",
            hint=torn(folder) or "what is missing there is written the next time (`midas mlflow`)",
        ) from error


def mirror_told(kb: KnowledgeBase, address: str) -> tuple[str, str]:
    """`mirror`, at the end of a session or a campaign: what kept it from being written, and what to do; empty: nothing.

    Nothing is written, and nothing is said, without an address.
    """
    if not address:
        return "", ""
    try:
        mirror(kb, address)
    except MidasError as error:
        return error.message, error.hint
    except Exception as error:  # of a package that is installed in part, say
        return f"MLflow was not written: {type(error).__name__}: {str(error)[:200]}", "`midas mlflow` writes it"
    return "", ""


@contextlib.contextmanager
def _alone(kb: KnowledgeBase) -> Iterator[None]:
    """One at a time mirrors a base: two would both add what neither finds. The folder itself is the lock."""
    handle, clock = os.open(kb.path, os.O_RDONLY), WallClock()
    until = clock.monotonic() + SILENCE_SECONDS
    try:
        while not _taken(handle):
            if clock.monotonic() > until:
                raise MidasError(
                    "another process mirrors this base to MLflow, and has not come to its end",
                    hint="what is missing there is written the next time (`midas mlflow`)",
                )
            threading.Event().wait(_AGAIN_SECONDS)
        yield
    finally:
        os.close(handle)


def _taken(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _while_it_answers(write: Callable[[Callable[[], None]], Mirrored], address: str) -> Mirrored:
    """`write`, given up when it takes no step for a minute: who sends a byte now and then breaks no line.

    What hangs is left behind, and writes nothing any more should it come back.
    """
    done, clock = Future[Mirrored](), WallClock()
    heard, gone = [clock.monotonic()], threading.Event()

    def step() -> None:
        if gone.is_set():
            raise MidasError("it was given up")
        heard[0] = clock.monotonic()

    def run() -> None:
        try:
            done.set_result(write(step))
        except BaseException as error:
            done.set_exception(error)

    threading.Thread(target=run, name="midas-mlflow", daemon=True).start()
    while clock.monotonic() - heard[0] < SILENCE_SECONDS:
        wait([done], _AGAIN_SECONDS)
        if done.done():
            return done.result()
    gone.set()
    raise MidasError(
        f"MLflow at {_told(address)} has not answered for {SILENCE_SECONDS:g} s",
        hint="what is missing there is written the next time (`midas mlflow`)",
    )


def _client(address: str) -> tuple[Any, Any]:
    if not address:
        raise SettingsError(
            "there is no MLflow address", hint="set outbound.mlflow, or give one: `midas mlflow file:PATH`"
        )
    folder = folder_of(address)
    uri = address if folder is None or address.startswith("file://") else folder.as_uri()
    if uri.startswith("file:"):
        os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")  # a folder that the user named; it is only appended to
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # nothing leaves but to that address
    # A server that does not answer is given up in a minute, not in the quarter of an hour that is the client's own.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "15")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    try:
        from mlflow import MlflowClient, entities
    except ImportError as error:
        raise SettingsError("mirroring needs MLflow", hint="pip install 'midas-alpha[mlflow]'") from error
    try:
        return MlflowClient(tracking_uri=uri), entities
    except Exception as error:
        raise SettingsError(
            f"{_told(address)} is no address of MLflow: {str(error)[:200]}",
            hint="file:PATH or https://HOST; sqlite:///FILE where the whole of MLflow is installed",
        ) from error


def _write(kb: KnowledgeBase, client: Any, entities: Any, step: Callable[[], None]) -> Mirrored:
    step()
    name = f"midas {kb.path.resolve().name}"
    known = client.get_experiment_by_name(name)
    experiment = client.create_experiment(name) if known is None else known.experiment_id
    runs = dict(_there(client, experiment, step))
    step()
    found = frozenset(runs)
    added = {"campaign": 0, "session": 0, "verdict": 0}
    for entry in _entries(kb):
        run, at = runs.get(entry.id), _ms(entry.ended)
        if run is None:
            run = runs[entry.id] = _begun(client, experiment, entry, runs)
            added[entry.kind] += 1
        elif run.ended == at and entry.kind != "campaign":
            continue
        try:
            _fill(client, entities, run, entry)
        except Exception:
            if run.ended is not None or entry.id not in found:
                raise
            # Words that were cut short, by a disk that was full, say, can never be put right: it is begun anew.
            client.delete_run(run.number)
            run = runs[entry.id] = _begun(client, experiment, entry, runs)
            _fill(client, entities, run, entry)
        step()
    return Mirrored(added["campaign"], added["session"], added["verdict"])


def _begun(client: Any, experiment: str, entry: _Entry, runs: Mapping[str, _Run]) -> _Run:
    tags = {ID: entry.id, "midas.kind": entry.kind}
    if entry.parent in runs:
        tags[_PARENT] = runs[entry.parent].number
    made = client.create_run(experiment, start_time=_ms(entry.begun), tags=tags, run_name=entry.name[:200])
    return _Run(made.info.run_id)


def _fill(client: Any, entities: Any, run: _Run, entry: _Entry) -> None:
    at = _ms(entry.ended)
    client.log_batch(
        run.number,
        metrics=[entities.Metric(k, v, at, 0) for k, v in entry.figures.items() if run.figures.get(k) != v],
        params=[entities.Param(k, v) for k, v in entry.words.items()],
        tags=[entities.RunTag(k, v) for k, v in entry.tags.items()],
    )
    client.set_terminated(run.number, "FAILED" if entry.failed else "FINISHED", end_time=at)


def _there(client: Any, experiment: str, step: Callable[[], None]) -> Iterator[tuple[str, _Run]]:
    """The runs that are there, by what they mirror; one that broke off before it said what it mirrors is ended."""
    token = None
    while True:
        step()
        page = client.search_runs([experiment], max_results=_PAGE, page_token=token)
        for run in page:
            whole = run.info.status != "RUNNING"
            if ID in run.data.tags:
                changes = not whole or not run.data.tags[ID].startswith("verdict ")
                figures = dict(run.data.metrics) if changes else {}
                yield run.data.tags[ID], _Run(run.info.run_id, run.info.end_time if whole else None, figures)
            elif not whole:
                client.set_terminated(run.info.run_id, "KILLED")
        token = page.token
        if not token:
            return


def _entries(kb: KnowledgeBase) -> Iterator[_Entry]:
    """Everything the base has that came to its end, parents first."""
    from midas_engine.evaluator.trials.ledger import TrialLedger
    from midas_engine.journal import Journal

    with closing(Journal(kb.journal_path, read_only=True)) as journal:
        rows = {row.key: row for row in journal.sessions()}
    with TrialLedger(kb.journal_path, read_only=True) as ledger:
        trials = ledger.history()
    campaigns = list(_campaigns(kb))
    belongs = {leg["session"]: f"campaign {about['id']}" for about in campaigns for leg in about["done"]}
    by_session, by_campaign = defaultdict[str, list["Trial"]](list), defaultdict[str, list["Trial"]](list)
    for trial in trials:
        by_session[trial.session].append(trial)
        by_campaign[belongs.get(trial.session, "")].append(trial)
    for about in campaigns:
        if charged := by_campaign.get(f"campaign {about['id']}"):
            yield _campaign(about, charged)
    for session in dict.fromkeys([*rows, *by_session]):
        row, mine = rows.get(session), by_session.get(session, [])
        if row is not None and row.kind == "running":
            continue
        body: Mapping[str, Any] = row.body if row is not None else {}
        ended = row.at if row is not None else _when(mine[-1])
        begun = datetime.fromisoformat(str(body["started_at"])) if "started_at" in body else ended
        yield _Entry(
            f"session {session}", belongs.get(session, ""), session, begun, ended,
            failed=row is not None and row.kind == "error",
            words=_words(goal=body.get("goal", ""), researcher=body.get("researcher", "")),
            tags=_words(
                result=row.kind if row is not None else "", accepted=", ".join(body.get("accepted", ())),
            ),
            figures=_finite(
                tried=len(mine), accepted=len(body.get("accepted", ())),
                best_t=max((t.score_t for t in mine if t.score_t is not None), default=None),
            ),
        )  # fmt: skip
        yield from (_verdict(t) for t in mine)


def _campaigns(kb: KnowledgeBase) -> Iterator[dict[str, Any]]:
    from midas_engine.campaign.state import FOLDER

    for path in sorted((kb.path / FOLDER).glob("*.json")):
        try:
            body = json.loads(kb.read_text(f"{FOLDER}/{path.name}"))
            yield {"id": path.stem, "plan": dict(body["plan"]), "done": list(body["done"])}
        except (MidasError, ValueError, KeyError, TypeError):
            continue  # a damaged note; `midas campaign` names it, and its sessions are mirrored without it


def _campaign(about: dict[str, Any], trials: list[Trial]) -> _Entry:
    plan, done = about["plan"], about["done"]
    spent = sum(int(leg["screened"]) + int(leg["tried"]) for leg in done)
    return _Entry(
        f"campaign {about['id']}", "", str(about["id"]), _when(trials[0]), _when(trials[-1]),
        tags=_words(goals="; ".join(plan["goals"]), data=plan["data"], seed=plan["seed"]),
        figures=_finite(
            candidates=plan["candidates"], spent=spent, sessions=len(done),
            accepted=sum(len(leg["accepted"]) for leg in done),
        ),
    )  # fmt: skip


def _verdict(trial: Trial) -> _Entry:
    kept = trial.summary
    at = _when(trial)
    return _Entry(
        f"verdict {trial.key}", f"session {trial.session}", str(kept.get("name") or trial.outcome), at, at,
        words=_words(
            expression=trial.canonical, outcome=trial.outcome, accepted=trial.accepted, horizon=trial.horizon,
            gate=trial.gate, snapshot=trial.snapshot, failed=", ".join(kept.get("failed", ())),
        ),
        figures=_finite(score_t=trial.score_t, p=trial.p, **{k: kept.get(k) for k in _FIGURES}),
    )  # fmt: skip


def _words(**given: object) -> dict[str, str]:
    return {k: str(v)[:_MOST_TEXT] for k, v in given.items() if str(v)}


def _finite(**given: object) -> dict[str, float]:
    """Figures that are known: an unknown one is left out, never written as zero."""
    return {k: float(v) for k, v in given.items() if isinstance(v, int | float) and math.isfinite(v)}


def _when(trial: Trial) -> datetime:
    return datetime.fromisoformat(trial.at)


def _ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def _told(address: str) -> str:
    """The address without what may be a password in it."""
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(address)
    except ValueError:
        return "its address"
    return f"{parts.scheme}://{parts.hostname}" if parts.hostname else address
