"""The two records of kills, the journal's and the kill file's, and what holds when they or the features disagree."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from midas_engine.errors import MidasError, MonitorError
from midas_engine.kb.kill_file import Kill, Kills
from midas_engine.kb.names import split_version
from midas_engine.models import FeatureState
from midas_engine.monitor.protocols import KeptJournal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from midas_engine.kb.kill_file import KillFile
    from midas_engine.models import FeatureRecord
    from midas_engine.monitor.protocols import StateStore

KEY = "monitor/kills"
FILE_KEY = "monitor/kill-file"
_LIVE = frozenset({FeatureState.DEPLOYED, FeatureState.SHADOW})
_NEVER = (0, 0, 0)


@dataclass(slots=True)
class KillRecord:
    """One kill.

    Attributes:
        told: The callback returned; until then it is called again, after a restart too.
        bar: The newest bar that was known when it fell: a replay after a crash lets the feature live until there.
        archived: The pipeline has it; until then that is tried again.
        id: The kill's name in every record; empty in those of older versions.
        via: Where it was given, such as "command line".
    """

    feature: str
    reason: str
    actor: str
    at: str
    told: bool = False
    attempts: int = 0
    bar: int = -1
    archived: bool = False
    id: str = ""
    via: str = ""


class KillRecords:
    """Reads and writes the kills of a base, in the journal and beside it.

    A feature that is killed in the journal, in the kill file or in its own file is killed. Only the kill file knows
    of a redeploy, the one thing that ends a kill; a record that it names as ended is old, not a kill.

    Args:
        journal: The states of the journal; None: not kept there.
        kill_file: The file beside it; None: not kept there.
        features: The base's features, each read anew; None: there is no base.
    """

    def __init__(
        self,
        journal: StateStore | None,
        kill_file: KillFile | None = None,
        features: Callable[[], Sequence[FeatureRecord]] | None = None,
    ) -> None:
        self.journal, self.file, self._features = journal, kill_file, features
        self._kept = journal if isinstance(journal, KeptJournal) else None
        self.file_id = ""
        self.signature: tuple[int, int, int] | None = _NEVER

    # -- reading ---------------------------------------------------------------------------------

    def load(self) -> tuple[dict[str, KillRecord], list[str]]:
        """Every kill that holds, and what is to be shouted about how it was found. Mends the kill file.

        Raises:
            MonitorError: Too little is left to know who is killed.
        """
        if self.journal is None:
            return {}, []
        lost = self._notices()
        entries, broken = self._in_journal()
        if self.file is None:
            if broken:
                raise _damaged(broken)
            return {r.feature: r for r in entries or []}, []
        state = self.file.read()
        broken = broken or next(iter(lost), "")
        known_file = "" if broken else (self.journal.get_state(FILE_KEY) or b"").decode("ascii", "replace")
        if broken and (state.damage or state.missing):
            raise _damaged(f"{broken}; {state.damage or f'{self.file.path.name} is not there'}")
        features = {r.name: r for r in self._features()} if self._features is not None else {}
        faults = self._faults(state, broken, entries, known_file, features)
        records, more = _united(entries or [], state, features, first=not known_file and state.missing)
        faults += more
        self._mend(state, records)
        self.signature = _NEVER  # what came in while this was read is found by the next look
        return records, faults

    def rebuild(self) -> None:
        """Make both records anew from what can be read of them and from the features, and believe the result."""
        assert self.file is not None
        entries, _ = self._in_journal()
        state = self.file.read()
        features = {r.name: r for r in self._features()} if self._features is not None else {}
        records, _ = _united(entries or [], state, features, first=state.missing)
        self.file.rebuild([_kill(r) for r in records.values()], state.ended, state.lives)
        self.file.kept()
        self.file_id = self.file.read().file_id
        self.write_journal(records.values())

    def _notices(self) -> list[str]:
        return [] if self._kept is None else list(self._kept.notices)

    def _in_journal(self) -> tuple[list[KillRecord] | None, str]:
        """The journal's kills (None: it has no such record) and what is wrong with them."""
        assert self.journal is not None
        blob = self.journal.get_state(KEY)
        if blob is None:
            # a journal gives nothing for a damaged state, and says so beside it
            return None, next((n for n in self._notices() if KEY in n), "")
        try:
            return [KillRecord(**{**entry, "feature": str(entry["feature"])}) for entry in json.loads(blob)], ""
        except (ValueError, TypeError, KeyError) as error:
            return None, str(error) or "it cannot be read"

    def _faults(
        self,
        state: Kills,
        broken: str,
        entries: list[KillRecord] | None,
        known_file: str,
        features: Mapping[str, FeatureRecord],
    ) -> list[str]:
        assert self.file is not None
        name, found = self.file.path.name, []
        if broken:
            found.append(f"the journal lost something ({broken}): kills are taken from {name} and the feature files")
        elif entries is None and state.kept:
            found.append(f"the journal lost its record of kills: they are taken from {name} and the feature files")
        elif entries is None and state.missing and self._younger(features):
            found.append(
                f"neither the journal nor {name} knows this base: who is killed is taken from the feature files alone"
            )
        if state.damage:
            found.append(f"{state.damage}: kills are taken from the journal and the feature files, and it is made anew")
        elif state.missing and known_file:
            found.append(f"{name} is gone: it is made anew from the journal and the feature files")
        elif known_file and state.file_id != known_file:
            found.append(f"{name} is not the file that the journal knows: both are believed")
        return found

    def _younger(self, features: Mapping[str, FeatureRecord]) -> bool:
        """The features have a past of which the journal knows nothing."""
        past = any(record.history for record in features.values())
        return past and self._kept is not None and not self._kept.actions(limit=1)

    def _mend(self, state: Kills, records: Mapping[str, KillRecord]) -> None:
        """Bring the kill file to what holds, where it can be written."""
        assert self.file is not None
        try:
            if state.damage:
                self.file.rebuild([_kill(r) for r in records.values()], state.ended, state.lives)
            for record in records.values():
                held = state.kills.get(record.feature)
                if held is None or held.id != record.id:
                    self._add(record)
                elif record.told and not held.told:
                    self.file.told(record.id)
            if state.missing or state.torn or not state.kept:
                self.file.kept()
            self.file_id = self.file.read().file_id
        except MidasError:
            self.file_id = state.file_id  # a disk that refuses is told when the next kill meets it

    def _add(self, record: KillRecord) -> None:
        assert self.file is not None
        record.id = self.file.keep(_kill(record)).id

    def changed(self) -> Kills | None:
        """What the file says, when it changed since it was last looked at; one `stat` when it did not."""
        if self.file is None:
            return None
        signature = self.file.signature()
        if signature == self.signature:
            return None
        self.signature = signature
        return self.file.read()

    def replaced(self, state: Kills) -> str:
        """Why the file that is there is not the one that was; empty when it is."""
        assert self.file is not None
        if state.damage:
            return state.damage
        if state.missing:
            return f"{self.file.path.name} is gone"
        return f"{self.file.path.name} was replaced" if self.file_id not in ("", state.file_id) else ""

    def heal(self, state: Kills, records: Iterable[KillRecord]) -> None:
        """Make the file anew from what the monitor knows."""
        assert self.file is not None
        held = {r.feature: _kill(r) for r in records}
        more = [kill for name, kill in state.kills.items() if name not in held]
        self.file.rebuild([*held.values(), *more], state.ended, state.lives)
        self.file.kept()
        self.file_id = self.file.read().file_id

    # -- writing: blocking, in a thread ------------------------------------------------------------

    def latch(self, record: KillRecord) -> None:
        """Put a new kill into the file."""
        if self.file is not None:
            self._add(record)

    def note_told(self, record: KillRecord) -> None:
        """Put into the file that the callback of a kill has returned."""
        if self.file is not None:
            self.file.told(record.id)

    def write_journal(self, records: Iterable[KillRecord]) -> None:
        """Put all kills into the journal, through a power cut."""
        if self.journal is None:
            return
        blob = json.dumps([asdict(record) for record in records]).encode()
        self.journal.put_state(KEY, blob, durable=True)
        if self.file is not None and self.file_id:
            self.journal.put_state(FILE_KEY, self.file_id.encode(), durable=True)


