"""Markdown with YAML front matter, read as hostile data: typed scalars, no aliases, no tags, bounded.

The YAML library only tokenises. Values are built here from its events, so nothing is constructed
that this file does not name, booleans are `true` and `false` alone, and a duplicate key is an error.
The original system's documents (`**Field:** value` lines) are read too.
"""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from midas_engine.errors import DocumentDamagedError

MAX_FRONT_CHARS = 200_000
MAX_DEPTH = 12
MAX_VALUES = 20_000

_INT = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})")
_FLOAT = re.compile(r"[-+]?(?:[0-9]+\.[0-9]*(?:[eE][-+]?[0-9]+)?|\.[0-9]+(?:[eE][-+]?[0-9]+)?|[0-9]+[eE][-+]?[0-9]+)")
_SPECIAL = {".nan": math.nan, ".inf": math.inf, "-.inf": -math.inf, "+.inf": math.inf}
_BOLD = re.compile(r"\s*(?:[-*]\s+)?\*\*(?P<key>[A-Za-z][^*:\n]{0,60}?)(?::\*\*|\*\*\s*:)(?P<value>.*)")


@dataclass(frozen=True, slots=True)
class Document:
    """A document as read.

    Attributes:
        fields: Front matter, or the bold fields of an original document (keys in snake case).
        body: The Markdown after the front matter.
        style: "front matter", "bold" or "plain".
    """

    fields: Mapping[str, Any] = field(default_factory=dict)
    body: str = ""
    style: str = "plain"

    @property
    def title(self) -> str:
        """The `title` or `name` field, else the first heading, else empty."""
        for key in ("title", "name"):
            if isinstance(self.fields.get(key), str) and self.fields[key]:
                return str(self.fields[key])
        return heading(self.body)


def heading(body: str) -> str:
    """The first Markdown heading's text."""
    for line in body[:20_000].split("\n"):
        marks = len(line) - len(line.lstrip("#"))
        if 1 <= marks <= 6 and line[marks : marks + 1] in (" ", "\t"):
            words = line[marks:].strip()
            # "# #" is a heading called "#"; the marks that close a longer one are not its text.
            title = words.rstrip(" \t#") or words[:1]
            if title:
                return title[:200]
    return ""


@contextlib.contextmanager
def named_after(path: str) -> Iterator[None]:
    """What is wrong with a document names it."""
    try:
        yield
    except DocumentDamagedError as error:
        raise DocumentDamagedError(f"{path}: {error.message}", hint=error.hint) from error


