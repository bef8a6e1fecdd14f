"""Who sent it and when: HMAC-SHA256 over time, nonce and body, and the far side's signed answer."""

from __future__ import annotations

import hashlib
import hmac

TIMESTAMP, NONCE, SIGNATURE, KEY = "Midas-Timestamp", "Midas-Nonce", "Midas-Signature", "Idempotency-Key"


def signature(secret: str, timestamp: str, nonce: str, body: bytes) -> str:
    """What a message is signed with.

    Example:
        >>> signature("a secret of the desk", "1764400000", "00ff", b"{}")[:11]
        'v1=12e907ce'
    """
    text = f"{timestamp}.{nonce}.".encode() + body
    return "v1=" + hmac.new(secret.encode(), text, hashlib.sha256).hexdigest()


def answer_signature(secret: str, nonce: str, key: str) -> str:
    """What a far side signs its acknowledgement of `key` with: nobody between the two can make it."""
    return signature(secret, "acknowledged", nonce, key.encode())


def fits(given: object, wanted: str) -> bool:
    """Whether a signature is the right one, in a time that says nothing about it."""
    return isinstance(given, str) and hmac.compare_digest(given.encode("utf-8", "replace"), wanted.encode())


def headers(secret: str, timestamp: str, nonce: str, key: str, body: bytes) -> dict[str, str]:
    """The headers of a signed message."""
    return {
        "Content-Type": "application/json",
        KEY: key,
        TIMESTAMP: timestamp,
        NONCE: nonce,
        SIGNATURE: signature(secret, timestamp, nonce, body),
    }
