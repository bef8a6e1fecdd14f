"""One rule for every name that reaches the disk, wherever it came from."""

from __future__ import annotations

import re
import unicodedata
from pathlib import PurePosixPath

from midas_engine.errors import NameRefusedError

MAX_NAME = 80
MAX_VERSION = 9999
_SLUG = re.compile(r"[a-z][a-z0-9_]*")
_VERSION = re.compile(r"[1-9][0-9]{0,3}")
_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@-]*")
_MAX_PART = 120

# Windows opens a device for these names, whatever the extension; a base made here must survive a copy there.
_DEVICES = frozenset(
    {"con", "prn", "aux", "nul", "clock$", *(f"com{n}" for n in range(10)), *(f"lpt{n}" for n in range(10))}
)


def check_name(name: object, *, what: str = "feature") -> str:
    """The name itself, if it may be used.

    A name is a lower-case slug: a letter, then letters, digits and underscores, 80 characters at
    most, with an optional version suffix such as `@2`. So there are no paths, no case twins and no
    Unicode twins.

    Args:
        name: What somebody wants to call it. Never trimmed or repaired here.
        what: What is being named, for the message.

    Raises:
        NameRefusedError: With a usable spelling in the hint where there is one.

    Example:
        >>> check_name("vwap_zscore@2")
        'vwap_zscore@2'
    """
    if not isinstance(name, str):
        raise NameRefusedError(f"a {what} name must be text, not {type(name).__name__}")
    reason = _refusal(name)
    if reason:
        near = slugify(name)
        raise NameRefusedError(
            f"{what} name {_shown(name)} is refused: {reason}",
            hint=f"use lower-case letters, digits and underscores, such as {near!r}",
        )
    return name


def _refusal(name: str) -> str:
    if not name:
        return "it is empty"
    base, mark, version = name.partition("@")
    # Length first: putting combining marks in order takes the square of their number.
    if len(base) > MAX_NAME:
        return f"it has {len(base)} characters, more than {MAX_NAME}"
    if len(name) > MAX_NAME + 20 or unicodedata.normalize("NFC", name) != name:
        return "it is not in Unicode's composed form (NFC)" if len(name) <= MAX_NAME + 20 else "its version is too long"
    if not _SLUG.fullmatch(base):
        return "it may hold a-z, 0-9 and _ only, and must start with a letter"
    if mark and not _VERSION.fullmatch(version):
        return f"a version is @1 to @{MAX_VERSION}"
    if base in _DEVICES:
        return "it is the name of a device on Windows"
    return ""


def _shown(name: str) -> str:
    text = ascii(name[:60]) if len(name) <= 60 else ascii(name[:60]) + "..."
    return text if len(text) <= 60 else text[:57] + "..."


def split_version(name: str) -> tuple[str, int]:
    """Base name and version number.

    Example:
        >>> split_version("carry@3"), split_version("carry")
        (('carry', 3), ('carry', 1))
    """
    base, _, version = name.partition("@")
    return base, int(version) if version else 1


def version_name(base: str, version: int) -> str:
    """The name of a version; the first one carries no suffix.

    Example:
        >>> version_name("carry", 1), version_name("carry", 2)
        ('carry', 'carry@2')
    """
    return check_name(base if version == 1 else f"{base}@{version}")


def slugify(text: str, *, fallback: str = "feature", limit: int = MAX_NAME) -> str:
    """A name that `check_name` accepts, made from any text.

    Example:
        >>> slugify("VWAP Z-Score (24h)")
        'vwap_z_score_24h'
    """
    plain = unicodedata.normalize("NFKD", text[:1000]).encode("ascii", "ignore").decode("ascii").lower()
    slug = re.sub(r"[^a-z0-9]+", "_", plain).strip("_")
    if slug and not slug[0].isalpha():
        slug = f"{fallback}_{slug}"
    slug = slug[:limit].rstrip("_") or fallback
    return f"{slug}_1"[:limit] if slug in _DEVICES else slug


def check_relative(path: str) -> str:
    """A path inside the knowledge base, if it may be used: plain ASCII parts, forward slashes, no way out.

    Raises:
        NameRefusedError: For an absolute path, `..`, hidden or device names, control characters.
    """
    if not isinstance(path, str) or not path or len(path) > 400:
        raise NameRefusedError(f"document path {_shown(str(path))} is refused: it is empty or too long")
    parts = path.split("/")
    for part in parts:
        stem = part.split(".", 1)[0].lower()
        if not _PART.fullmatch(part) or part.endswith(".") or len(part) > _MAX_PART or stem in _DEVICES:
            raise NameRefusedError(
                f"document path {_shown(path)} is refused at {_shown(part)}",
                hint="use a path such as 'reports/daily/2025-01-15.md': letters, digits, . _ - @ and forward slashes",
            )
    return str(PurePosixPath(*parts))
