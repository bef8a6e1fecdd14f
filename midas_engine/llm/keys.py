"""A key is checked before the first call: what could never be one is said at once, by the name it was given under."""

from __future__ import annotations

from midas_engine.errors import ModelKeyError
from midas_engine.llm.client import Secret

_QUOTES = "\"'`\u2018\u2019\u201c\u201d"
_STAND_INS = frozenset(
    {"changeme", "change-me", "change_me", "todo", "none", "null", "key", "secret", "token", "your-key", "your_key",
     "yourkey", "api-key", "api_key", "apikey", "your-api-key", "your_api_key", "your-key-here", "your_key_here",
     "your-api-key-here", "your_api_key_here"}
)  # fmt: skip


def checked_key(value: str, name: str) -> Secret:
    r"""The key without the blanks around it; an empty secret when there is nothing else.

    Args:
        value: As it was given.
        name: The variable or argument it came from, for the message; the key itself is in no message.

    Raises:
        ModelKeyError: It holds a character that no header takes, quotes, a scheme, or stands in for a key.

    Example:
        >>> checked_key(" sk-abc\r\n", "OPENAI_API_KEY").reveal()
        'sk-abc'
    """
    key = value.strip()
    if not key:
        return Secret("")
    reason, hint = _fault(key)
    if reason:
        raise ModelKeyError(f"the key in {name} cannot be used: {reason}", hint=f"{hint}; nothing was sent")
    return Secret(key)


def _fault(key: str) -> tuple[str, str]:
    if key[0] in _QUOTES or key[-1] in _QUOTES:
        return "there are quotes around it", "give it without quotes (a .env file that is sourced needs none)"
    scheme = key.split(None, 1)[0].rstrip(":").lower()
    if scheme in ("bearer", "basic", "authorization", "x-api-key") and len(key.split(None, 1)) > 1:
        return f"it begins with {scheme!r}, which is not part of a key", "give the key alone"
    for place, character in enumerate(key, 1):
        code = ord(character)
        if code < 33 or code == 127:
            kind = {9: "a tab", 10: "a line break", 13: "a carriage return", 32: "a blank"}.get(code, "a control sign")
            return f"character {place} of {len(key)} is {kind}", "copy it again, on one line"
        if code > 126:
            return f"character {place} of {len(key)} is not ASCII (U+{code:04X})", "copy it again from the provider"
    if not any(c.isalnum() for c in key) or key.lower() in _STAND_INS or (key[0] == "<" and key[-1] == ">"):
        return "it only stands in for a key", "put the provider's key in its place"
    if key[:1] == "$" or set(key.lower()) <= {"x", "-", "*", "."} or key.endswith("..."):
        return "it only stands in for a key", "put the provider's key in its place"
    return "", ""
