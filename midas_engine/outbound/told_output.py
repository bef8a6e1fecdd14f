"""Somebody is told: messages to notifiers by apprise, on record, tried again, bounded; and the morning brief."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import math
import warnings
from collections import deque
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from midas_engine.clock import WallClock
from midas_engine.errors import MidasError, SettingsError
from midas_engine.events import Event, FaultReported
from midas_engine.kb.atomic import atomic_write, read_bytes
from midas_engine.kb.sealed_lines import append_synced, opened, sealed
from midas_engine.monitor.daily.brief import brief_since, seen_by
from midas_engine.monitor.worker import Worker, within
from midas_engine.outbound.outbox import answers
from midas_engine.outbound.told import Gathering, Message, Word, word_of
from midas_engine.redaction import redact

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import time
    from pathlib import Path

    from midas_engine.outbound.destination import Address
    from midas_engine.outbound.outputs import Source

LOOK_SECONDS = 1.0
MOST_TRIES, FIRST_PAUSE, LONGEST_PAUSE = 10, 5.0, 600.0
MOST_WAITING, MOST_WORD = 100, 300
SEND_SECONDS = 20.0
_MOST_BYTES = 4_000_000
_MOST_BRIEFS = 400  # days whose brief was sent


class Notifier:
    """One address of apprise.

    Raises:
        SettingsError: apprise is not installed, or does not know the address.
    """

    def __init__(self, address: Address) -> None:
        address.take(())
        self.name, reach, self.seconds = address.name, address.reach(), SEND_SECONDS
        logging.getLogger("apprise").setLevel(logging.CRITICAL)  # it logs addresses, and those hold keys
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of its more than a hundred plug-ins, which it reads now
            try:
                import apprise
            except ImportError as error:
                hint = "pip install 'midas-alpha[notify]'"
                raise SettingsError(f"{address} needs apprise", hint=hint) from error
            self._apprise = apprise.Apprise()
            known = self._apprise.add(f"{address.kind}:{reach}")
        if not known:
            hint = "see apprise's list of services; a key stands in it as ${NAME}, see midas keys"
            raise SettingsError(f"{address} is no address that apprise knows", hint=hint)
        self._worker = Worker(f"midas-told-{address.name}")
        self._under_way: tuple[str, asyncio.Future[bool]] | None = None

    @property
    def hangs(self) -> bool:
        """Whether a call that was given up still runs."""
        return self._under_way is not None and not self._under_way[1].done()

    async def send(self, key: str, title: str, text: str) -> bool:
        """Whether the notifier took a message.

        A call that hangs is the only one until it returns, and its answer counts when it does: a message whose try was
        given up and went through all the same is not sent again.
        """
        if self._under_way is None or (self._under_way[0] != key and not self.hangs):
            sent = self._worker.submit(lambda: bool(self._apprise.notify(title=title, body=text)))
            self._under_way = (key, sent)
        whose, sent = self._under_way
        try:
            took = await within(sent, self.seconds)
        except TimeoutError:
            if self.hangs:
                return False
            took = False
        except Exception:  # whatever a notifier's code raises, it did not take it
            took = False
        self._under_way = None
        return took if whose == key else await self.send(key, title, text)


class ToldLog:
    """Messages and how they went, in sealed lines; the newest are kept.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.waiting: dict[tuple[str, str], tuple[str, str]] = {}
        self.heard: list[Word] = []
        self.told: dict[str, tuple[int, datetime]] = {}
        self.brief_days: deque[str] = deque(maxlen=_MOST_BRIEFS)

    def load(self) -> None:
        """Read what was not sent."""
        try:
            data = read_bytes(self._path, limit=_MOST_BYTES * 2)
        except FileNotFoundError:
            return
        for _, line in opened(data):
            if isinstance(line, dict):
                with contextlib.suppress(KeyError, ValueError, TypeError, AttributeError):
                    self._take(line)
        if len(data) > _MOST_BYTES:
            self._rewrite()

    def note(self, line: Mapping[str, Any]) -> None:
        """Write a line."""
        self._take(line)
        try:
            append_synced(self._path, sealed(line))
        except FileNotFoundError:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            atomic_write(self._path, sealed(line))

    def _rewrite(self) -> None:
        lines: list[dict[str, Any]] = [
            {"op": "message", "id": key, "to": [name], "title": title, "text": text}
            for (key, name), (title, text) in self.waiting.items()
        ]
        lines += [{"op": "told", "causes": {c: loud}, "at": at.isoformat()} for c, (loud, at) in self.told.items()]
        lines += [heard(word) for word in self.heard]
        lines += [{"op": "brief", "day": day} for day in self.brief_days]
        atomic_write(self._path, b"".join(sealed(line) for line in lines))

    def _take(self, line: Mapping[str, Any]) -> None:
        if line["op"] == "message":
            for name in line["to"]:
                self.waiting[line["id"], name] = (str(line["title"]), str(line["text"]))
            self._silence(line.get("causes", {}), str(line.get("at", "")))
        elif line["op"] == "heard":
            self.heard.append(Word(str(line["cause"]), str(line["severity"]), str(line["text"])))
        elif line["op"] == "told":
            self._silence(line["causes"], str(line["at"]))
        elif line["op"] == "brief":
            self.brief_days.append(str(line["day"]))
        else:  # sent, given up, dropped
            self.waiting.pop((line["id"], line["to"]), None)

    def _silence(self, causes: Mapping[str, int], at: str) -> None:
        if causes:
            self.heard = [word for word in self.heard if word.cause not in causes]
            self.told.update({cause: (int(loud), datetime.fromisoformat(at)) for cause, loud in causes.items()})


