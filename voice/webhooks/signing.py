"""The signature of a webhook: HMAC-SHA-256 over the time and the body, so that neither can be changed or replayed."""

import hmac
from collections.abc import Mapping
from hashlib import sha256

SIGNATURE, EVENT, DELIVERY = "Earshot-Signature", "Earshot-Event", "Earshot-Delivery"


def signature(secret: str, timestamp: int, body: bytes) -> str:
    """`t=1767250800,v1=5257a8…`: Unix time of sending, and the HMAC of `TIME.BODY` in hex."""
    mac = hmac.new(secret.encode(), b"%d." % timestamp + body, sha256)
    return f"t={timestamp},v1={mac.hexdigest()}"


def headers(*, secret: str, timestamp: int, event: str, delivery: str, body: bytes) -> Mapping[str, str]:
    """The headers of one attempt. `Earshot-Delivery` is the same in each attempt of one delivery."""
    return {
        "Content-Type": "application/json",
        "User-Agent": "Earshot",
        SIGNATURE: signature(secret, timestamp, body),
        EVENT: event,
        DELIVERY: delivery,
    }
