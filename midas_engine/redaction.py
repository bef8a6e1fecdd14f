"""Keys are taken out of every text before it is shown, kept, logged or sent to a model.

What is a key: every `Secret` that was ever made, the value of every environment variable with a key-like name, the
password inside an address in the environment. It is found whole, in pieces of nine characters and more, broken over
lines, in either case, and percent-encoded, escaped, in base64 or in hexadecimal.
"""

from __future__ import annotations

import base64
import dataclasses
import html
import json
import os
import re
from typing import Any, TypeVar
from urllib.parse import quote, quote_plus, unquote, urlsplit

MARK = "[redacted]"
MIN_SECRET = 8
_PIECE = 9  # providers show up to eight characters of a key themselves, to name it
_NAME = re.compile(
    r"(?:KEY|TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|CREDENTIALS?)$|(?:^|_)(?:PASSWORD|PASSWD|SECRET|APIKEY|PAT)(?:_|$)"
)
_SHAPE = re.compile(r"\b(?:(?:sk|pk|rk|key)-|gsk_|xai-|hf_|gh[pousr]_|AIza)[A-Za-z0-9_*.-]{4,}")
_ESCAPED_BREAK = re.compile(r"\\[nrt]")
_T = TypeVar("_T")


@dataclasses.dataclass(frozen=True, slots=True)
class _Form:
    """One way a secret may be written, lower case and without blanks, and the pieces it is known by."""

    text: str
    seeds: tuple[tuple[int, str], ...]


class Redactor:
    """Knows the secrets of this process. One for all: `REDACTOR`."""

    def __init__(self) -> None:
        self._registered: set[str] = set()
        self._seen: tuple[int, dict[Any, Any]] = (0, {})
        self._known: frozenset[str] = frozenset()
        self._forms: tuple[_Form, ...] = ()
        self._beginnings: frozenset[str] = frozenset()
        self._ends: dict[str, tuple[int, ...]] = {}
        self._longest = 0

    def register(self, secret: str) -> None:
        """Take `secret` out of every text from now on; too short a one is left alone."""
        if len(secret) >= MIN_SECRET:
            self._registered.add(secret)

    def clean(self, text: str) -> str:
        """`text` without secrets. Linear in its length."""
        forms = self._refresh()
        if len(text) >= MIN_SECRET and forms:
            squeezed = _squeeze(text)
            spans = _spans(squeezed, forms)
            if spans:
                text = _without(text, squeezed, spans)
        return _SHAPE.sub(lambda m: MARK if any(c.isdigit() or c == "*" for c in m[0]) else m[0], text)

    def open_end(self, text: str) -> int:
        """Where in `text` a secret may have begun that is not whole yet; its length when none has."""
        self._refresh()  # a stream's first piece may be the first text since a key was set
        tail = text[-2 * self._longest :] if self._longest else ""
        squeezed = _squeeze(tail)
        for size in self._ends.get(squeezed[-1:], ()):
            if size <= len(squeezed) and squeezed[-size:] in self._beginnings:
                return len(text) - len(tail) + _positions(tail)[-size]
        return len(text)

    def _refresh(self) -> tuple[_Form, ...]:
        """The forms of all secrets; the environment is looked at anew, for it may have changed."""
        # The mapping below `os.environ`: reading through it takes 30 us, and this runs for every streamed word.
        below = getattr(os.environ, "_data", None)
        if below is not None and self._seen == (len(self._registered), below):
            return self._forms
        seen = (len(self._registered), dict(below or {}))
        secrets = frozenset(self._registered | _environment())
        if secrets != self._known:
            forms = [form for secret in sorted(secrets) for form in _forms(secret)]
            self._known, self._forms = secrets, tuple(forms)
            self._longest = max((len(f.text) for f in forms), default=0)
            self._beginnings = frozenset(f.text[:n] for f in forms for n in range(1, len(f.text)))
            ends: dict[str, set[int]] = {}
            for beginning in self._beginnings:
                ends.setdefault(beginning[-1], set()).add(len(beginning))
            self._ends = {last: tuple(sorted(sizes, reverse=True)) for last, sizes in ends.items()}
        self._seen = seen  # last: another thread must not take what is not ready
        return self._forms


REDACTOR = Redactor()


def redact(text: str) -> str:
    """`text` without the secrets of this process.

    Example:
        >>> REDACTOR.register("0f1e2d3c4b5a6978")
        >>> redact("refused: 0f1e2d3c4b5a6978")
        'refused: [redacted]'
    """
    return REDACTOR.clean(text)


def redacted(record: _T) -> _T:
    """A frozen dataclass whose texts, those in its tuples and parts too, hold no secret; itself when they held none."""
    changed = {}
    for item in dataclasses.fields(record):  # type: ignore[arg-type]
        old = getattr(record, item.name)
        new = _plain(old)
        if new is not old:
            changed[item.name] = new
    return dataclasses.replace(record, **changed) if changed else record  # type: ignore[type-var]