def heard(word: Word) -> dict[str, Any]:
    """A word as a line."""
    return {"op": "heard", "cause": word.cause, "severity": word.severity, "text": redact(word.text)[:MOST_WORD]}


class ToldOutput:
    """Gathers what happens and tells it.

    Args:
        source: The engine.
        notifiers: Who is told.
        gathering: What is told, and when.
        brief_at: Time of day of the morning brief, UTC; None: none is sent.
    """

    name = "told"

    def __init__(
        self, source: Source, notifiers: Sequence[Notifier], gathering: Gathering, brief_at: time | None = None
    ) -> None:
        self._source, self._notifiers, self._gathering, self._brief_at = source, tuple(notifiers), gathering, brief_at
        self._log = ToldLog(source.kb.path / "outbound" / "told.messages")
        self._worker = Worker("midas-told")
        self._tries: dict[tuple[str, str], tuple[int, float]] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._sending: dict[str, asyncio.Task[None]] = {}
        self._number, self._failing = 0, False
        self.sent, self.given_up = 0, 0

    async def start(self) -> None:
        """Send what an earlier run left, and listen."""
        await self._worker.submit(self._log.load)
        self._gathering.restore(self._log.heard, self._log.told, self._source.clock.now())
        loop = asyncio.get_running_loop()
        self._untap = self._source.bus.tap(self._hear)
        self._tasks = [loop.create_task(self._run(), name="told")]

    async def close(self) -> None:
        """Put on record what was gathered, and stop."""
        if self._tasks:
            self._untap()
        tasks = [*self._tasks, *self._sending.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        due = self._gathering.due(self._source.clock.now(), at_once=True)
        if due is not None:
            with contextlib.suppress(MidasError, OSError):
                await self._post(due)  # sent by the next start

    def _hear(self, event: Event) -> None:
        if isinstance(event, FaultReported) and event.where == "told":
            return  # what says that nobody can be told is not told
        word = word_of(event)
        if word is not None and self._gathering.take(word, self._source.clock.now()):
            # on disk from here on: neither the wait for more of it nor a quiet night may cost it
            noted = self._worker.submit(lambda: self._log.note(heard(word)))
            noted.add_done_callback(lambda done: self._is(None if done.cancelled() else done.exception()))

    def _is(self, error: BaseException | None) -> None:
        """Say once for as long as it lasts that nothing can be written."""
        if error is not None and not self._failing:
            self._source.fault("told", f"messages cannot be put on record: {error}", "warning")
        self._failing = error is not None

    async def _run(self) -> None:
        while True:
            try:
                await self.look()
            except (MidasError, OSError) as error:
                self._is(error)
            await WallClock().sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """Tell what is due now; one notifier that hangs holds up neither this nor another."""
        now = self._source.clock.now()
        due = self._gathering.due(now)
        if due is not None:
            await self._post(due)
        # not "later than": a clock that was ahead costs no brief of the days between, one set back sends none twice
        if (
            self._brief_at is not None
            and now.time() >= self._brief_at
            and now.date().isoformat() not in self._log.brief_days
        ):
            await self._worker.submit(lambda: self._log.note({"op": "brief", "day": now.date().isoformat()}))
            await self._post(Message("Midas: the morning brief", await self._brief(now)))
        names = {n.name for n in self._notifiers}
        for waiting in [w for w in self._log.waiting if w[1] not in names]:
            await self._settle(waiting, "dropped")
        for notifier in self._notifiers:
            task = self._sending.get(notifier.name)
            if task is None or task.done():
                work = self._send(notifier)
                self._sending[notifier.name] = asyncio.get_running_loop().create_task(work, name="told")

    async def rest(self) -> None:
        """Wait until nothing is on its way."""
        await asyncio.gather(*self._sending.values(), return_exceptions=True)

    async def _brief(self, now: datetime) -> str:
        source, since = self._source, now - timedelta(days=1)
        monitor = source.monitor()
        seen = None if monitor is None else seen_by([monitor.fleet], since, now)

        def made() -> str:
            return brief_since(source.kb, source.journal(), since, now, seen, answers(source.kb.path)).text

        return await asyncio.to_thread(made)

    async def _post(self, message: Message) -> None:
        self._number += 1
        at = self._source.clock.now().isoformat()
        key = hashlib.sha256(f"{at} {self._number} {message.text}".encode()).hexdigest()[:16]
        names = [n.name for n in self._notifiers]
        line = {"op": "message", "id": key, "to": names, "at": at, "causes": message.causes}
        line |= {"title": redact(message.title), "text": redact(message.text)}
        await self._worker.submit(lambda: self._log.note(line))
        for waiting in list(self._log.waiting)[:-MOST_WAITING]:
            await self._settle(waiting, "dropped")

    async def _send(self, notifier: Notifier) -> None:
        """Send one notifier what waits for it and is due."""
        name, clock = notifier.name, self._source.clock
        try:
            for (key, _), (title, text) in [w for w in self._log.waiting.items() if w[0][1] == name]:
                tries, after = self._tries.get((key, name), (0, -math.inf))
                if clock.monotonic() < after:
                    continue
                if await notifier.send(key, title, text):
                    self.sent += 1
                    await self._settle((key, name), "sent")
                elif tries + 1 >= MOST_TRIES:
                    words = f"{name} did not take a message in {MOST_TRIES} tries; it is given up"
                    self._source.fault("told", words, "warning")
                    await self._settle((key, name), "given up")
                else:
                    if not tries:
                        how = "hangs" if notifier.hangs else "did not take a message; it is tried again"
                        self._source.fault("told", f"{name} {how}", "warning")
                    pause = min(FIRST_PAUSE * 2**tries, LONGEST_PAUSE)
                    self._tries[key, name] = (tries + 1, clock.monotonic() + pause)
                if notifier.hangs:
                    return  # the others would wait for the same call
        except (MidasError, OSError) as error:
            self._is(error)

    async def _settle(self, waiting: tuple[str, str], how: str) -> None:
        self.given_up += how != "sent"
        self._tries.pop(waiting, None)
        at = self._source.clock.now().isoformat()
        await self._worker.submit(lambda: self._log.note({"op": how, "id": waiting[0], "to": waiting[1], "at": at}))

    def status(self) -> dict[str, Any]:
        """What waits, was sent, was given up."""
        return {"waiting": len(self._log.waiting), "sent": self.sent, "given_up": self.given_up}

    def unwritten(self) -> tuple[str, ...]:
        """See `Output.unwritten`."""
        return ("messages",) if self._failing else ()
