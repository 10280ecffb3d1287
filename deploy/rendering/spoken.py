"""How texts become phonemes of Kokoro: espeak-ng's, respelled where it is wrong, and as Kokoro knows them."""

import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class VoiceOf:
    """With what a language is spoken."""

    styles: tuple[str, ...]
    """Voices of Kokoro; the mean of several is a voice, too."""
    espeak: str
    speed: float = 1.0
    sounds: Mapping[str, str] = field(default_factory=dict)
    """espeak-ng's phonemes to those that Kokoro was trained with."""
    words: Mapping[str, str] = field(default_factory=dict)
    """What espeak-ng would read wrongly."""


VOICES: Mapping[str, VoiceOf] = {
    "en": VoiceOf(
        styles=("bf_emma",),
        espeak="en-gb",
        sounds={"aɪ": "I", "aʊ": "W", "dʒ": "ʤ", "eɪ": "A", "əʊ": "Q", "ɔɪ": "Y", "tʃ": "ʧ", "ɐ": "ə"},
        words={
            "Earshot": "Ear-shot",
            "PIN": "pin",
            "a m": "A.M.",
            "p m": "P.M.",
            "four": "four.",  # else a recogniser hears "saw"
        },
    ),
    "fr": VoiceOf(
        styles=("ff_siwis",),
        espeak="fr-fr",
        words={"Earshot": "irchotte", "PIN": "pine"},
    ),
    "de": VoiceOf(
        styles=("ff_siwis",),
        espeak="de",
        sounds={"??": "ʊɾ"},
        words={"Earshot": "Ierschott", "PIN": "Pinn", "live": "leif", "Live": "Leif"},
    ),
    "nl": VoiceOf(
        styles=("if_sara", "ff_siwis", "bm_george"),
        espeak="nl",
        speed=0.85,
        sounds={
            "yʊ": "yv",
            "tʲ": "tj",
            "ʏ": "ə",
            "ɵ": "ə",
            "ɣ": "x",
            "ʋ": "v",
            "ɛɪ": "A",
            "ʌʊ": "W",
            "ir": "iːr",
            "r": "ɾ",
        },
        words={"Earshot": "Iersjot", "live": "laif", "Live": "Laif"},
    ),
}

_PAUSE = re.compile(r"([.,;:!?]+)(?=\s|$)")
_DAYS = (
    "",
    *("ersten", "zweiten", "dritten", "vierten", "fünften", "sechsten", "siebten", "achten", "neunten", "zehnten"),
    *("elften", "zwölften", "dreizehnten", "vierzehnten", "fünfzehnten", "sechzehnten", "siebzehnten", "achtzehnten"),
    "neunzehnten",
)
_TENS = {2: "zwanzigsten", 3: "dreißigsten"}
_ONES = ["", "einund", "zweiund", "dreiund", "vierund", "fünfund", "sechsund", "siebenund", "achtund", "neunund"]


def phonemes(text: str, voice: VoiceOf) -> str:
    """A piece as Kokoro is to say it. What does not end a sentence is said so that something may follow."""
    for written, said in voice.words.items():
        text = re.sub(rf"\b{written}\b", said, text)
    text = re.sub(r"^(\d+)\.·$", lambda found: _day(int(found[1])), text)
    if text[-1].isalnum():
        text += ","
    parts = _PAUSE.split(text)
    said = [_ipa(part, voice.espeak) if at % 2 == 0 else part[0] for at, part in enumerate(parts)]
    found = re.sub(r" ([.,;:!?])", r"\1", " ".join(part for part in said if part))
    for theirs, ours in voice.sounds.items():
        found = found.replace(theirs, ours)
    return found


def _ipa(text: str, voice: str) -> str:
    if not text.strip():
        return ""
    command = ["espeak-ng", "-q", "--ipa", "-v", voice, "--stdin"]
    done = subprocess.run(command, input=text.strip(), capture_output=True, text=True, check=True)
    return " ".join(done.stdout.split())


def _day(number: int) -> str:
    """The day of a month in German, as in "am zweiundzwanzigsten November"."""
    return _DAYS[number] if number < len(_DAYS) else _ONES[number % 10] + _TENS[number // 10]
