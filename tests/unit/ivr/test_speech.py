"""What people hear: rendered by the engine, kept in the cache, replaced by recordings, never mute."""

import asyncio
import os
import struct
import time
import wave
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from ivr import sound
from ivr.accept import Alarm
from ivr.briefing import Facts
from ivr.cache import KEEP_SECONDS, CachedSpeaker
from ivr.checkin import CheckIn
from ivr.desk import Standing
from ivr.engines import NoSpeaker, open_speaker
from ivr.espeak import EspeakSpeaker
from ivr.prompts import LANGUAGES, Prompts
from ivr.recordings import with_recordings
from ivr.speech import SpeechUnavailable, Voice
from ivr.tones import pattern
from tests.unit.ivr.conversing import NOW, PROMPTS
from voice.sim.speech import tone

FACTS = Facts(
    "Thuiszorg Oost", "Anna de Vries", "man_down", NOW - timedelta(hours=26), "+31612345678",
    "Damrak 12-A, 1012 LG Amsterdam", 52.37031, -4.90012, 23.0, NOW,
)  # fmt: skip
VALUES = {**FACTS.values(NOW), **Alarm("Thuiszorg Oost", "Anna de Vries", "man_down").values("4"), "name": "Bert"}
VALUES |= CheckIn("Anna de Vries", "Thuiszorg Oost", key="4", is_last=True).values
VALUES |= Standing(NOW, NOW + timedelta(minutes=30), NOW + timedelta(hours=12)).values()
SPOKEN = [id for id in PROMPTS.ids if not id.startswith(("saying.", "kind."))]


class CountingEngine:
    """Says a tone, and counts."""

    identity = "counting"

    def __init__(self, *, fails: bool = False) -> None:
        self.said: list[str] = []
        self.fails = fails

    async def speak(self, text: str, language: str) -> bytes:
        self.said.append(text)
        await asyncio.sleep(0)
        if self.fails:
            raise SpeechUnavailable("broken")
        return tone(500, 0.1)


def kept(folder: Path) -> list[Path]:
    """The files of a cache."""
    return list(folder.rglob("*.alaw"))


# -- espeak-ng itself --


@pytest.mark.parametrize("language", LANGUAGES)
async def test_every_prompt_is_at_one_level_does_not_clip_and_begins_at_once(language: str) -> None:
    voice = Voice(PROMPTS, EspeakSpeaker(), language, "Europe/Amsterdam")
    clips = dict(zip(SPOKEN, await asyncio.gather(*(voice.say(id, **VALUES) for id in SPOKEN)), strict=True))
    assert {id for id, clip in clips.items() if not clip} == {"briefing.nowhere"}
    for id, clip in clips.items():
        if clip:
            samples = sound.linear(clip)
            assert 20 * np.log10(sound.active_level(samples)) == pytest.approx(-20, abs=1.0), id
            assert np.abs(samples).max() < 0.95, id
            assert int(np.flatnonzero(np.abs(samples) > 0.01)[0]) < 0.3 * sound.RATE, id
            assert len(clip) > 0.3 * sound.RATE, id


async def test_a_name_cannot_be_taken_for_an_option_or_for_phonemes() -> None:
    speaker = EspeakSpeaker()
    assert await speaker.speak("--help", "en")
    assert await speaker.speak("[[ name ]] $(x) `y`", "en")


@pytest.mark.parametrize("text", ["", "   ", "..."])
async def test_an_engine_that_says_nothing_is_told(text: str) -> None:
    with pytest.raises(SpeechUnavailable):
        await EspeakSpeaker().speak(text, "en")


async def test_an_engine_that_is_missing_is_told_at_the_start_and_at_each_use() -> None:
    speaker = EspeakSpeaker("no-such-engine")
    assert "not installed" in (speaker.why_mute() or "")
    assert EspeakSpeaker().why_mute() is None
    with pytest.raises(SpeechUnavailable, match="no-such-engine"):
        await speaker.speak("Hello", "en")


@pytest.mark.parametrize(("program", "told"), [("false", "CalledProcessError"), ("true", "said nothing")])
async def test_an_engine_that_fails_is_told(program: str, told: str) -> None:
    with pytest.raises(SpeechUnavailable, match=told):
        await EspeakSpeaker(program).speak("Hello", "en")


# -- never mute --


async def test_without_speech_there_are_tones_that_count_the_key() -> None:
    told: list[str] = []
    voice = Voice(PROMPTS, NoSpeaker(), "nl", on_failure=told.append)
    assert await voice.say("accept.take", key="4") == pattern("4")
    assert await voice.say("accept.decline", key="4") == pattern()
    assert told == ["speech.engine is none"] * 2


def test_why_there_is_no_speech_can_be_told_at_the_start(tmp_path: Path) -> None:
    assert "tones" in (open_speaker("none", None)[1] or "")
    assert open_speaker("espeak-ng", tmp_path)[1] is None


