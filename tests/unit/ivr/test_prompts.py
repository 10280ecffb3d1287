"""The texts: none is missing in any language, all placeholders agree, and mistakes are told."""

from datetime import timedelta
from importlib import resources
from pathlib import Path
from typing import Any, get_args

import pytest

from config.plans import Language
from ivr.espeak import VOICES
from ivr.message import MistakeInPrompt, parse
from ivr.prompts import LANGUAGES, Prompts
from ivr.saying import GROUP, KINDS, Moment
from ivr.taker import Key, Says
from tests.unit.ivr.conversing import NOW, PROMPTS
from voice.check_in.notices import LOCALES
from voice.incidents.kinds import Kind

EXAMPLES: dict[str, Any] = {
    "": "Anna",
    "number": 3,
    "digits": "12",
    "key": "4",
    "phone": "+31612345678",
    "time": NOW,
    "date": NOW,
    "moment": Moment(NOW - timedelta(days=3), NOW),
    "duration": 4000.0,
    "distance": 25.0,
    "coordinates": (52.37031, -4.90012),
    "address": "Damrak 1, 1012 LG Amsterdam",
    "term": "panic",
    "plural": 2,
    "select": "true",
}
SPOKEN = [id for id in PROMPTS.ids if not id.startswith("saying.")]


def placeholders(language: str, id: str) -> set[tuple[str, str]]:
    return set(PROMPTS.message(language, id).placeholders())


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_prompt_is_missing(language: str) -> None:
    assert [id for id in PROMPTS.ids if not PROMPTS.has(language, id)] == []


@pytest.mark.parametrize("id", SPOKEN)
def test_every_language_says_the_same_values_in_the_same_way(id: str) -> None:
    for language in LANGUAGES:
        assert placeholders(language, id) == placeholders("nl", id), language


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("id", SPOKEN)
def test_every_prompt_can_be_said(language: str, id: str) -> None:
    values = {name: EXAMPLES[kind] for name, kind in placeholders(language, id)}
    text = PROMPTS.text(language, id, values, timezone="Europe/Amsterdam")
    assert not set("{}#") & set(text)
    assert text == " ".join(text.split())
    if not id.startswith("kind.") and id != "briefing.nowhere":
        assert text
        assert text[-1] in ".?!"


def test_every_kind_of_value_has_an_example_here() -> None:
    assert set(KINDS) | {"term", "plural", "select"} == set(EXAMPLES)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_kind_of_alarm_has_a_name(language: str) -> None:
    assert [kind for kind in Kind if not PROMPTS.has(language, f"kind.{kind}")] == []


def test_a_kind_of_alarm_without_a_name_is_an_alarm_all_the_same() -> None:
    assert PROMPTS.text("en", "accept.what", {"kind": "meteorite"}) == "This is an alarm."


@pytest.mark.parametrize("says", Says)
@pytest.mark.parametrize("language", LANGUAGES)
def test_what_a_room_may_say_is_written_in_every_language(says: Says, language: str) -> None:
    assert PROMPTS.has(language, says)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_menu_names_every_key_of_a_taker(language: str) -> None:
    text = PROMPTS.text(language, Says.MENU, {})
    for key in Key:
        name = PROMPTS.text(language, f"saying.key.{key}", {})
        assert key in text or name.lower() in text.lower(), key


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_menu_of_who_may_not_talk_is_the_same_without_that_key(language: str) -> None:
    whole, part = (PROMPTS.text(language, says, {}) for says in (Says.MENU, Says.MENU_LISTENING))
    assert part[-100:] == whole[-100:]
    assert "1" in whole
    assert "1" not in part


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("says", [Says.NOBODY, Says.LINE_OVER])
def test_where_there_is_no_device_no_key_is_named_that_calls_back(says: Says, language: str) -> None:
    assert "1" not in PROMPTS.text(language, says, {})


def test_every_language_groups_telephone_numbers() -> None:
    assert set(GROUP) == set(LANGUAGES)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_first_word_says_that_it_is_an_alarm_of_earshot(language: str) -> None:
    values = {"known": True, "customer": "X", "has_worker": True, "worker": "Y"}
    assert {"earshot", "alarm"} <= set(
        PROMPTS.text(language, "accept.who", values).lower().replace("alarme", "alarm").replace("-", " ").split()[:2]
    )


# -- the notation --


class Plain:
    """Says values as they are."""

    def value(self, kind: str, name: str, value: Any) -> str:
        return f"<{kind}:{value}>" if kind else str(value)

    def plural(self, number: float) -> str:
        return "one" if number == 1 else "other"


def said(text: str, **values: Any) -> str:
    return parse(text).say(Plain(), values)


def test_a_text_without_placeholders_is_said_as_it_is() -> None:
    assert said("Goodbye, #1.") == "Goodbye, #1."


def test_values_take_the_place_of_their_names() -> None:
    assert said("{a} and { b , phone }", a=1, b="+31") == "1 and <phone:+31>"


@pytest.mark.parametrize(("count", "text"), [(0, "none"), (1, "<number:1> call"), (5, "<number:5> calls")])
def test_plurals_choose_the_form_of_the_language_or_of_the_very_number(count: int, text: str) -> None:
    assert said("{n, plural, =0 {none} one {# call} other {# calls}}", n=count) == text


@pytest.mark.parametrize(("value", "text"), [(True, "yes X"), (False, "no"), ("other thing", "no")])
def test_select_chooses_by_value(value: object, text: str) -> None:
    assert said("{v, select, true {yes {x}} other {no}}", v=value, x="X") == text


@pytest.mark.parametrize(
    "text",
    ["{", "}", "{}", "{a", "a}", "{a,}", "{a, plural}", "{a, plural, one {x}}", "{a, select, x {y}", "{a b}"],
)
def test_a_prompt_that_is_written_wrongly_is_refused(text: str) -> None:
    with pytest.raises(MistakeInPrompt):
        parse(text)


def test_a_value_that_is_missing_is_told() -> None:
    with pytest.raises(KeyError, match="worker"):
        said("{worker}")


def test_what_a_value_contains_is_no_notation() -> None:
    assert said("{name}", name="{x} # }") == "{x} # }"


def test_names_with_line_breaks_are_said_in_one_line() -> None:
    assert "A B" in PROMPTS.text("en", "taken.by", {"name": "A\r\nB"})


def test_prompts_are_read_once() -> None:
    assert PROMPTS.message("nl", "goodbye") is PROMPTS.message("nl", "goodbye")
    assert isinstance(PROMPTS, Prompts)


def test_each_place_that_lists_languages_has_all_of_them() -> None:
    languages = set(LANGUAGES)
    assert languages == set(get_args(Language)) == set(GROUP) == set(VOICES) == set(LOCALES)
    for folder in ("prompts", "messages"):
        files = [Path(file.name) for file in resources.files("config").joinpath(folder).iterdir()]
        assert languages == {file.stem for file in files if file.suffix == ".toml"}
