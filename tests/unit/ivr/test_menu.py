"""Conversations as a state machine: every branch, without a phone."""

import pytest

from ivr.menu import (
    AGAIN,
    TONE,
    Act,
    Answer,
    Choice,
    Dialogue,
    Digits,
    Do,
    End,
    Ending,
    Keys,
    Listen,
    Play,
    Question,
    Recording,
    language_of,
)
from tests.unit.ivr.conversing import Talk

MENU = Dialogue(
    name="menu",
    purpose="has one of everything",
    start="top",
    steps={
        "top": Question(
            announces=("hello",),
            asks=("choose",),
            keys={
                "1": Choice("code", says=("one",)),
                "{secret}": Choice("done", says=("thanks",)),
                "3": Choice("top", language="nl"),
                "4": Choice("top", language="{other}"),
            },
            again=("choose",),
            waits=4.0,
            repeats=2,
            mistakes=3,
            wrong=("wrong",),
            silence="nothing",
            given_up="confused",
            machine="machine",
        ),
        "code": Question(
            asks=("code",), digits=Digits("keyed", maximum=4, between=2.0), waits=6.0, repeats=0, silence="nothing"
        ),
        "keyed": Ending("keyed", hang_up=False),
        "done": Ending("done", says=("bye",)),
        "nothing": Ending("nothing"),
        "confused": Ending("confused"),
        "machine": Ending("machine"),
    },
    limit=100.0,
    at_limit="nothing",
)


def _talk() -> Talk:
    return Talk(MENU, secret="7", other="fr")


def test_what_is_announced_is_followed_by_the_question_and_a_time_to_answer() -> None:
    _talk().plays("hello").hears_it_out().plays("choose").hears_it_out().listens(4.0)


def test_a_key_is_confirmed_by_voice_before_anything_else_happens() -> None:
    _talk().hears_it_out().hears_it_out().presses("1").plays("one").hears_it_out().plays("code")


def test_a_key_interrupts_the_question() -> None:
    talk = _talk().hears_it_out().plays("choose")
    assert isinstance(talk.action, Play)
    assert talk.action.keys is Keys.INTERRUPT
    talk.presses("1").plays("one")


@pytest.mark.parametrize("digits", ["7", "1", "9", "777"])
def test_keys_pressed_before_the_announcement_was_heard_count_for_nothing(digits: str) -> None:
    talk = _talk()
    assert isinstance(talk.action, Play)
    assert talk.action.keys is Keys.DROPPED
    talk.presses(digits).plays("hello").hears_it_out().plays("choose").hears_it_out().listens(4.0)
    talk.presses("7").plays("thanks").hears_it_out().plays("bye").hears_it_out().ends("done")
    assert talk.conversation.result is not None
    assert talk.conversation.result.wrong_keys == 0


def test_silence_is_answered_by_repeats_then_by_the_way_for_silence() -> None:
    talk = _talk().hears_it_out().hears_it_out()
    for _ in range(2):
        talk.waits().plays("choose").hears_it_out().listens(4.0)
    talk.waits().plays().hears_it_out().ends("nothing")


def test_a_timer_that_comes_too_early_waits_for_the_rest() -> None:
    talk = _talk()
    assert talk.conversation.timer(talk.now + 1.0) is None
    talk.hears_it_out().hears_it_out()
    assert talk.conversation.timer(talk.now + 1.0) == Listen(3.0)
    talk.waits().plays("choose")


def test_a_wrong_key_is_said_to_be_wrong_and_the_question_is_repeated() -> None:
    talk = _talk().hears_it_out().hears_it_out().presses("9").plays("wrong").hears_it_out().plays("choose")
    talk.hears_it_out().presses("8").plays("wrong").hears_it_out().plays("choose").presses("6").hears_it_out().ends(
        "confused"
    )
    assert talk.conversation.result is not None
    assert talk.conversation.result.wrong_keys == 3


def test_a_key_chosen_per_call_is_one_of_the_values() -> None:
    _talk().hears_it_out().hears_it_out().presses("7").plays("thanks")
    Talk(MENU, secret="5", other="fr").hears_it_out().hears_it_out().presses("7").plays("wrong")


@pytest.mark.parametrize(("key", "language"), [("3", "nl"), ("4", "fr")])
def test_a_key_can_change_the_language(key: str, language: str) -> None:
    talk = _talk().hears_it_out().hears_it_out().presses(key)
    assert isinstance(talk.action, Play)
    assert talk.action.language == language
    talk.leaves()
    assert talk.conversation.result is not None
    assert talk.conversation.result.language == language


def _collecting() -> Talk:
    return _talk().hears_it_out().hears_it_out().presses("1").hears_it_out().plays("code").hears_it_out()


def _digits(talk: Talk) -> str:
    talk.hears_it_out().ends("keyed")
    assert talk.conversation.result is not None
    return talk.conversation.result.digits