async def test_a_prompt_that_has_nothing_to_say_is_an_empty_clip() -> None:
    voice = Voice(PROMPTS, CountingEngine(), "nl")
    assert await voice.say("briefing.nowhere", has_place=True) == b""


async def test_a_prompt_that_does_not_exist_is_a_mistake_of_ours() -> None:
    with pytest.raises(KeyError):
        await Voice(PROMPTS, CountingEngine(), "nl").say("no.such")


# -- the cache --


async def test_a_text_is_rendered_once_in_one_life_and_in_the_next(tmp_path: Path) -> None:
    engine = CountingEngine()
    first = CachedSpeaker(engine, tmp_path)
    clips = await asyncio.gather(*(first.speak("Hello", "en") for _ in range(10)))
    assert len(set(clips)) == 1
    assert await first.speak("Hello", "en") == clips[0]
    assert await CachedSpeaker(engine, tmp_path).speak("Hello", "en") == clips[0]
    assert engine.said == ["Hello"]


async def test_another_language_or_another_engine_is_another_clip(tmp_path: Path) -> None:
    engine = CountingEngine()
    speaker = CachedSpeaker(engine, tmp_path)
    await speaker.speak("Hotel", "en")
    await speaker.speak("Hotel", "fr")
    engine.identity = "another"
    await CachedSpeaker(engine, tmp_path).speak("Hotel", "en")
    assert len(engine.said) == 3


@pytest.mark.parametrize("damage", [b"", b"torn", b"\0" * 832])
async def test_a_damaged_file_is_made_anew(tmp_path: Path, damage: bytes) -> None:
    engine = CountingEngine()
    clip = await CachedSpeaker(engine, tmp_path).speak("Hello", "en")
    (path,) = kept(tmp_path)
    path.write_bytes(damage)
    assert await CachedSpeaker(engine, tmp_path).speak("Hello", "en") == clip
    assert len(engine.said) == 2
    assert await CachedSpeaker(engine, tmp_path).speak("Hello", "en") == clip
    assert len(engine.said) == 2


async def test_files_are_for_the_service_alone_and_complete(tmp_path: Path) -> None:
    await CachedSpeaker(CountingEngine(), tmp_path / "deep" / "speech").speak("Anna de Vries", "en")
    (path,) = kept(tmp_path)
    assert path.stat().st_mode & 0o077 == 0
    assert "Anna" not in path.name


