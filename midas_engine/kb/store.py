"""The knowledge base: the one object through which every document is read and written."""

from __future__ import annotations

import contextlib
import errno
from pathlib import Path
from typing import TYPE_CHECKING, Any

from midas_engine.clock import Clock, WallClock
from midas_engine.errors import (
    DocumentDamagedError,
    KnowledgeBaseError,
    NameRefusedError,
    ReadOnlyError,
    SettingsError,
    TransitionError,
)
from midas_engine.kb import learnings as shelf
from midas_engine.kb import seeding
from midas_engine.kb import thresholds as gates
from midas_engine.kb.atomic import disk_error
from midas_engine.kb.catalogue import Catalogue, DocumentInfo
from midas_engine.kb.documents import feature_text
from midas_engine.kb.features import FeatureShelf, feature_path
from midas_engine.kb.files import FileTree, make_root
from midas_engine.kb.frontmatter import decode, named_after, parse
from midas_engine.kb.kill_file import NAME as KILLS
from midas_engine.kb.kill_file import KillFile
from midas_engine.kb.locks import DEFAULT_TIMEOUT, Claim, StoreLock
from midas_engine.kb.names import check_name, check_relative
from midas_engine.kb.search import Hit, excerpt, learning_terms, rank, tokens
from midas_engine.kb.transaction import Transactions
from midas_engine.models import FeatureRecord, FeatureState, LearningDocument

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator, Iterator

    from midas_engine.kb.problem import Problem

_MAX_TEXT = 1_000_000