def _united(
    entries: Sequence[KillRecord], state: Kills, features: Mapping[str, FeatureRecord], *, first: bool
) -> tuple[dict[str, KillRecord], list[str]]:
    """Who is killed by any record, and what is worth shouting about it."""
    records = {kill.feature: record_of(kill) for kill in state.kills.values()}
    faults: list[str] = []
    for entry in entries:
        held = records.get(entry.feature)
        if held is not None:
            same = held.id == entry.id
            held.told, held.attempts = held.told or (same and entry.told), entry.attempts if same else 0
            held.bar = entry.bar if same else held.bar
        elif not _ended(entry, state) and not (first and _redeployed(entry, features.get(entry.feature))):
            if not first:
                faults.append(f"{entry.feature} is killed by the journal; the kill file had lost it")
            records[entry.feature] = replace(entry, id=entry.id or _old_id(entry))
    for name, feature in features.items():
        if feature.killed and name not in records:
            records[name] = _from_feature(feature)
        record = records.get(name)
        if record is not None:
            # an older copy of the base may have brought its file back
            record.archived = feature.state not in _LIVE
    return records, faults


def _ended(entry: KillRecord, state: Kills) -> bool:
    if entry.id:
        return entry.id in state.ended
    return entry.at <= state.lives.get(entry.feature, "")


def _redeployed(entry: KillRecord, feature: FeatureRecord | None) -> bool:
    """By an older version, which kept no kill file: the feature's own history says so."""
    if feature is None or feature.killed or feature.state not in _LIVE:
        return False
    redeploys = [str(e.get("at", "")) for e in feature.history if e.get("action") == "redeploy"]
    return bool(redeploys) and max(redeploys) >= entry.at[:19]


def _from_feature(feature: FeatureRecord) -> KillRecord:
    past: Mapping[str, Any] = next((e for e in reversed(feature.history) if e.get("action") == "kill"), {})
    at = str(past.get("at", "")) or (feature.changed_at.isoformat() if feature.changed_at else "1970-01-01T00:00:00Z")
    actor = str(past.get("actor", "operator"))
    record = KillRecord(feature.name, feature.reason, actor, at, archived=True, via=str(past.get("via", "")))
    record.id = _old_id(record)
    return record


def _old_id(record: KillRecord) -> str:
    return f"{record.feature} {record.at}"


def record_of(kill: Kill) -> KillRecord:
    """A kill of the file as the switch holds it."""
    return KillRecord(
        kill.feature,
        kill.reason,
        kill.actor,
        kill.at,
        told=kill.told,
        bar=kill.bar,
        archived=kill.archived,
        id=kill.id,
        via=kill.via,
    )


def _kill(record: KillRecord) -> Kill:
    return Kill(
        record.id,
        record.feature,
        split_version(record.feature)[1],
        record.reason,
        record.actor,
        record.via,
        record.at,
        record.bar,
        record.told,
        record.archived,
    )


def _damaged(why: str) -> MonitorError:
    return MonitorError(
        f"the record of kills is damaged: {why}",
        hint="refusing to start: a killed feature could come up alive; restore journal.sqlite or kills.log from a "
        "backup, or, if the feature files name every kill, say so with `midas kb kills --rebuild`",
    )
