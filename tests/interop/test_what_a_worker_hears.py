"""What a worker hears in a check-in, measured on a real softphone in every language: level, clipping, gaps, words.

All four are called at once. Each phone keeps every packet that it receives, decoded (`Baresip.heard`); time in it is
counted in samples, so that a busy machine changes nothing. The words are found by comparing with the prompts as the
service speaks them, whether they were rendered ahead or are spoken by espeak-ng.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from statistics import median_low
from threading import Barrier
from typing import Any

import numpy as np
import pytest

from config.models import Speech
from ivr.checkin import CheckIn, prepare
from ivr.prompts import LANGUAGES
from ivr.saying import Moment
from ivr.speech import Voice
from voice.cli.practising import TIMEZONE
from voice.sim.recognising import KEYS, key_asked_for
from voice.speaking import open_speech

from .peers.baresip import Baresip
from .practising import CallMe
from .program import PATIENCE, wait_until
from .sounds import FRAME, RATE, Samples, from_alaw, loudest, silence, to_alaw, write_wav

pytestmark = pytest.mark.needs("baresip", "espeak-ng")

WORKER, CUSTOMER = "Anna Jansen", "Acme"
WHO = {"worker": WORKER, "known": True, "customer": CUSTOMER}
ASK = {"last": False}
INTERVAL = timedelta(minutes=30)

QUIETEST, LOUDEST = -26.0, -16.0
"""dBov, RMS of what is spoken: 6 dB below and 4 dB above the level that clips are made at (`ivr.sound.LEVEL`)."""
PEAK = 30_000
"""Of 32,768: more than clips may have (`ivr.sound.CEILING`), and short of being cut (A-law's largest is 32,256)."""
AUDIBLE = 10 ** (-45 / 20)
"""RMS of 20 ms, of full scale, from which somebody is heard to speak."""
FIRST_WORD = 1.0
"""Seconds from the answer."""
IN_CLIP = 0.3
"""Seconds of silence before the first word of a clip, and not more."""
GAP = 1.0
"""Seconds of silence within a prompt, and between two that follow each other."""
PIECE = 200
"""Samples by which a prompt is found again."""
MOST = 0.7
"""The share of its pieces that have to be heard: a busy machine loses a frame now and then."""


@dataclass(frozen=True)
class Found:
    """Where a prompt is in what was heard, in samples."""

    begin: int
    end: int


@dataclass(frozen=True)
class Heard:
    """One check-in, as it was heard from the answer on."""

    samples: Samples
    clips: dict[str, bytes]
    """What the service says, in order, by prompt."""

    @property
    def found(self) -> dict[str, Found]:
        """The prompts in order: each is looked for behind the one before."""
        audio, places, since = to_alaw(self.samples), dict[str, Found](), 0
        for prompt, clip in self.clips.items():
            place = _find(clip, audio, since)
            if place is not None:
                places[prompt] = place
                since = place.end
        return places


@pytest.fixture(scope="module")
def calls(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Heard]:
    """A check-in in every language, all of them at once."""
    folders = [tmp_path_factory.mktemp(language) for language in LANGUAGES]
    phones = [Baresip(folder, "anna", write_wav(folder / "quiet.wav", silence(150))) for folder in folders]
    all_ring = Barrier(len(LANGUAGES))
    with ThreadPoolExecutor(len(LANGUAGES)) as pool:
        heard = pool.map(partial(_check_in, all_ring), LANGUAGES, folders, phones)
        return dict(zip(LANGUAGES, heard, strict=True))


@pytest.fixture(params=LANGUAGES)
def heard(request: pytest.FixtureRequest, calls: dict[str, Heard]) -> Heard:
    return calls[request.param]


def _check_in(all_ring: Barrier, language: str, folder: Path, phone: Baresip) -> Heard:
    """One check-in: he hears out what is asked, presses the key that he understood, and hears what follows.

    Nobody picks up before all telephones ring: a process that starts takes the time of those that speak.
    """
    speech = Speech(directory=folder / "speech")
    voice = open_speech(speech).voice(language, TIMEZONE)
    asyncio.run(_have_spoken(voice))
    options = "--language", language, "--worker", WORKER, "--customer", CUSTOMER, "--rings", "60"
    with phone, CallMe(folder, f"sip:anna@{phone.authority}", *options, speech=speech.directory) as practice:
        phone.wait_for_ring()
        all_ring.wait(PATIENCE)
        phone.answer()
        key = wait_until(lambda: asyncio.run(_key(voice, phone)), f"to be asked for a key in {language}", 40)
        pressed = datetime.now(UTC)
        phone.digit(key)
        practice.wait_for("the line is yours")
        wait_until(partial(_is_silent_for, phone, 1.0), "the line to fall silent")
        samples = phone.heard
        phone.hang_up()
        assert practice.join() == 0
    return Heard(samples, asyncio.run(_clips(voice, key, pressed, to_alaw(samples))))


async def _have_spoken(voice: Voice) -> None:
    """Before the telephone rings, as in a service that has been up for a while."""
    now = datetime.now(UTC)
    for key in KEYS:
        await prepare(voice, CheckIn(WORKER, CUSTOMER, key))
    for minutes in range(4):
        await voice.say("check_in.thanks", next=_next(now + timedelta(minutes=minutes)))


async def _key(voice: Voice, phone: Baresip) -> str | None:
    """The key that he has been asked for, once it was said to its end."""
    return await key_asked_for(voice, to_alaw(phone.heard), "check_in.ask", **ASK)


async def _clips(voice: Voice, key: str, pressed: datetime, audio: bytes) -> dict[str, bytes]:
    """What was to be said. The minute in which the key counted may be the one after that in which it was pressed."""
    thanks = [await voice.say("check_in.thanks", next=_next(pressed + timedelta(seconds=s))) for s in (0, 10)]
    return {
        "check_in.who": await voice.say("check_in.who", **WHO),
        "check_in.ask": await voice.say("check_in.ask", key=key, **ASK),
        "check_in.thanks": next((clip for clip in thanks if _find(clip, audio, 0)), thanks[0]),
    }


def _next(now: datetime) -> Moment:
    return Moment(now + INTERVAL, now)


def _is_silent_for(phone: Baresip, seconds: float) -> bool:
    samples = phone.heard[-round(seconds * RATE) :]
    return len(samples) == round(seconds * RATE) and not _audible(samples).any()


# -- measuring --


def _levels(samples: Samples) -> Any:
    """RMS of each 20 ms, of full scale."""
    whole = samples[: len(samples) // FRAME * FRAME].astype(float).reshape(-1, FRAME) / 32768
    return np.sqrt((whole**2).mean(axis=1))


def _audible(samples: Samples) -> Any:
    return _levels(samples) > AUDIBLE


def _active_level(samples: Samples) -> float:
    """dBov, RMS of the frames that are within 30 dB of the loudest one."""
    levels = _levels(samples)
    active = levels[levels > levels.max() * 10 ** (-30 / 20)]
    return float(20 * np.log10(np.sqrt((active**2).mean())))


def _before_first_word(samples: Samples) -> float:
    """Seconds."""
    return float(np.argmax(_audible(samples))) * FRAME / RATE


def _longest_gap(samples: Samples) -> float:
    """Seconds of silence between two words."""
    spoken = np.flatnonzero(_audible(samples))
    return float(np.diff(spoken).max(initial=1) - 1) * FRAME / RATE


def _find(clip: bytes, audio: bytes, since: int) -> Found | None:
    """Where a clip is, behind `since`; None: it is not there, or not whole."""
    offsets = [at for at in range(0, len(clip) - PIECE + 1, PIECE) if len(set(clip[at : at + PIECE])) > 12]
    begins = {at: audio.find(clip[at : at + PIECE], since) - at for at in offsets}
    begins = {at: begin for at, begin in begins.items() if begin + at >= since}
    heard_first, heard_last = ([begins[at] for at in some if at in begins] for some in (offsets[:6], offsets[-6:]))
    if len(begins) < MOST * len(offsets) or len(heard_first) < 3 or len(heard_last) < 3:
        return None
    return Found(max(median_low(heard_first), 0), median_low(heard_last) + len(clip))


# -- what is heard --


def test_it_is_as_loud_as_speech_on_the_telephone(heard: Heard) -> None:
    assert QUIETEST <= _active_level(heard.samples) <= LOUDEST
    for prompt, place in heard.found.items():
        assert QUIETEST <= _active_level(heard.samples[place.begin : place.end]) <= LOUDEST, prompt


def test_nothing_is_cut(heard: Heard) -> None:
    assert 0 < loudest(heard.samples) < PEAK


def test_the_first_word_comes_within_a_second_of_the_answer(heard: Heard) -> None:
    assert _before_first_word(heard.samples) < FIRST_WORD


def test_no_clip_begins_with_silence(heard: Heard) -> None:
    for prompt, clip in heard.clips.items():
        assert _before_first_word(from_alaw(clip)) < IN_CLIP, prompt


def test_who_calls_what_is_asked_and_when_next_are_heard_in_this_order(heard: Heard) -> None:
    assert list(heard.found) == ["check_in.who", "check_in.ask", "check_in.thanks"]


def test_nothing_else_is_heard(heard: Heard) -> None:
    rest = heard.samples.copy()
    for place in heard.found.values():
        rest[place.begin : place.end] = 0
    assert _audible(rest).sum() <= 3, "frames that a busy machine moved"


def test_nobody_falls_silent_in_the_middle_of_what_he_says(heard: Heard) -> None:
    for prompt, place in heard.found.items():
        assert _longest_gap(heard.samples[place.begin : place.end]) < GAP, prompt
    who, ask, _ = heard.found.values()
    assert _longest_gap(heard.samples[who.begin : ask.end]) < GAP, "between who calls and what is asked"


def test_the_line_is_silent_bit_for_bit_when_all_is_said(heard: Heard) -> None:
    after = heard.samples[list(heard.found.values())[-1].end + FRAME :]
    assert len(after) > RATE // 2
    assert loudest(after) <= loudest(from_alaw(b"\xd5"))
