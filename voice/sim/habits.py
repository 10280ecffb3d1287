"""How a simulated phone behaves: a well-behaved softphone by default, what is met in the field by choice."""

from dataclasses import dataclass
from enum import StrEnum

from voice.sip.message import Request, header


class Answers(StrEnum):
    """What a phone does when it is called."""

    YES = "yes"
    """It rings, and is answered after `Habits.after` seconds."""
    NEVER = "never"
    """It rings until the caller gives up."""
    BUSY = "busy"
    """486."""
    DECLINES = "declines"
    """603, after `Habits.after` seconds of ringing."""
    IF_ASKED = "if asked"
    """At once when the call asks for it (RFC 5373 and vendors' headers), as a badge does; otherwise 486."""


class MediaFrom(StrEnum):
    """When a phone that is called begins to send RTP."""

    RINGING = "ringing"
    """Already while it rings: early media that nobody asked for."""
    ANSWER = "answer"
    """With its 200, before the ACK has come."""
    ACK = "ack"


@dataclass(frozen=True, slots=True)
class Habits:
    """One phone's ways."""

    answers: Answers = Answers.YES
    after: float = 2.0
    """Seconds of ringing before somebody picks up or declines."""
    codecs: tuple[str, ...] = ("PCMA", "PCMU")
    dtmf: bool = True
    """Whether it offers telephone events."""
    ptime: int = 20
    """Milliseconds in each packet that it sends."""
    direction: str = "sendrecv"
    rtcp_mux: bool = False
    """Whether it offers RTCP on the port of RTP (RFC 5761)."""
    late_offer: bool = False
    """Its INVITE carries no SDP; the offer is left to whom it calls."""
    sends_media: bool = True
    """False: the call is set up and then nothing comes, as with a broken media path."""
    silent_when_idle: bool = True
    """False: it sends nothing while it has nothing to say (silence suppression without comfort noise)."""
    media_from: MediaFrom = MediaFrom.ANSWER


_ASKING = {
    "Answer-Mode": ("auto",),
    "Priv-Answer-Mode": ("auto",),
    "Call-Info": ("answer after=0",),
    "Alert-Info": ("auto answer", "alert autoanswer", "ring answer"),
    "P-Auto-Answer": ("normal",),
}


def asks_for_auto_answer(invite: Request) -> bool:
    """Whether an INVITE asks to be answered without ringing: RFC 5373, or in one of the vendors' ways."""
    return any(
        word in (header(invite, name) or "").lower().replace("-", " ")
        for name, words in _ASKING.items()
        for word in words
    )
