"""What was rendered ahead: sentences are put together from pieces, in one voice, and the rest is the engine's."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.prompts import FOLDER
from ivr import archive, sound
from ivr.archive import Archive, packed
from ivr.blocks import blocks, sentences
from ivr.prompts import LANGUAGES, Prompts
from ivr.rendered import Composer, RenderedSpeaker, composers
from ivr.saying import Moment
from ivr.speech import SpeechUnavailable, Voice
from tests.unit.ivr.conversing import NOW, PROMPTS

VALUES: Mapping[str, st.SearchStrategy[Any]] = {
    "number": st.integers(0, 100),
    "digits": st.from_regex(r"\A[0-9]{1,8}\Z"),
    "key": st.sampled_from("0123456789*#"),
    "phone": st.from_regex(r"\A\+?[0-9]{3,13}\Z"),
    "time": st.integers(0, 1439).map(lambda minutes: NOW + timedelta(minutes=minutes)),
    "date": st.integers(0, 366).map(lambda days: NOW + timedelta(days=days)),
    "moment": st.integers(0, 500_000).map(lambda minutes: Moment(NOW + timedelta(minutes=minutes), NOW)),
    "duration": st.integers(0, 7 * 86_400 - 1).map(float),
    "distance": st.floats(0, 100_000),
    "coordinates": st.tuples(st.floats(-90, 90), st.floats(-99.9, 99.9)),
    "term": st.sampled_from(("panic", "duress", "man_down", "test", "unheard of")),
    "select": st.sampled_from(("true", "false")),
    "plural": st.integers(0, 59),
}
OPEN = {"", "address"}
SPOKEN = [id for id in PROMPTS.ids if not id.startswith("saying.")]
ALONE = {language: dict.fromkeys(blocks(PROMPTS, language), (0, 4)) for language in LANGUAGES}
"""An index as if everything had been rendered just now."""


def composer(language: str, *texts: str, point: str = "point") -> Composer:
    """One in whose archive each text is a clip of its own length."""
    audio, pieces = bytearray(), {}
    for number, text in enumerate(texts or ALONE[language], 1):
        clip = packed(bytes([0x80 + number % 64]) * 20 * number)
        pieces[text] = (len(audio), len(clip))
        audio += clip
    return Composer(Archive(language, pieces, bytes(audio), {}), point)


FULL = {language: composer(language, point=PROMPTS.written(language, "saying.point")) for language in LANGUAGES}


class Engine:
    """Tells what it was asked to say."""

    def __init__(self, *, fails: bool = False) -> None:
        self.asked: list[str] = []
        self._fails = fails

    async def speak(self, text: str, language: str) -> bytes:
        self.asked.append(text)
        if self._fails:
            raise SpeechUnavailable("no voice")
        return b"engine"


def spoken(text: str, found: Composer, engine: Engine | None = None) -> tuple[bytes, list[str]]:
    engine = engine or Engine()
    language = found.archive.language
    return asyncio.run(RenderedSpeaker({language: found}, engine).speak(text, language)), engine.asked


# -- which texts are rendered --


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("id", SPOKEN)
def test_every_prompt_without_names_and_addresses_can_be_put_together(language: str, id: str) -> None:
    @given(st.data())
    def can_be_put_together(data: st.DataObject) -> None:
        needed = dict(PROMPTS.message(language, id).placeholders())
        values = {name: data.draw(VALUES[kind]) if kind not in OPEN else "Xyzzy von Q" for name, kind in needed.items()}
        text = PROMPTS.text(language, id, values, timezone="Europe/Amsterdam")
        for sentence in sentences(text, language):
            if sentence and "Xyzzy" not in sentence:
                assert FULL[language].sentence(sentence) is not None, sentence

    can_be_put_together()


def test_sentences_with_names_are_not_rendered() -> None:
    assert not [
        text for language in LANGUAGES for text in blocks(PROMPTS, language) if set(text) & set("{}\ue000\ue001")
    ]


def test_a_day_before_its_month_is_told_from_a_number_at_the_end_of_a_sentence() -> None:
    found = composer("de", "Es ist", "14 Uhr", "22", "22.·", "November", "Danke.")
    assert found._pieces(["Es", "ist", "14", "Uhr", "22."]) == [("Es ist", "ist"), ("14 Uhr", "Uhr"), ("22", "22.")]
    assert isinstance(found.spans("Es ist 22. November. Danke.")[0], bytes)
    assert sentences("Es ist 22. November. Danke.", "de") == ["Es ist 22. November.", "Danke."]


def test_decimals_are_said_with_the_word_for_the_point() -> None:
    found = composer("nl", "ongeveer", "1", "5", "komma", "kilometer", point="komma")
    assert found.sentence("ongeveer 1,5 kilometer.") is not None
    assert found.sentence("ongeveer 1,6 kilometer.") is None


# -- putting together --


def test_the_longest_pieces_are_taken() -> None:
    found = composer("en", "at", "10", "10 oh", "10 oh 5", "5", "p m")
    assert found._pieces(["at", "10", "oh", "5", "p", "m."]) == [("at", "at"), ("10 oh 5", "5"), ("p m", "m.")]


def test_a_greedy_choice_that_leads_nowhere_is_not_taken() -> None:
    found = composer("en", "a b", "a", "b c")
    assert found._pieces(["a", "b", "c"]) == [("a", "a"), ("b c", "c")]


def test_pauses_are_those_of_the_text() -> None:
    found = composer("en", "one", "two")
    together, comma = found.sentence("one two."), found.sentence("one, two.")
    assert together is not None
    assert comma is not None
    assert len(comma) - len(together) == round(0.12 * sound.RATE)


def test_a_sentence_with_a_name_is_spoken_whole_by_the_engine() -> None:
    clip, asked = spoken(
        "Thank you. The alarm has been taken by Anna. Goodbye.", composer("en", "Thank you.", "Goodbye.")
    )
    assert asked == ["The alarm has been taken by Anna."]
    assert clip.index(b"engine") > 0
    assert not clip.endswith(b"engine")


def test_a_name_with_a_full_stop_is_not_torn_from_its_sentence() -> None:
    _, asked = spoken("Earshot check-in for Dr. Jansen, on behalf of J. Bakker. Goodbye.", composer("en", "Goodbye."))
    assert asked == ["Earshot check-in for Dr. Jansen, on behalf of J. Bakker."]


def test_a_language_that_was_not_rendered_is_spoken_by_the_engine() -> None:
    engine = Engine()
    assert asyncio.run(RenderedSpeaker({}, engine).speak("Thank you.", "en")) == b"engine"


def test_a_text_that_was_changed_is_spoken_by_the_engine() -> None:
    assert spoken("Thank you very much.", composer("en", "Thank you."))[1] == ["Thank you very much."]


def test_what_is_said_to_somebody_under_duress_is_the_same_clip_to_the_last_sample() -> None:
    text = "Thank you. The next check-in is at 10 oh 5 p m."
    assert spoken(text, FULL["en"]) == spoken(text, FULL["en"])
    assert spoken(text, FULL["en"])[1] == []


async def test_without_an_engine_the_key_is_still_named() -> None:
    voice = Voice(PROMPTS, RenderedSpeaker(FULL, Engine(fails=True)), "nl")
    one, two = [await voice.say("accept.take", key=key) for key in "12"]
    assert one != two


async def test_without_an_engine_a_name_is_tones_and_that_is_told() -> None:
    told: list[str] = []
    voice = Voice(PROMPTS, RenderedSpeaker(FULL, Engine(fails=True)), "nl", on_failure=told.append)
    assert await voice.say("taken.by", name="Anna")
    assert told == ["no voice"]


# -- the files --


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    tone = sound.alaw((0.3 * np.sin(np.arange(4000) / 3)).astype(np.float32))
    archive.write(tmp_path, "nl", {"één": packed(tone), "twee": packed(tone[:801])}, {"voice": "a tone"})
    found = archive.read(tmp_path, "nl")
    assert found.about == {"voice": "a tone"}
    assert list(found.pieces) == ["één", "twee"]
    error = sound.linear(found.clip("één")) - sound.linear(tone)
    assert np.sqrt(np.mean(error**2)) < 0.03
    assert found.clip("één") is found.clip("één")


def test_where_nothing_was_rendered_nothing_is_found(tmp_path: Path) -> None:
    assert archive.read(tmp_path, "nl").pieces == {}
    (tmp_path / "nl.json").write_text('{"format": 0}')
    assert archive.read(tmp_path, "nl").pieces == {}
    assert composers(tmp_path, Prompts.load(FOLDER)) == {}


def test_moments_are_spoken_with_their_date() -> None:
    text = PROMPTS.text("de", "check_in.thanks", {"next": Moment(NOW + timedelta(days=3), NOW)})
    assert spoken(text, FULL["de"])[1] == []
