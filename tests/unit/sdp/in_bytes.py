"""Offer and answer on bytes, as they stand in messages, without the memory that `SdpSession` has."""

from voice.sdp.description import parse, serialize
from voice.sdp.negotiation import Agreed, LocalMedia, accepted, answered, offered


def offer(local: LocalMedia, *, session_id: int, version: int) -> bytes:
    """A first offer of one audio line."""
    return serialize(offered(local, session_id=session_id, version=version))


def answer(offer: bytes, local: LocalMedia, *, session_id: int, version: int) -> tuple[bytes, Agreed]:
    """The answer to an offer. Raises SdpError (400), or NotAcceptable (488) without common audio."""
    description, agreed = answered(parse(offer), local, session_id=session_id, version=version)
    return serialize(description), agreed


def accept_answer(local: LocalMedia, answer: bytes) -> Agreed:
    """What the answer to a first offer of `local` means. Raises SdpError, NotAcceptable."""
    return accepted(offered(local, session_id=0, version=0), local, parse(answer))