def test_digits_are_complete_at_their_maximum() -> None:
    assert _digits(_collecting().presses("1234")) == "1234"


def test_digits_are_complete_at_the_terminator() -> None:
    assert _digits(_collecting().presses("12#")) == "12"


def test_digits_are_complete_when_no_more_come() -> None:
    assert _digits(_collecting().presses("12").listens(2.0).waits()) == "12"


def test_the_first_digit_interrupts_the_prompt() -> None:
    talk = _talk().hears_it_out().hears_it_out().presses("1").hears_it_out().plays("code").presses("5").listens(2.0)
    assert _digits(talk.presses("678")) == "5678"


def test_a_star_starts_the_digits_over() -> None:
    assert _digits(_collecting().presses("99*1234")) == "1234"


def test_a_terminator_without_digits_is_a_wrong_key() -> None:
    _collecting().presses("#").plays("menu.wrong_key").hears_it_out().plays("code")


# -- what is done, what is recorded, what counts at once --

DESK = Dialogue(
    name="desk",
    purpose="has things done",
    start="ask",
    steps={
        "ask": Question(
            announces=("who",),
            asks=("press",),
            keys={"{key}": Choice("verify")},
            digits=Digits("verify", maximum=6, between=2.0, entries="{entries}"),
            enters="entry",
            wrong=("wrong",),
            mistakes=3,
            silence="nothing",
        ),
        "verify": Act("verify", takes=("entry",), ways={"accepted": Choice("hours"), "refused": Choice(AGAIN)}),
        "hours": Question(
            asks=("hours",),
            digits=Digits("memo", maximum=2, lowest=1, highest=12),
            enters="hours",
            wrong=("wrong",),
            eager=True,
            silence="left",
            late="left",
            left="left",
        ),
        "memo": Recording(("speak", TONE), to="keep", nothing="silent", left="spoke", late="left"),
        "keep": Act("keep", takes=("hours",), ways={"kept": Choice("left", says=("kept",), language="nl")}),
        "silent": Ending("silent", hang_up=False),
        "left": Ending("left", hang_up=False),
        "nothing": Ending("nothing"),
    },
    limit=100.0,
    at_limit="nothing",
)


def _desk() -> Talk:
    return Talk(DESK, key="7", entries=("55", "0"))


def _accepted() -> Talk:
    return _desk().hears_it_out().presses("7").does("verify", "7").is_answered("accepted").plays("hours")


@pytest.mark.parametrize("entry", ["7", "55", "0"])
def test_an_entry_that_is_known_is_complete_at_once(entry: str) -> None:
    _desk().hears_it_out().presses(entry).does("verify", entry).is_answered("accepted").plays("hours")


@pytest.mark.parametrize("entry", ["3", "37", "5"])
def test_any_other_entry_waits_for_more_keys(entry: str) -> None:
    talk = _desk().hears_it_out().presses(entry).listens(2.0).waits().does("verify", entry)
    talk.is_answered("refused").plays("wrong").hears_it_out().plays("who", "press").presses("7").does("verify", "7")


def test_what_is_refused_counts_as_wrong_until_it_is_enough() -> None:
    talk = _desk().hears_it_out()
    for _ in range(2):
        talk.presses("3").waits().is_answered("refused").plays("wrong").hears_it_out()
    talk.presses("3").waits().is_answered("refused").plays().hears_it_out().ends("nothing")


@pytest.mark.parametrize(("missed", "entry"), [("55", "55"), ("7551", "55"), ("30", "0")])
def test_an_entry_that_is_known_counts_even_while_keys_count_for_nothing(missed: str, entry: str) -> None:
    talk = _desk()
    talk.conversation.missed(missed)
    talk.hears_it_out().does("verify", entry)


@pytest.mark.parametrize("missed", ["7", "5", "", "3"])
def test_no_other_key_counts_then(missed: str) -> None:
    talk = _desk()
    talk.conversation.missed(missed)
    talk.hears_it_out().plays("press")


def test_what_was_keyed_is_done_though_he_hangs_up() -> None:
    talk = _desk().hears_it_out().presses("3").leaves().does("verify", "3")
    talk.is_answered("refused").leaves().ends("hung_up")
    talk = _desk()
    talk.conversation.missed("55")
    talk.leaves().does("verify", "55").is_answered("accepted").leaves().ends("left")


def test_what_was_keyed_is_for_the_step_that_takes_it_and_for_nobody_else() -> None:
    talk = _accepted().presses("1").leaves().ends("left")
    assert talk.conversation.result is not None
    assert talk.conversation.result.digits == ""
    talk = _desk().hears_it_out().presses("3").waits()
    assert "3" not in repr(talk.action)


@pytest.mark.parametrize("hours", ["0#", "13", "99"])
def test_a_number_out_of_range_is_a_wrong_key(hours: str) -> None:
    _accepted().presses(hours).plays("wrong", "hours")