class KnowledgeBase:
    """A folder of Markdown and JSON documents, created and seeded when it is opened.

    Many processes may use one base: writers take turns behind one lock, readers never wait and see
    each feature in exactly one state. One damaged file never hides the others.

    Args:
        path: The folder.
        read_only: Never write, not even the seeds.
        clock: Gives times to documents that bring none.
        lock_timeout: Seconds to wait for another writer.

    Raises:
        KnowledgeBaseError: The folder cannot be made or is not a folder.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        read_only: bool = False,
        clock: Clock | None = None,
        lock_timeout: float = DEFAULT_TIMEOUT,
    ) -> None:
        self.clock = clock or WallClock()
        self.read_only = read_only
        self.read_only_reason = "it was opened read-only" if read_only else ""
        self.swept = 0
        given = Path(path).expanduser()
        if not read_only:
            make_root(given)
        self.path = given.resolve()
        self._tree = FileTree(self.path)
        self._lock = StoreLock(self.path / "midas.lock", clock=self.clock, timeout=lock_timeout)
        self._transactions = Transactions(self._tree)
        self._features = FeatureShelf(self._tree, self._transactions, self._lock)
        self._learnings = shelf.LearningShelf(self._tree)
        self._catalogue = Catalogue(self._tree)
        self._good_thresholds: dict[str, Any] | None = None
        self._open()

    def _open(self) -> None:
        if not self.path.is_dir():
            if self.read_only:
                return  # an empty look at nothing; the commands say so
            raise KnowledgeBaseError(f"{self.path} is not a folder", hint="give --kb a folder")
        self._tree.anchor()
        newer = seeding.check_schema(self._tree)
        if newer:
            self.read_only, self.read_only_reason = True, newer
        if self.read_only:
            return
        try:
            with self._lock.hold():
                self.swept = self._tree.sweep()
                seeding.plant(self._tree)
                self._transactions.recover()
        except (OSError, KnowledgeBaseError) as error:
            cause = error if isinstance(error, OSError) else error.__cause__
            if not isinstance(cause, OSError) or cause.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
                raise
            self.read_only, self.read_only_reason = True, f"its folder cannot be written: {cause.strerror}"

    # -- writing together ------------------------------------------------------------------------

    @contextlib.contextmanager
    def lock(self, timeout: float | None = None) -> Iterator[None]:
        """Keep every other writer out for the length of a `with` block of synchronous code.

        Raises:
            LockTimeoutError: Another writer kept it; says who.
            ReadOnlyError: The base was opened read-only.
            StoreVersionError: The base belongs to a newer Midas.
        """
        self.check_writable()  # before the lock, which would make the folder anew
        try:
            with self._lock.hold(timeout):
                yield
        except OSError as error:
            raise disk_error(error, f"{self.path} could not be changed") from error

    def _refuse_when_read_only(self) -> None:
        if not self.read_only:
            return
        if "newer Midas" in self.read_only_reason or "version is unknown" in self.read_only_reason:
            raise seeding.refuse_newer(f"{self.path}: {self.read_only_reason}")
        raise ReadOnlyError(
            f"{self.path}: {self.read_only_reason}", hint="open it without --read-only, on a writable disk"
        )

    @property
    def kill_file(self) -> KillFile:
        """The kills, kept outside the journal; writing there needs no lock."""
        return KillFile(self.path / KILLS)

    def check_writable(self) -> None:
        """Raise what `lock` would when the base may not be written, without waiting for anybody."""
        self._refuse_when_read_only()
        self._tree.check_anchor()

    def claim(self, role: str) -> Claim:
        """Take a role that only one process may have on this base, such as "monitor".

        Raises:
            LockTimeoutError: Another process has it; says who.
        """
        self._refuse_when_read_only()
        return Claim(self.path / f"{check_name(role, what='role')}.lock", role, clock=self.clock)

    def lost(self) -> str:
        """Why the folder that was opened is not there any more; empty while it is."""
        return self._tree.lost()

    @property
    def transactions(self) -> Transactions:
        """Changes of several files at once; for the promoter."""
        return self._transactions

    @property
    def journal_path(self) -> Path:
        """Where the journal of this base lies."""
        return self.path / "journal.sqlite"

    # -- thresholds, prompts, skills -------------------------------------------------------------

    def thresholds(self) -> dict[str, Any]:
        """The gates that verdicts are judged by, as the file says now.

        Raises:
            SettingsError: The file is wrong; names file, key and line. `last_good_thresholds` stays.
        """
        try:
            data = self._tree.read(gates.PATH)
        except FileNotFoundError:
            self._good_thresholds = gates.default_thresholds()
        except DocumentDamagedError as error:
            raise SettingsError(f"{gates.PATH}: {error.message}", hint=error.hint) from error
        else:
            self._good_thresholds = gates.parse_thresholds(data, gates.PATH)
        return dict(self._good_thresholds)

    def last_good_thresholds(self) -> tuple[dict[str, Any], str]:
        """The thresholds to go on with, and why they are not the file's; empty when they are."""
        try:
            return self.thresholds(), ""
        except SettingsError as error:
            return dict(self._good_thresholds or gates.default_thresholds()), str(error)

    def prompt(self, name: str) -> str:
        """The text of a prompt template: plan, generate, refine, learn or diagnose.

        A prompt that is gone is answered by the program's own.
        """
        path = f"proposer/prompts/{check_name(name, what='prompt')}.md"
        try:
            with named_after(path):
                return decode(seeding.as_today(path, self._tree.read(path)))
        except FileNotFoundError:
            seeds = seeding.written_seeds()
            if path not in seeds:
                raise NameRefusedError(
                    f"there is no prompt {name!r}", hint="one of " + ", ".join(seeding.PROMPTS)
                ) from None
            return decode(seeds[path])

    def skills(self) -> dict[str, str]:
        """Every readable skill document by name."""
        found: dict[str, str] = {}
        for entry in self._tree.entries("skills"):
            if entry.kind == "file" and entry.path.endswith(".md"):
                with contextlib.suppress(DocumentDamagedError, FileNotFoundError):
                    found[entry.path.split("/")[-1].removesuffix(".md")] = decode(
                        seeding.as_today(entry.path, self._tree.read(entry.path))
                    )
        return found

    # -- learnings -------------------------------------------------------------------------------

    def save_learning(self, document: LearningDocument) -> Path:
        """Write a learning under a name of its own; nothing is ever overwritten. Text is cut at its bounds."""
        with self.lock():
            return self.path / self._learnings.save(document).path

    def learnings(self, n: int | None = None, loop: str | None = None) -> list[LearningDocument]:
        """The newest `n` learnings (all without `n`), of one loop or both, newest first."""
        return self._learnings.all(loop)[: None if n is None else max(n, 0)]

    def related_learnings(self, goal: str, n: int = 5) -> list[LearningDocument]:
        """The learnings that speak to `goal`, best first, each text once."""
        documents = self._learnings.all()
        chosen: list[LearningDocument] = []
        seen: set[tuple[str, ...]] = set()
        for position, _ in rank(goal, [learning_terms(d) for d in documents]):
            document = documents[position]
            key = (document.pattern_identified, document.what_worked, document.what_failed, document.body)
            if key not in seen:
                seen.add(key)
                chosen.append(document)
            if len(chosen) >= n:
                break
        return chosen

    def revoke_learning(self, path: str, reason: str = "") -> str:
        """Set a learning aside, so that no later prompt quotes it; returns its new path."""
        with self.lock():
            return self._learnings.revoke(self.relative(path), reason)

    # -- features --------------------------------------------------------------------------------

    def write_feature(self, record: FeatureRecord, *, replace: bool = False) -> Path:
        """Write a feature into the folder of its state. Moves between states are the promoter's.

        Raises:
            TransitionError: The feature is there already (in another state, or at all without `replace`).
        """
        with self.lock():
            self._transactions.recover()
            path = feature_path(record.name, record.state)
            there = {r.path: r for r in self._features.all() if r.name == record.name}
            if there and not (replace and set(there) == {path}):
                raise TransitionError(
                    f"{record.name} is already there as {next(iter(there))}",
                    hint="choose another name; nothing is overwritten",
                )
            body = self._features.body(there[path]) if there else None
            return self._tree.write(path, feature_text(record, body).encode())

    def feature(self, name: str) -> FeatureRecord:
        """The feature called `name`, in whatever state.

        Raises:
            TransitionError: There is none; the hint names near ones.
            DocumentDamagedError: Its file cannot be read.
        """
        if (record := self._features.find(name)) is None:
            raise TransitionError(f"there is no feature {name!r}", hint=self._near(name))
        return record

    def _near(self, name: str) -> str:
        import difflib

        names = sorted({r.name for r in self._features.all() if not r.damaged})
        if near := difflib.get_close_matches(name, names, n=3):
            return "did you mean " + " or ".join(repr(n) for n in near) + "?"
        return "known: " + ", ".join(names[:10]) if names else "the pipeline is empty; `midas discover` fills it"

    def find_feature(self, name: str) -> FeatureRecord | None:
        """The feature called `name`, or None."""
        return self._features.find(name)

    def features(self, state: FeatureState | str | None = None) -> list[FeatureRecord]:
        """Every sound feature, or those of one state, by name."""
        wanted = None if state is None else FeatureState(state)
        return [r for r in self._features.all() if not r.damaged and (wanted is None or r.state is wanted)]

    def pipeline_mark(self) -> object:
        """Differs from an earlier one when a feature may have moved in between; a few `stat`s, no parsing."""
        return self._features.mark()

    def damaged_features(self) -> list[FeatureRecord]:
        """The feature files that cannot be used, each with its reason in `damaged`."""
        return [r for r in self._features.all() if r.damaged]

    def feature_notes(self, record: FeatureRecord) -> str | None:
        """What stands below the front matter in the feature's file."""
        return self._features.body(record)

    def free_name(self, base: str) -> str:
        """`base` if no feature is called so, else `base_2`, `base_3`..."""
        return self._features.free_name(base)

    # -- documents -------------------------------------------------------------------------------

    def save_text(self, path: str, text: str, *, replace: bool = True) -> Path:
        """Write a text document (`reports/daily/2025-01-15.md`) atomically.

        Raises:
            NameRefusedError: The path leaves the base, or belongs to the pipeline.
        """
        return self.save_bytes(path, text.encode("utf-8", "replace"), replace=replace)

    def save_bytes(self, path: str, data: bytes, *, replace: bool = True) -> Path:
        """Write a document of any kind, such as a plot beside a report."""
        check_relative(path)
        if path.startswith("knowledge/features") or path == seeding.SCHEMA_PATH or "/" not in path:
            raise NameRefusedError(f"{path} is not written this way", hint="features move through the promoter")
        if len(data) > 20 * _MAX_TEXT or (len(data) > _MAX_TEXT and path.endswith(".md")):
            raise KnowledgeBaseError(f"{path} would have {len(data):,} bytes", hint="shorten the document")
        with self.lock():
            try:
                return self._tree.write(path, data, replace=replace)
            except FileExistsError as error:
                raise KnowledgeBaseError(f"{path} is already there", hint="choose another name") from error

    def read_text(self, path: str) -> str:
        """The text of a document.

        Raises:
            KnowledgeBaseError: There is none.
            DocumentDamagedError: It is no UTF-8 text, too large, a link or a special file.
        """
        try:
            with named_after(path):
                return decode(self._tree.read(check_relative(self.relative(path))))
        except FileNotFoundError as error:
            raise KnowledgeBaseError(f"there is no document {path}", hint="`midas status` shows the base") from error

    def read_raw(self, path: str) -> bytes:
        """The bytes of a document, whatever they are.

        Raises:
            FileNotFoundError: There is none.
            DocumentDamagedError: It is too large, a link or a special file.
        """
        return self._tree.read(check_relative(self.relative(path)))

    def occupied(self, path: str) -> bool:
        """Whether anything, even a link, lies at a relative path."""
        return self._tree.entry(path) is not None

    def read_document(self, path: str) -> tuple[dict[str, Any], str]:
        """Front matter and body of a document."""
        document = parse(self.read_text(path))
        return dict(document.fields), document.body

    def relative(self, path: str | Path) -> str:
        """A path as the base writes it: relative to its folder, with forward slashes."""
        text = str(path)
        return Path(text).relative_to(self.path).as_posix() if text.startswith(f"{self.path}/") else text

    def documents(self) -> list[DocumentInfo]:
        """Every document with its title and kind; damaged ones say so."""
        return self._catalogue.all()

    def search(self, query: str, n: int = 10) -> list[Hit]:
        """Documents that match `query`, best first, with the line that matches."""
        infos = [info for info in self.documents() if not info.damaged]
        texts = [self._catalogue.text(info) for info in infos]
        ranked = rank(query, [tokens(info.title) * 3 + tokens(text) for info, text in zip(infos, texts, strict=True)])
        return [Hit(infos[p].path, infos[p].title, s, excerpt(texts[p], query)) for p, s in ranked[: max(n, 0)]]

    def check(self) -> list[Problem]:
        """Everything that is wrong with the base, each with what to do about it."""
        from midas_engine.kb.check import check

        return check(self, self._tree, self._transactions)

    def notices(self) -> list[str]:
        """What the listings made so far had to leave out, in words; empty when they were whole."""
        return self._tree.notices()

    def watch(self, stop: asyncio.Event | None = None) -> AsyncIterator[tuple[str, ...]]:
        """Batches of relative paths whose content changed, whoever changed them."""
        from midas_engine.kb.watch import watch

        return watch(self.path, stop=stop)