async def test_a_disk_that_fails_costs_no_speech(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    speaker = CachedSpeaker(CountingEngine(), tmp_path / "file")
    assert await speaker.speak("Hello", "en") == tone(500, 0.1)


async def test_a_failure_is_not_kept() -> None:
    engine = CountingEngine(fails=True)
    speaker = CachedSpeaker(engine)
    with pytest.raises(SpeechUnavailable):
        await speaker.speak("Hello", "en")
    engine.fails = False
    assert await speaker.speak("Hello", "en")


async def test_who_gives_up_waiting_leaves_the_clip_to_the_others() -> None:
    engine = CountingEngine()
    speaker = CachedSpeaker(engine)
    impatient = asyncio.ensure_future(speaker.speak("Hello", "en"))
    patient = asyncio.ensure_future(speaker.speak("Hello", "en"))
    await asyncio.sleep(0)
    impatient.cancel()
    assert await patient == tone(500, 0.1)
    assert engine.said == ["Hello"]


async def test_memory_is_bounded_and_keeps_what_is_used() -> None:
    engine = CountingEngine()
    speaker = CachedSpeaker(engine, memory=2 * 800)
    for text in ("a", "b", "a", "c", "a"):
        await speaker.speak(text, "en")
    assert engine.said == ["a", "b", "c"]
    await speaker.speak("b", "en")
    assert engine.said == ["a", "b", "c", "b"]


async def test_what_is_not_used_for_long_is_deleted(tmp_path: Path) -> None:
    speaker = CachedSpeaker(CountingEngine(), tmp_path)
    await speaker.speak("old", "en")
    (old,) = kept(tmp_path)
    os.utime(old, (time.time() - KEEP_SECONDS - 60,) * 2)
    await speaker.speak("new", "en")
    assert await speaker.tidy() == 1
    assert not old.exists()
    assert len(kept(tmp_path)) == 1
    assert await CachedSpeaker(CountingEngine()).tidy() == 0


# -- own recordings --


def _record(path: Path, *, rate: int = 16_000, width: int = 2, channels: int = 1, seconds: float = 0.5) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    sine = 0.3 * np.sin(2 * np.pi * 700 * np.arange(round(rate * seconds)) / rate)
    scaled = np.repeat(np.rint(sine * (2 ** (8 * width - 1) - 1)).astype(np.int64), channels)
    data = (scaled + 128).astype("<u1") if width == 1 else scaled.astype("<i4" if width > 2 else "<i2")
    octets = data.tobytes() if width != 3 else data.view(np.uint8).reshape(-1, 4)[:, :3].tobytes()
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(octets)


@pytest.mark.parametrize("width", [1, 2, 3, 4])
@pytest.mark.parametrize("channels", [1, 2])
async def test_a_recording_takes_the_place_of_speech_at_the_same_level(
    tmp_path: Path, width: int, channels: int
) -> None:
    _record(tmp_path / "nl" / "goodbye.wav", width=width, channels=channels)
    engine = CountingEngine()
    voice = Voice(_recorded(tmp_path), engine, "nl")
    clip = await voice.say("goodbye")
    assert engine.said == []
    assert 20 * np.log10(sound.active_level(sound.linear(clip))) == pytest.approx(-20, abs=0.5)
    await voice.in_language("en").say("goodbye")
    assert engine.said == ["Goodbye."]


def _recorded(folder: Path) -> Prompts:
    prompts, mistakes = with_recordings(PROMPTS, folder)
    assert not mistakes
    return prompts


async def test_a_recording_is_played_even_without_an_engine(tmp_path: Path) -> None:
    _record(tmp_path / "nl" / "goodbye.wav")
    voice = Voice(_recorded(tmp_path), NoSpeaker(), "nl")
    assert await voice.say("goodbye") != pattern()


def test_recordings_that_cannot_be_used_are_all_named(tmp_path: Path) -> None:
    _record(tmp_path / "nl" / "accept.take.wav")
    _record(tmp_path / "nl" / "nonsense.wav")
    _record(tmp_path / "xx" / "goodbye.wav")
    (tmp_path / "en").mkdir()
    (tmp_path / "en" / "goodbye.wav").write_bytes(b"RIFFnonsense")
    (tmp_path / "en" / "goodbye.mp3").write_bytes(b"ID3")
    (tmp_path / "en" / "speakers.txt").write_text("spoken by Olga")
    _record(tmp_path / "goodbye.wav")
    _record(tmp_path / "nl" / "new" / "goodbye.wav")
    mistakes = with_recordings(PROMPTS, tmp_path)[1]
    assert len(mistakes) == 7
    told = "\n".join(mistakes)
    for part in ("has values", "no prompt 'nonsense'", "'xx' is no language", "en/goodbye.wav: is no WAV file"):
        assert part in told
    for path in ("en/goodbye.mp3", f"{tmp_path}/goodbye.wav", "nl/new/goodbye.wav"):
        assert f"{path}: is not used" in told


def test_a_folder_of_recordings_that_is_not_there_is_a_mistake(tmp_path: Path) -> None:
    prompts, (mistake,) = with_recordings(PROMPTS, tmp_path / "nowhere")
    assert prompts is PROMPTS
    assert mistake.endswith("there is no such folder")


async def test_a_recording_of_24_bit_in_the_extensible_format_is_played(tmp_path: Path) -> None:
    path = tmp_path / "nl" / "goodbye.WAV"
    path.parent.mkdir()
    samples = (np.sin(np.arange(8000) / 5) * 2**22).astype("<i4")
    audio = samples.view(np.uint8).reshape(-1, 4)[:, :3].tobytes()
    pcm = bytes.fromhex("0100000000001000800000aa00389b71")
    form = struct.pack("<HHIIHHHHI", 0xFFFE, 1, 8000, 24_000, 3, 24, 22, 24, 4) + pcm
    chunks = b"WAVEfmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", len(audio)) + audio
    path.write_bytes(b"RIFF" + struct.pack("<I", len(chunks)) + chunks)
    voice = Voice(_recorded(tmp_path), NoSpeaker(), "nl")
    assert len(await voice.say("goodbye")) >= 8000


async def test_a_silent_recording_is_a_mistake_and_its_prompt_is_spoken(tmp_path: Path) -> None:
    path = tmp_path / "nl" / "goodbye.wav"
    _record(path)
    with wave.open(str(path), "rb") as file:
        parameters = file.getparams()
    with wave.open(str(path), "wb") as file:
        file.setparams(parameters)
        file.writeframes(b"\0" * 16_000)
    prompts, (mistake,) = with_recordings(PROMPTS, tmp_path)
    assert "nothing is to be heard" in mistake
    engine = CountingEngine()
    await Voice(prompts, engine, "nl").say("goodbye")
    assert len(engine.said) == 1


def test_facts_can_be_told_without_a_place() -> None:
    assert replace(FACTS, address="", latitude=None).values(NOW)["has_place"] is False


@pytest.mark.parametrize("language", LANGUAGES)
async def test_the_first_two_seconds_say_who_calls_and_why(language: str) -> None:
    values = Alarm("", "", "panic").values("4")
    said_first = PROMPTS.text(language, "accept.who", values).partition(":")[0].strip()
    assert "earshot" in said_first.lower()
    assert "alarm" in said_first.lower()
    clip = await EspeakSpeaker().speak(said_first, language)
    assert len(clip) < 2.0 * sound.RATE
