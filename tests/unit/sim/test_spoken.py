"""Reading back what a simulated phone heard of what was said to it."""

import asyncio

import pytest

from voice.rtp.codecs import ALAW_TO_ULAW, FRAME_SAMPLES, ULAW_TO_ALAW
from voice.sim.loop import virtually
from voice.sim.speech import silence
from voice.sim.spoken import SimSpeaker


async def _clips(speaker: SimSpeaker, *texts: str) -> list[bytes]:
    return [await speaker.speak(text, "en") for text in texts]


@virtually
async def test_texts_are_read_in_order_with_their_times() -> None:
    speaker = SimSpeaker()
    first, second = await _clips(speaker, "Press four.", "Goodbye.")
    heard = speaker.read(silence(1.0) + first + silence(0.5) + second, origin=100.0)
    assert [(text.text, text.whole) for text in heard] == [("Press four.", True), ("Goodbye.", True)]
    assert heard[0].at == pytest.approx(101.0)
    assert heard[0].until == pytest.approx(101.0 + len(first) / 8000)
    assert heard[1].at == pytest.approx(101.5 + len(first) / 8000)


@virtually
async def test_a_text_that_was_interrupted_is_not_whole() -> None:
    speaker = SimSpeaker()
    first, second = await _clips(speaker, "Press four.", "Goodbye.")
    heard = speaker.read(first[: 20 * FRAME_SAMPLES] + second)
    assert [(text.text, text.whole) for text in heard] == [("Press four.", False), ("Goodbye.", True)]


@virtually
async def test_a_text_that_is_said_again_is_heard_again() -> None:
    speaker = SimSpeaker()
    (clip,) = await _clips(speaker, "Press four.")
    assert [text.whole for text in speaker.read(clip + clip[: 20 * FRAME_SAMPLES] + clip)] == [True, False, True]


@virtually
async def test_a_lost_packet_does_not_split_a_text() -> None:
    speaker = SimSpeaker()
    (clip,) = await _clips(speaker, "Press four.")
    torn = clip[: 5 * FRAME_SAMPLES] + silence(0.02) + clip[6 * FRAME_SAMPLES :]
    assert [text.whole for text in speaker.read(torn)] == [True]


@virtually
async def test_a_text_is_told_from_the_same_text_in_another_language() -> None:
    speaker = SimSpeaker()
    audio = await speaker.speak("Hotel", "en") + await speaker.speak("Hotel", "fr")
    assert [text.language for text in speaker.read(audio)] == ["en", "fr"]


@virtually
async def test_mu_law_on_the_way_changes_nothing() -> None:
    speaker = SimSpeaker()
    (clip,) = await _clips(speaker, "Press four.")
    assert [text.whole for text in speaker.read(clip.translate(ALAW_TO_ULAW).translate(ULAW_TO_ALAW))] == [True]


@virtually
async def test_a_text_takes_as_long_as_it_would_take_to_say() -> None:
    speaker = SimSpeaker()
    short, long = await asyncio.gather(
        speaker.speak("Hi", "en"), speaker.speak("To take this alarm, press four.", "en")
    )
    assert len(short) == 1600
    assert 1.5 < len(long) / 8000 < 2.5