def test_an_eager_question_takes_a_key_while_it_says_that_one_was_wrong() -> None:
    _accepted().presses("#").plays("wrong", "hours").presses("3#").plays("speak", TONE)


def _recording() -> Talk:
    return _accepted().presses("3#").plays("speak", TONE).hears_it_out().records(120.0, "#")


def test_what_is_recorded_goes_to_whoever_keeps_it() -> None:
    talk = _recording().speaks(bytes(8000)).does("keep", "3")
    assert isinstance(talk.action, Do)
    assert talk.action.clip == bytes(8000)
    talk.is_answered("kept").plays("kept")
    assert isinstance(talk.action, Play)
    assert talk.action.language == "nl"
    talk.hears_it_out().hears_it_out().ends("left")


def test_less_than_a_second_is_no_recording() -> None:
    talk = _recording().speaks(bytes(7999)).hears_it_out().ends("silent")
    assert talk.conversation.clip == b""


def test_hanging_up_before_the_tone_is_leaving() -> None:
    _accepted().presses("3#").plays("speak", TONE).leaves().ends("spoke")


def test_after_the_limit_a_question_and_a_recording_lead_where_they_say() -> None:
    talk = _desk().hears_it_out().presses("7")
    talk.now += 100.0
    talk.is_answered("accepted").hears_it_out().ends("left")
    talk = _accepted().presses("3")
    talk.now += 100.0
    talk.presses("#").hears_it_out().ends("left")


def test_answers_add_values_and_choose_the_language_unless_he_did() -> None:
    talk = _desk().hears_it_out().presses("7")
    talk.is_answered("accepted", language="fr", worker="Anna")
    assert talk.conversation.values["worker"] == "Anna"
    assert talk.conversation.language == "fr"
    talk = _recording().speaks(bytes(8000)).is_answered("kept")
    assert talk.conversation.language == "nl"
    talk.conversation.step = "keep"
    talk.is_answered("kept", language="de")
    assert talk.conversation.language == "nl"


def test_what_nobody_wanted_is_a_mistake() -> None:
    conversation = _desk().conversation
    with pytest.raises(TypeError, match="records nothing"):
        conversation.recorded(b"", 0.0)
    with pytest.raises(TypeError, match="has nothing done"):
        conversation.answered(Answer("kept"), 0.0)


def test_a_prompt_may_name_its_language() -> None:
    assert language_of("nl:language.choose", "en") == ("nl", "language.choose")
    assert language_of("goodbye", "en") == ("en", "goodbye")


def test_after_a_wrong_key_none_counts_until_it_was_said_to_be_wrong() -> None:
    talk = _talk().hears_it_out().hears_it_out().presses("9").plays("wrong").presses("7").plays("wrong")
    talk.hears_it_out().plays("choose").presses("7").plays("thanks")


def test_what_was_keyed_stands_in_no_log() -> None:
    talk = _collecting().presses("1234").hears_it_out()
    assert "1234" not in repr(talk.conversation.result)


def test_hanging_up_ends_it() -> None:
    _talk().leaves().ends("hung_up")
    _talk().hears_it_out().hears_it_out().leaves().ends("hung_up")


def test_hanging_up_after_the_deciding_key_changes_nothing_of_the_decision() -> None:
    talk = _talk().hears_it_out().hears_it_out().presses("7").plays("thanks").leaves().ends("done")
    assert talk.conversation.result is not None
    assert talk.conversation.result.hung_up
    _talk().hears_it_out().hears_it_out().presses("1").plays("one").leaves().ends("hung_up")


def test_a_suspected_machine_shortens_the_repeats_and_nothing_else() -> None:
    talk = _talk().hears_it_out().hears_it_out()
    talk.conversation.suspicion = 1
    talk.waits().plays("choose").hears_it_out().waits().hears_it_out().ends("machine")
    talk = _talk().hears_it_out().hears_it_out()
    talk.conversation.suspicion = 2
    talk.waits().hears_it_out().ends("machine")


def test_a_key_counts_whatever_is_suspected() -> None:
    talk = _talk().hears_it_out().hears_it_out()
    talk.conversation.suspicion = 2
    talk.presses("7").plays("thanks").hears_it_out().hears_it_out().ends("done")


def test_no_question_is_asked_after_the_limit() -> None:
    talk = _talk().hears_it_out().hears_it_out()
    talk.now += 100.0
    talk.presses("3").hears_it_out().ends("nothing")
    talk = _talk().hears_it_out().hears_it_out()
    talk.now += 100.0
    talk.presses("9").hears_it_out().ends("confused")


def test_an_ending_says_whether_the_call_goes_on() -> None:
    talk = _collecting().presses("1234").hears_it_out()
    assert talk.action == End(hang_up=False)