def decode(data: bytes) -> str:
    """Text of a document: UTF-8, with or without a byte-order mark, any line ends.

    Raises:
        DocumentDamagedError: It is not UTF-8, or holds NUL bytes.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DocumentDamagedError(
            f"byte {error.start} is not UTF-8", hint="save the file as UTF-8 (it looks like Latin-1 or a binary file)"
        ) from error
    if "\0" in text:
        raise DocumentDamagedError(f"character {text.index(chr(0))} is NUL")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def parse(text: str) -> Document:
    """Split a document into fields and body.

    Raises:
        DocumentDamagedError: The front matter is not closed, not YAML, or not plain bounded data.
    """
    if text.startswith("---\n") or text == "---":
        end = re.search(r"^(?:---|\.\.\.)[ \t]*$", text[4:], re.MULTILINE)
        if end is None:
            raise DocumentDamagedError("the front matter is not closed", hint="end it with a line of three dashes")
        front, body = text[4 : 4 + end.start()], text[4 + end.end() :].removeprefix("\n")
        return Document(parse_yaml(front), body, "front matter")
    fields = dict(_bold_fields(text))
    return Document(fields, text, "bold" if fields else "plain")


def _bold_fields(text: str) -> Iterator[tuple[str, str]]:
    seen: set[str] = set()
    for line in text[:MAX_FRONT_CHARS].split("\n"):
        match = _BOLD.fullmatch(line) if "**" in line and len(line) < 10_000 else None
        if match:
            key = re.sub(r"[^a-z0-9]+", "_", match["key"].lower()).strip("_")
            value = match["value"].strip()
            if len(value) > 1 and value[0] == value[-1] == "`":
                value = value.strip("`").strip()
            if key and key not in seen:
                seen.add(key)
                yield key, value


def parse_yaml(text: str) -> dict[str, Any]:
    """A YAML mapping of plain data.

    Raises:
        DocumentDamagedError: With the line where there is one.
    """
    if len(text) > MAX_FRONT_CHARS:
        raise DocumentDamagedError(f"the front matter has {len(text):,} characters, more than {MAX_FRONT_CHARS:,}")
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        value = _Builder(yaml.parse(text, Loader=loader)).document()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" (line {mark.line + 2})" if mark is not None else ""
        problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "it is not YAML"
        raise DocumentDamagedError(f"the front matter cannot be read{where}: {problem}") from error
    except (RecursionError, UnicodeError, ValueError, OverflowError) as error:
        raise DocumentDamagedError(f"the front matter cannot be read: {error}") from error
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise DocumentDamagedError("the front matter is not a list of `key: value` lines")
    return value


class _Builder:
    """Builds plain values from parser events, within bounds."""

    def __init__(self, events: Iterator[yaml.Event]) -> None:
        self._events = events
        self._count = 0

    def document(self) -> Any:
        value: Any = None
        documents = 0
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise self._fault(event, "there is more than one document")
                value = self._value(next(self._events), 0)
        return value

    def _value(self, event: yaml.Event, depth: int) -> Any:
        self._count += 1
        if self._count > MAX_VALUES:
            raise self._fault(event, f"there are more than {MAX_VALUES:,} values")
        if depth > MAX_DEPTH:
            raise self._fault(event, f"nested deeper than {MAX_DEPTH}")
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise self._fault(event, "anchors and aliases are not allowed")
        if getattr(event, "tag", None) not in (None, "!"):
            raise self._fault(event, "tags are not allowed")
        if isinstance(event, yaml.ScalarEvent):
            return _scalar(event.value) if event.implicit[0] and event.style in (None, "") else event.value
        if isinstance(event, yaml.SequenceStartEvent):
            items: list[Any] = []
            while not isinstance(inner := next(self._events), yaml.SequenceEndEvent):
                items.append(self._value(inner, depth + 1))
            return items
        return self._mapping(depth)

    def _mapping(self, depth: int) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent):
                raise self._fault(event, "a key must be plain text")
            self._value(event, depth + 1)
            key = event.value
            if key in mapping:
                raise self._fault(event, f"the key {key[:60]!r} is there twice")
            mapping[key] = self._value(next(self._events), depth + 1)
        return mapping

    @staticmethod
    def _fault(event: yaml.Event, reason: str) -> DocumentDamagedError:
        line = f" (line {event.start_mark.line + 2})" if event.start_mark is not None else ""
        return DocumentDamagedError(f"the front matter is refused{line}: {reason}")


def _scalar(text: str) -> Any:
    if text in ("", "~", "null"):
        return None
    if text in ("true", "false"):
        return text == "true"
    if _INT.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return _SPECIAL.get(text, text)


_TEXT = "tag:yaml.org,2002:str"


class _Dumper(yaml.SafeDumper):
    """Writes what `parse_yaml` reads back: text that looks like another type is quoted; no aliases."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


# PyYAML takes 1e5 for text and would write the text '1e5' bare; it must not come back as a number.
_Dumper.add_implicit_resolver("tag:midas,number", re.compile(rf"^(?:{_INT.pattern}|{_FLOAT.pattern})$"), None)
_Dumper.add_representer(str, lambda dumper, value: dumper.represent_scalar(_TEXT, value, style=_style(value)))
_Dumper.add_representer(
    list,
    lambda dumper, value: dumper.represent_sequence(
        "tag:yaml.org,2002:seq", value, flow_style=not any(isinstance(v, dict | list) for v in value)
    ),
)


def _style(text: str) -> str | None:
    """Blocks for lines, escapes for what YAML would fold or strip, else as it comes."""
    if any(not c.isprintable() and c != "\n" for c in text):
        return '"'
    return "|" if "\n" in text else None


def render(fields: Mapping[str, Any], body: str) -> str:
    """The document's text; `parse` gives the same fields and body back."""
    front = yaml.dump(
        clean(dict(fields)), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100, default_flow_style=False
    )
    text = f"---\n{front}---\n{body}"
    return text if text.endswith("\n") else text + "\n"


def clean(value: Any, depth: int = 0) -> Any:
    """Plain data that the file format can hold: numpy numbers, tuples, dates and enums are unwrapped.

    Raises:
        DocumentDamagedError: Something in it cannot be written down, or it is nested too deep.
    """
    if depth > MAX_DEPTH:
        raise DocumentDamagedError(f"data nested deeper than {MAX_DEPTH} cannot be written")
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str(value).encode("utf-8", "replace").decode("utf-8").replace("\0", "\N{REPLACEMENT CHARACTER}")
    if isinstance(value, int):
        return int(value) if abs(value) < 10**18 else float(value)
    if isinstance(value, float):
        return float(value)
    if isinstance(value, Mapping):
        return {clean(str(k)): clean(v, depth + 1) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [clean(v, depth + 1) for v in value]
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if hasattr(value, "item"):  # a numpy scalar
        return clean(value.item(), depth + 1)
    raise DocumentDamagedError(f"a value of type {type(value).__name__} cannot be written to a document")
