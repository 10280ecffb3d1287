"""A client that knows a password, in one step."""

from voice.sip.digest import Credentials, challenge_of
from voice.sip.message import Response


def answer_challenge(
    response: Response, request_method: str, uri: str, credentials: Credentials, nonce_count: int, cnonce: str
) -> tuple[str, str]:
    """The header that answers a 401 or 407, as (name, value)."""
    challenge = challenge_of(response)
    assert challenge is not None
    return challenge.answer(request_method, uri, credentials, nonce_count, cnonce)
