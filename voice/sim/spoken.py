"""Speech that can be read back: which texts a simulated phone heard, in which order, when, and whether to the end.

`SimSpeaker` stands in for the speech engine. Each text becomes numbered frames (`voice.sim.speech`), as long as it
would take to say it; so a story can ask the witness at the far end what was said, after RTP, mu-law and the network:

    speaker = SimSpeaker()
    ...
    await hears(call, speaker, "press")
    [text.text for text in heard(call.hearing, speaker)]
"""

import asyncio
from dataclasses import dataclass

from ivr.speech import SpeechUnavailable
from voice.rtp.codecs import FRAME_SAMPLES, SAMPLE_RATE
from voice.sim.hearing import FOREVER, Hearing
from voice.sim.phone_call import PhoneCall
from voice.sim.speech import marked_frames, marks

FRAMES_PER_LETTER = 3
"""60 ms: about 170 words a minute."""

_FIRST = 0x4000_0000  # apart from the numbers that stories give to the speech of their people
_SPAN = 0x1_0000
_FRAME_SECONDS = FRAME_SAMPLES / SAMPLE_RATE
_OVERLAP = 0.1  # seconds that are looked at again: a frame may lie in two packets


@dataclass(frozen=True, slots=True)
class Text:
    """One text that was rendered."""

    text: str
    language: str
    frames: int


@dataclass(frozen=True, slots=True)
class HeardText:
    """One text as it was heard."""

    text: str
    language: str
    at: float
    """Seconds: where it began. Loop time where a phone heard it, else from the start of the audio."""
    until: float
    whole: bool
    """It was heard to its last frame."""


class SimSpeaker:
    """A `ivr.speech.Speaker` without an engine. Deterministic."""

    def __init__(self) -> None:
        self.texts: list[Text] = []
        """In the order in which they were first asked for."""
        self.fails = False
        """While set, the engine cannot speak."""
        self._numbers: dict[tuple[str, str], int] = {}

    async def speak(self, text: str, language: str) -> bytes:
        if self.fails:
            raise SpeechUnavailable("the engine was told to fail")
        number = self._numbers.setdefault((text, language), len(self.texts))
        if number == len(self.texts):
            self.texts.append(Text(text, language, max(10, FRAMES_PER_LETTER * len(text))))
        return b"".join(marked_frames(self.texts[number].frames, _FIRST + number * _SPAN))

    def read(self, audio: bytes, origin: float = 0.0) -> list[HeardText]:
        """The texts in a piece of A-law audio whose first sample is at `origin`."""
        found: list[HeardText] = []
        expected = -1
        for position, mark in marks(audio).found:
            number, frame = divmod(mark - _FIRST, _SPAN)
            if not 0 <= number < len(self.texts):
                continue
            text, at = self.texts[number], origin + position / SAMPLE_RATE
            if mark < expected or not found or found[-1].text != text.text or found[-1].language != text.language:
                found.append(HeardText(text.text, text.language, at - frame * _FRAME_SECONDS, at, whole=False))
            began = found.pop()
            found.append(
                HeardText(text.text, text.language, began.at, at + _FRAME_SECONDS, whole=frame == text.frames - 1)
            )
            expected = mark + 1
        return found


def heard(hearing: Hearing, speaker: SimSpeaker, since: float = 0.0, until: float = FOREVER) -> list[HeardText]:
    """What a phone has heard between two loop times."""
    first = next(hearing.audio_packets(since, until), None)
    return [] if first is None else speaker.read(hearing.audio(since, until), first.at)


def words(hearing: Hearing, speaker: SimSpeaker, since: float = 0.0, until: float = FOREVER) -> str:
    """The same as one text."""
    return " ".join(text.text for text in heard(hearing, speaker, since, until))


async def hears(
    call: PhoneCall, speaker: SimSpeaker, said: str, *, within: float = 60.0, since: float = 0.0
) -> HeardText:
    """The first text with `said` in it (in any case of letters) that the phone hears to its end.

    Raises AssertionError when it does not come `within` seconds, or the call is over before.
    """
    loop = asyncio.get_running_loop()
    deadline, looked = loop.time() + within, since
    while True:
        over = call.is_over or loop.time() >= deadline
        for text in heard(call.hearing, speaker, looked):
            if text.whole and said.lower() in text.text.lower():
                return text
        if over:
            raise AssertionError(f"{said!r} was not heard; heard: {words(call.hearing, speaker, since)!r}")
        looked = max(since, loop.time() - _OVERLAP)
        await asyncio.sleep(0.1)