def _plain(value: Any) -> Any:
    if type(value) is str:
        if len(value) < MIN_SECRET:
            return value
        new = redact(value)
        return value if new == value else new
    if isinstance(value, tuple):
        parts = tuple(_plain(v) for v in value)
        return value if all(a is b for a, b in zip(parts, value, strict=True)) else parts
    if isinstance(value, dict):
        table = {k: _plain(v) for k, v in value.items()}
        return value if all(table[k] is v for k, v in value.items()) else table
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return redacted(value)
    return value


class StreamRedactor:
    """Redacts text that comes in pieces: the beginning of a key is held back until it is known not to be one."""

    def __init__(self) -> None:
        self._held = ""

    def feed(self, piece: str) -> str:
        """What can be shown so far."""
        text = self._held + piece
        end = REDACTOR.open_end(text)
        self._held = text[end:]
        return redact(text[:end]) if end else ""

    def flush(self) -> str:
        """What was held back: the stream ended."""
        text, self._held = self._held, ""
        return redact(text)


def _environment() -> set[str]:
    found: set[str] = set()
    for name, value in os.environ.items():
        if len(value) < MIN_SECRET:
            continue
        if _NAME.search(name.upper()):
            found |= {value, value.strip()}
        elif "@" in value and "://" in value:
            try:
                password = urlsplit(value).password or ""
            except ValueError:
                continue
            found |= {password, unquote(password)}
    return {value for value in found if len(value) >= MIN_SECRET}


def _forms(secret: str) -> list[_Form]:
    raw = secret.encode("utf-8", "surrogateescape")
    others = {
        quote(raw, safe=""), quote_plus(raw), html.escape(secret), json.dumps(secret)[1:-1], repr(secret)[1:-1],
        json.dumps(secret)[1:-1].replace("/", "\\/"), "".join(f"%{b:02x}" for b in raw), raw.hex(),
    }  # fmt: skip
    for before in range(3):  # where the key stands in what was encoded shifts its letters
        first, last = (before * 8 + 5) // 6, (before + len(raw)) * 8 // 6
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            others.add(encode(b"\0" * before + raw).decode()[first:last])
    # Pieces of a word would be found in any prose: only what looks drawn by lot is looked for in pieces.
    by_lot = len(secret) >= 16 and any(c.isdigit() for c in secret)
    whole = _squeeze(secret)
    forms = {whole: _Form(whole, _seeds(whole, _PIECE if by_lot else len(whole)))}
    for text in sorted(others):
        form = _squeeze(text)
        ends = ((0, form[:_PIECE]), (len(form) - _PIECE, form[-_PIECE:])) if by_lot else ((0, form),)
        forms.setdefault(form, _Form(form, ends if len(form) > _PIECE else ((0, form),)))
    return [form for form in forms.values() if len(form.text) >= MIN_SECRET]


def _seeds(text: str, size: int) -> tuple[tuple[int, str], ...]:
    size = min(size, len(text))
    starts = {*range(0, len(text) - size + 1, size), len(text) - size}
    return tuple((start, text[start : start + size]) for start in sorted(starts))


def _squeeze(text: str) -> str:
    """Without blanks and written line breaks, in lower case."""
    squeezed = "".join(text.split())
    if "\\" in squeezed:
        squeezed = _ESCAPED_BREAK.sub("", squeezed)
    low = squeezed.lower()
    return low if len(low) == len(squeezed) else "".join(c.lower() if c.isascii() else c for c in squeezed)


def _positions(text: str) -> list[int]:
    """Where each character of the squeezed text stands in `text`."""
    kept = [i for i, c in enumerate(text) if not c.isspace()]
    squeezed = "".join(text.split())
    if "\\" not in squeezed:
        return kept
    gone = {i for m in _ESCAPED_BREAK.finditer(squeezed) for i in (m.start(), m.start() + 1)}
    return [position for i, position in enumerate(kept) if i not in gone]


def _spans(squeezed: str, forms: tuple[_Form, ...]) -> list[tuple[int, int]]:
    spans: list[tuple[int, int]] = []
    for form in forms:
        size = len(form.text)
        at = squeezed.find(form.text)
        while at >= 0:
            spans.append((at, at + size))
            at = squeezed.find(form.text, at + size)
        if spans:  # found whole: its pieces need not be found again
            squeezed = squeezed.replace(form.text, "\0" * size)
        for offset, seed in form.seeds:
            at = squeezed.find(seed)
            while at >= 0:
                low, high, before, after = at, at + len(seed), offset, offset + len(seed)
                while low > 0 and before > 0 and squeezed[low - 1] == form.text[before - 1]:
                    low, before = low - 1, before - 1
                while high < len(squeezed) and after < len(form.text) and squeezed[high] == form.text[after]:
                    high, after = high + 1, after + 1
                spans.append((low, high))
                at = squeezed.find(seed, high)
    return sorted(spans)


def _without(text: str, squeezed: str, spans: list[tuple[int, int]]) -> str:
    where = _positions(text)
    if len(where) != len(squeezed):  # cannot be; a text that cannot be mapped is not shown
        return MARK
    pieces: list[str] = []
    at = 0
    for low, high in spans:
        start, end = where[low], where[high - 1] + 1
        if end <= at:
            continue
        if start > at or not pieces:
            pieces += [text[at:start], MARK]
        at = end
    return "".join([*pieces, text[at:]])
